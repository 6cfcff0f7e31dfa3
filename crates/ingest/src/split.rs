//! Splitting the articles into train, validation and test.

use anyhow::{Result, ensure};
use midashi_artifacts::{CategoryId, Corpus, Split};
use midashi_config::SplitShares;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::names::some_names;

/// Assigns every article its split, by a shuffle that depends only on `shares.seed`.
///
/// The first part of the shuffled articles, rounded down, is for training, and the rest for the test: 7,367 articles and a
/// test share of 0.2 give 5,893 and 1,474, as in the reproduced article. Validation is the end of the training part. A
/// stratified split divides each category in this way.
///
/// # Errors
/// When a split with a share above 0 gets no article, or a stratified split leaves a category without training articles.
pub fn assign(corpus: &mut Corpus, shares: &SplitShares) -> Result<()> {
    let splits = divide(&categories_of(corpus), &corpus.categories, shares)?;
    put(corpus, &splits);
    Ok(())
}

/// Keeps the splits that the articles have, and takes a missing one from the training articles; see [`complete`].
///
/// # Errors
/// As [`complete`].
pub fn keep(corpus: &mut Corpus, shares: &SplitShares) -> Result<Vec<Split>> {
    let given: Vec<Split> = corpus.articles.iter().map(|article| article.split).collect();
    let (splits, made) = complete(&given, &categories_of(corpus), &corpus.categories, shares)?;
    put(corpus, &splits);
    Ok(made)
}

fn categories_of(corpus: &Corpus) -> Vec<CategoryId> {
    corpus.articles.iter().map(|article| article.category).collect()
}

fn put(corpus: &mut Corpus, splits: &[Split]) {
    corpus.articles.iter_mut().zip(splits).for_each(|(article, split)| article.split = *split);
}

/// The splits of texts with these categories, called `names`; see [`assign`].
///
/// # Errors
/// As [`assign`].
pub fn divide(categories: &[CategoryId], names: &[String], shares: &SplitShares) -> Result<Vec<Split>> {
    let mut random = ChaCha8Rng::seed_from_u64(shares.seed);
    let mut splits = vec![Split::Train; categories.len()];
    let mut divide = |texts: &[usize]| {
        let sizes = Sizes::of(texts.len(), shares);
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.shuffle(&mut random);
        for (rank, at) in order.into_iter().enumerate() {
            splits[texts[at]] = sizes.split_of(rank);
        }
    };
    if shares.stratified {
        let mut texts = vec![Vec::new(); names.len()];
        categories.iter().enumerate().for_each(|(at, category)| texts[category.index()].push(at));
        texts.iter().for_each(|texts| divide(texts));
    } else {
        divide(&(0..categories.len()).collect::<Vec<_>>());
    }
    check_not_empty(&splits, shares)?;
    if shares.stratified {
        let mut untrained = categories_without(Split::Train, categories, &splits, names);
        let occurs = |name: &&str| categories.iter().any(|category| names[category.index()] == *name);
        untrained.retain(occurs);
        ensure!(
            untrained.is_empty(),
            "no article is left for training in: {}; expected more articles there, or smaller shares in \
             [corpus.split]",
            some_names(&untrained)
        );
    }
    Ok(splits)
}

/// Keeps the splits that are `given`. Validation and test are taken from the training texts if none is given and
/// their share is not 0. Returns the splits, and those that were made.
///
/// # Errors
/// When no training text is given, or as [`divide`].
pub fn complete(
    given: &[Split],
    categories: &[CategoryId],
    names: &[String],
    shares: &SplitShares,
) -> Result<(Vec<Split>, Vec<Split>)> {
    let training: Vec<usize> = (0..given.len()).filter(|&at| given[at] == Split::Train).collect();
    ensure!(
        !training.is_empty(),
        "the corpus gives splits, but no text for training; expected texts of the split train"
    );
    let share = |split, share| if given.contains(&split) { 0.0 } else { share };
    let shares = SplitShares {
        test: share(Split::Test, shares.test),
        validation: share(Split::Validation, shares.validation),
        ..shares.clone()
    };
    let made: Vec<Split> = [(Split::Validation, shares.validation), (Split::Test, shares.test)]
        .into_iter()
        .filter_map(|(split, share)| (share > 0.0).then_some(split))
        .collect();
    let mut splits = given.to_vec();
    if !made.is_empty() {
        let of_training: Vec<CategoryId> = training.iter().map(|&at| categories[at]).collect();
        for (at, split) in training.into_iter().zip(divide(&of_training, names, &shares)?) {
            splits[at] = split;
        }
    }
    Ok((splits, made))
}

/// Sorts the articles in the order of [`assign`]'s shuffle with the same seed, as in the reproduced article: first the
/// training part, then the test, each in random order. (After a stratified split, the splits are mixed.)
pub fn shuffle(corpus: &mut Corpus, seed: u64) {
    corpus.articles.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
}

/// The names of the categories without texts in `split`. The model cannot learn a category without training texts, and the
/// report cannot measure one without test texts.
pub fn categories_without<'n>(
    split: Split,
    categories: &[CategoryId],
    splits: &[Split],
    names: &'n [String],
) -> Vec<&'n str> {
    let mut has_texts = vec![false; names.len()];
    for (category, _) in categories.iter().zip(splits).filter(|(_, found)| **found == split) {
        has_texts[category.index()] = true;
    }
    let without = names.iter().zip(has_texts).filter(|(_, has_texts)| !has_texts);
    without.map(|(name, _)| name.as_str()).collect()
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

fn check_not_empty(found: &[Split], shares: &SplitShares) -> Result<()> {
    let train = 1.0 - shares.test - shares.validation;
    let splits = [(Split::Train, train), (Split::Validation, shares.validation), (Split::Test, shares.test)];
    for (split, share) in splits {
        ensure!(
            share <= 0.0 || found.contains(&split),
            "the {} split, a share of {share:.3} of {} articles, is empty; expected more articles, or \
             other shares in [corpus.split]",
            split.name(),
            found.len()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use midashi_artifacts::Article;

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
            let splits: Vec<Split> = corpus.articles.iter().map(|article| article.split).collect();
            categories_without(Split::Train, &categories_of(corpus), &splits, &corpus.categories)
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>()
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

    fn completed(given: &[Split], shares: &SplitShares) -> Result<(Vec<Split>, Vec<Split>), String> {
        let categories: Vec<CategoryId> = (0..given.len()).map(|at| CategoryId(at as u16 % 2)).collect();
        let names = ["a", "b"].map(str::to_owned);
        complete(given, &categories, &names, shares).map_err(|error| error.to_string())
    }

    #[test]
    fn given_splits_are_kept_and_only_missing_ones_are_made() {
        let given = [vec![Split::Train; 80], vec![Split::Test; 20]].concat();
        let kept = completed(&given, &shares(0.5, 0.0, false, 0)).unwrap();
        assert_eq!(kept, (given.clone(), vec![]), "the share of the test does not matter");

        let (splits, made) = completed(&given, &shares(0.5, 0.1, true, 0)).unwrap();
        assert_eq!((counts(&splits), made), ([72, 8, 20], vec![Split::Validation]));
        assert_eq!(splits[80..], given[80..]);

        let given = [vec![Split::Train; 80], vec![Split::Validation; 20]].concat();
        let (splits, made) = completed(&given, &shares(0.25, 0.1, false, 0)).unwrap();
        assert_eq!((counts(&splits), made), ([60, 20, 20], vec![Split::Test]));
        assert_eq!(completed(&given, &shares(0.0, 0.0, false, 0)).unwrap().1, [], "a share of 0 makes none");

        let message = completed(&[Split::Test; 4], &shares(0.2, 0.0, false, 0)).unwrap_err();
        assert!(message.contains("no text for training"), "{message}");
    }
}
