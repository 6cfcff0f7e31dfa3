//! Splitting the articles into train, validation and test.

use anyhow::{Result, ensure};
use midashi_artifacts::{Article, Corpus, Split};
use midashi_config::SplitShares;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Assigns every article its split, by a shuffle that depends only on `shares.seed`.
///
/// The first part of the shuffled articles, rounded down, is for training, and the rest for the test: 7,367 articles and a
/// test share of 0.2 give 5,893 and 1,474, as in the reproduced article. Validation is the end of the training part. A
/// stratified split divides each category in this way.
///
/// # Errors
/// When a split with a share above 0 gets no article, or a stratified split leaves a category without training articles.
pub fn assign(corpus: &mut Corpus, shares: &SplitShares) -> Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(shares.seed);
    let mut divide = |articles: &mut [Article]| {
        let sizes = Sizes::of(articles.len(), shares);
        let mut order: Vec<usize> = (0..articles.len()).collect();
        order.shuffle(&mut random);
        for (rank, at) in order.into_iter().enumerate() {
            articles[at].split = sizes.split_of(rank);
        }
    };
    if shares.stratified {
        // The articles are sorted by category.
        corpus.articles.chunk_by_mut(|one, next| one.category == next.category).for_each(divide);
    } else {
        divide(&mut corpus.articles);
    }
    check_not_empty(&corpus.articles, shares)?;
    if shares.stratified {
        let untrained = untrained_categories(corpus);
        ensure!(
            untrained.is_empty(),
            "no article is left for training in: {}; expected more articles there, or smaller shares in \
             [corpus.split]",
            untrained.join(", ")
        );
    }
    Ok(())
}

/// Sorts the articles in the order of [`assign`]'s shuffle with the same seed, as in the reproduced article: first the
/// training part, then the test, each in random order. (After a stratified split, the splits are mixed.)
pub fn shuffle(corpus: &mut Corpus, seed: u64) {
    corpus.articles.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
}

/// The categories without training articles, which the model cannot learn.
pub fn untrained_categories(corpus: &Corpus) -> Vec<&str> {
    let mut is_trained = vec![false; corpus.categories.len()];
    for article in corpus.articles.iter().filter(|article| article.split == Split::Train) {
        is_trained[article.category.index()] = true;
    }
    let untrained = corpus.categories.iter().zip(is_trained).filter(|(_, is_trained)| !is_trained);
    untrained.map(|(name, _)| name.as_str()).collect()
}

/// The sizes of the splits. The test gets the remaining articles.
struct Sizes {
    train: usize,
    validation: usize,
}

impl Sizes {
    fn of(articles: usize, shares: &SplitShares) -> Self {
        let training = share_of(articles, 1.0 - shares.test);
        let validation = share_of(articles, shares.validation).min(training);
        Self { train: training - validation, validation }
    }

    /// The split of the article at position `rank` of the shuffle.
    fn split_of(&self, rank: usize) -> Split {
        if rank < self.train {
            Split::Train
        } else if rank < self.train + self.validation {
            Split::Validation
        } else {
            Split::Test
        }
    }
}

/// `share` of `articles`, rounded down.
fn share_of(articles: usize, share: f64) -> usize {
    // 100 × 0.29 is 28.999999999999996 in binary, but users expect 29.
    const ROUNDING: f64 = 1e-9;
    (articles as f64 * share + ROUNDING) as usize
}

fn check_not_empty(articles: &[Article], shares: &SplitShares) -> Result<()> {
    let train = 1.0 - shares.test - shares.validation;
    let splits = [(Split::Train, train), (Split::Validation, shares.validation), (Split::Test, shares.test)];
    for (split, share) in splits {
        ensure!(
            share <= 0.0 || articles.iter().any(|article| article.split == split),
            "the {} split, a share of {share:.3} of {} articles, is empty; expected more articles, or \
             other shares in [corpus.split]",
            split.name(),
            articles.len()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use midashi_artifacts::CategoryId;

    /// A corpus with categories of these sizes.
    fn corpus(sizes: &[usize]) -> Corpus {
        let articles = sizes.iter().enumerate().flat_map(|(category, &size)| {
            (0..size).map(move |at| Article {
                id: format!("{category}-{at}"),
                category: CategoryId(category as u16),
                url: None,
                published_at: None,
                title: "見出し".into(),
                body: String::new(),
                split: Split::Train,
            })
        });
        Corpus { categories: sizes.iter().map(ToString::to_string).collect(), articles: articles.collect() }
    }

    fn shares(test: f64, validation: f64, stratified: bool, seed: u64) -> SplitShares {
        SplitShares { test, validation, stratified, seed }
    }

    fn splits(sizes: &[usize], shares: &SplitShares) -> Vec<Split> {
        let mut corpus = corpus(sizes);
        assign(&mut corpus, shares).unwrap();
        corpus.articles.iter().map(|article| article.split).collect()
    }

    fn counts(splits: &[Split]) -> [usize; 3] {
        Split::ALL.map(|split| splits.iter().filter(|&&found| found == split).count())
    }

    #[test]
    fn the_sizes_are_those_of_the_reproduced_article() {
        assert_eq!(counts(&splits(&[870, 6497], &shares(0.2, 0.0, false, 0))), [5893, 0, 1474]);
    }

    #[test]
    fn validation_is_taken_from_the_training_part() {
        let without = splits(&[100], &shares(0.2, 0.0, false, 3));
        let with = splits(&[100], &shares(0.2, 0.1, false, 3));
        assert_eq!(counts(&with), [70, 10, 20]);
        for (before, after) in without.iter().zip(&with) {
            assert_eq!(*before == Split::Test, *after == Split::Test, "the test split stays");
        }
        assert_eq!(counts(&splits(&[100], &shares(0.71, 0.0, false, 0))), [29, 0, 71]);
    }

    #[test]
    fn a_seed_always_gives_the_same_split() {
        let drawn = splits(&[5, 5], &shares(0.3, 0.2, false, 42));
        let sign = |split: &Split| match split {
            Split::Train => '·',
            Split::Validation => 'v',
            Split::Test => 't',
        };
        assert_eq!(drawn.iter().map(sign).collect::<String>(), "t·tv····tv");
        assert_ne!(drawn, splits(&[5, 5], &shares(0.3, 0.2, false, 43)));
    }

    #[test]
    fn the_shuffle_of_the_rows_is_that_of_the_split() {
        let mut corpus = corpus(&[30, 70]);
        assign(&mut corpus, &shares(0.2, 0.1, false, 7)).unwrap();
        let before = corpus.clone();
        shuffle(&mut corpus, 7);
        assert!(corpus.articles.is_sorted_by_key(|article| article.split as u16));
        assert!(!corpus.articles.is_sorted_by_key(|article| article.category));
        corpus.articles.sort_by(|one, other| {
            let at = |article: &Article| before.articles.iter().position(|known| known.id == article.id);
            at(one).cmp(&at(other))
        });
        assert_eq!(corpus, before, "no article is lost or changed");
    }

    #[test]
    fn stratified_divides_every_category_in_the_same_shares() {
        let sizes = [50, 10, 200];
        let drawn = splits(&sizes, &shares(0.2, 0.1, true, 0));
        let mut rest = drawn.as_slice();
        for size in sizes {
            let (category, others) = rest.split_at(size);
            assert_eq!(counts(category), [size * 7 / 10, size / 10, size / 5]);
            rest = others;
        }
        assert_ne!(drawn[..10], drawn[50..60], "each category has its own shuffle");
    }

    /// The categories of these corpora are named by their sizes.
    #[test]
    fn a_category_without_training_texts_is_named() {
        let mut stratified = corpus(&[1, 20, 2]);
        let message = assign(&mut stratified, &shares(0.5, 0.2, true, 0)).unwrap_err().to_string();
        assert_eq!(
            message,
            "no article is left for training in: 1; expected more articles there, or smaller shares in \
             [corpus.split]"
        );
        let mut shuffled = corpus(&[1, 3, 96]);
        let untrained_with = |corpus: &mut Corpus, seed| {
            assign(corpus, &shares(0.5, 0.0, false, seed)).unwrap();
            untrained_categories(corpus).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        let mut seen: Vec<_> = (0..20).map(|seed| untrained_with(&mut shuffled, seed)).collect();
        seen.sort();
        assert!(seen.contains(&vec![]) && seen.contains(&vec!["1".to_owned()]), "{seen:?}");
    }

    #[test]
    fn an_empty_split_is_an_error_unless_its_share_is_zero() {
        let message = |sizes: &[usize], shares: &SplitShares| {
            assign(&mut corpus(sizes), shares).unwrap_err().to_string()
        };
        assert_eq!(
            message(&[4], &shares(0.2, 0.1, false, 0)),
            "the validation split, a share of 0.100 of 4 articles, is empty; expected more articles, or \
             other shares in [corpus.split]"
        );
        assert!(message(&[1, 1], &shares(0.9, 0.0, false, 0)).starts_with("the train split"));
        assert_eq!(counts(&splits(&[4], &shares(0.0, 0.0, false, 0))), [4, 0, 0]);
    }
}
