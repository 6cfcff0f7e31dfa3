//! Near-duplicate titles. A test text with a near-duplicate in the training split is no evidence that the model
//! generalises.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use midashi_artifacts::{Article, Split};
use midashi_text::is_invisible;
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use crate::artifacts::Artifacts;
use crate::share::share;
use midashi_page::Strings;

/// Characters in a shingle. Shingles of characters need no word boundaries, which Japanese does not write.
const SHINGLE: usize = 3;
/// Minimum Jaccard similarity of two titles' sets of shingles (Broder 1997).
const LEAST: f64 = 0.8;
/// Rows of the table.
const MOST_PAIRS: usize = 50;

/// Test texts with a near-duplicate title in the training split.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearDuplicates {
    /// Minimum similarity.
    pub least: f64,
    /// Characters in a shingle.
    pub shingle: usize,
    /// Number of pairs of a test title and a training title.
    pub pairs: usize,
    /// Number of test texts in these pairs.
    pub texts: usize,
    /// Accuracy on them; none if there are none.
    pub accuracy_of_these: Option<f64>,
    /// Number of the other test texts.
    pub others: usize,
    /// Accuracy on the others; none if there are none.
    pub accuracy_of_others: Option<f64>,
    /// Each text's most similar pair in descending order of similarity, at most [`MOST_PAIRS`].
    pub shown: Vec<TitlePair>,
}

/// A test title and its most similar training title.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TitlePair {
    /// Jaccard similarity, in [0, 1].
    pub similarity: f64,
    /// The test article's id.
    pub id: String,
    /// Its title.
    pub test: String,
    /// Its category.
    pub test_label: String,
    /// Whether it is classified correctly.
    pub correct: bool,
    /// The training article's title.
    pub train: String,
    /// Its category.
    pub train_label: String,
    /// Number of further near-duplicates in the training split.
    pub more: usize,
}

/// The near-duplicates.
pub fn section(artifacts: &Artifacts, _: &Strings) -> anyhow::Result<Option<Value>> {
    Ok(Some(Value::from(Serde(NearDuplicates::of(artifacts)?))))
}

impl NearDuplicates {
    /// Compares every title of the test split with every title of the training split.
    fn of(artifacts: &Artifacts) -> anyhow::Result<Self> {
        let Artifacts { corpus, predictions, .. } = artifacts;
        let of_split = |split| corpus.articles.iter().filter(move |article| article.split == split);
        let train: Vec<&Article> = of_split(Split::Train).collect();
        let test: Vec<&Article> = of_split(Split::Test).collect();
        let right: HashMap<&str, bool> =
            predictions.rows.iter().map(|row| (row.id.as_str(), row.predicted == row.label)).collect();
        let correct = test.iter().map(|article| {
            right.get(article.id.as_str()).copied().with_context(|| {
                format!(
                    "corpus.parquet: test text {:?} is not in predictions.parquet; run `make evaluate` again",
                    article.id
                )
            })
        });
        let correct = correct.collect::<anyhow::Result<Vec<bool>>>()?;
        let titles =
            |articles: &[&Article]| articles.iter().map(|article| normalised(&article.title)).collect();
        let (train_titles, test_titles): (Vec<String>, Vec<String>) = (titles(&train), titles(&test));
        let found = similar(&train_titles, &test_titles, LEAST);

        let label = |article: &Article| {
            let name = corpus.categories.get(article.category.index());
            name.cloned().with_context(|| format!("corpus.parquet: row {:?} has no category", article.id))
        };
        let mut shown = Vec::new();
        for pairs in found.chunk_by(|one, other| one.probe == other.probe) {
            let (article, best) = (test[pairs[0].probe], train[pairs[0].indexed]);
            shown.push(TitlePair {
                similarity: pairs[0].similarity,
                id: article.id.clone(),
                test: article.title.clone(),
                test_label: label(article)?,
                correct: correct[pairs[0].probe],
                train: best.title.clone(),
                train_label: label(best)?,
                more: pairs.len() - 1,
            });
        }
        let (texts, others) = (shown.len(), test.len() - shown.len());
        let right = shown.iter().filter(|pair| pair.correct).count();
        let right_of_others = correct.iter().filter(|correct| **correct).count() - right;
        let accuracy = |right: usize, texts: usize| (texts > 0).then(|| share(right as f64, texts as f64));
        shown.sort_by(|one, other| other.similarity.total_cmp(&one.similarity));
        shown.truncate(MOST_PAIRS);
        Ok(Self {
            least: LEAST,
            shingle: SHINGLE,
            pairs: found.len(),
            texts,
            accuracy_of_these: accuracy(right, texts),
            others,
            accuracy_of_others: accuracy(right_of_others, others),
            shown,
        })
    }
}

/// The title without differences of spelling: width and case of letters, white space, and invisible characters.
fn normalised(title: &str) -> String {
    let folded = title.nfkc().flat_map(char::to_lowercase);
    folded.filter(|&c| !is_invisible(c)).collect()
}

/// The indices of two similar texts.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pair {
    probe: usize,
    indexed: usize,
    similarity: f64,
}

/// All pairs of a text in `indexed` and a text in `probes` whose sets of shingles have a Jaccard similarity of at
/// least `least`. Ordered by probe, then by descending similarity.
///
/// Exact, by prefix filtering (Chaudhuri et al. 2006; Bayardo et al. 2007): with the rarest shingles first, two sets
/// that are similar enough share one of the first `|x| − ⌈least·|x|⌉ + 1` of each. The inverted index has only
/// these shingles, so it has no long lists of frequent shingles.
fn similar(indexed: &[String], probes: &[String], least: f64) -> Vec<Pair> {
    let sets = rarest_first(indexed.iter().chain(probes));
    let (indexed, probes) = sets.split_at(indexed.len());
    // Rounding must not shorten a prefix; one more shingle costs nothing.
    let prefix = |set: &[u32]| set.len() - ((least * set.len() as f64 - 1e-9).ceil() as usize).min(set.len());
    let mut index: HashMap<u32, Vec<usize>> = HashMap::new();
    for (at, set) in indexed.iter().enumerate() {
        for &shingle in set.iter().take(prefix(set) + 1) {
            index.entry(shingle).or_default().push(at);
        }
    }
    let mut pairs = Vec::new();
    for (probe, set) in probes.iter().enumerate() {
        let listed = set.iter().take(prefix(set) + 1).filter_map(|shingle| index.get(shingle)).flatten();
        let candidates: HashSet<usize> = listed.copied().collect();
        let compared = candidates.into_iter().map(|at| Pair {
            probe,
            indexed: at,
            similarity: jaccard(set, &indexed[at]),
        });
        let mut similar: Vec<Pair> = compared.filter(|pair| pair.similarity >= least).collect();
        similar.sort_by(|one, other| {
            other.similarity.total_cmp(&one.similarity).then(one.indexed.cmp(&other.indexed))
        });
        pairs.extend(similar);
    }
    pairs
}

/// Each text's shingles as ranks in ascending order; rarer shingles have smaller ranks.
fn rarest_first<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<Vec<u32>> {
    let sets: Vec<Vec<u64>> = texts.map(|text| shingles(text)).collect();
    let mut counts: HashMap<u64, u32> = HashMap::new();
    for &shingle in sets.iter().flatten() {
        *counts.entry(shingle).or_default() += 1;
    }
    let mut order: Vec<(u32, u64)> = counts.into_iter().map(|(shingle, count)| (count, shingle)).collect();
    order.sort_unstable();
    let ranks: HashMap<u64, u32> = order.into_iter().map(|(_, shingle)| shingle).zip(0..).collect();
    let ranked = sets.iter().map(|set| {
        let mut set: Vec<u32> = set.iter().map(|shingle| ranks[shingle]).collect();
        set.sort_unstable();
        set
    });
    ranked.collect()
}

/// The distinct runs of [`SHINGLE`] characters in ascending order. A shorter text is one run, an empty text none.
fn shingles(text: &str) -> Vec<u64> {
    // A character has 21 bits, so three fit a number; no normalised text contains U+0000.
    let number = |run: &[char]| run.iter().fold(0, |number, &c| number << 21 | u64::from(u32::from(c)));
    let characters: Vec<char> = text.chars().collect();
    let mut shingles: Vec<u64> = match characters.len() {
        0 => vec![],
        length if length < SHINGLE => vec![number(&characters)],
        _ => characters.windows(SHINGLE).map(number).collect(),
    };
    shingles.sort_unstable();
    shingles.dedup();
    shingles
}

/// The Jaccard similarity of two ascending sets.
fn jaccard(one: &[u32], other: &[u32]) -> f64 {
    let both = one.iter().filter(|shingle| other.binary_search(shingle).is_ok()).count();
    share(both as f64, (one.len() + other.len() - both) as f64)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn spellings_that_look_alike_are_the_same_title() {
        let same = ["Ｎｅｗ　アプリ", "new ｱﾌﾟﾘ", "NE\u{200B}W アプリ\u{202E}"].map(normalised);
        assert!(same.iter().all(|title| title == "newアプリ"), "{same:?}");
    }

    #[test]
    fn similarity_is_the_share_of_common_trigrams() {
        // abcd: abc bcd. abcde: abc bcd cde. Two of three are common.
        let texts = ["abcd", "abcde", "xy", ""].map(str::to_owned);
        let pair = |indexed, similarity| Pair { probe: 0, indexed, similarity };
        assert_eq!(similar(&texts, &["abcd".to_owned()], 0.6), [pair(0, 1.0), pair(1, 2.0 / 3.0)]);
        assert_eq!(similar(&texts, &["abcd".to_owned()], 0.7), [pair(0, 1.0)]);
        assert_eq!(similar(&texts, &["xy".to_owned()], 0.8), [pair(2, 1.0)], "too short for a trigram");
        assert_eq!(similar(&texts, &[String::new()], 0.8), [], "nothing is like nothing");
    }

    /// Titles over an alphabet of `letters`; two of three are the title before them with another letter in one place.
    fn variants(count: usize, letters: u64) -> Vec<String> {
        let mut state = 1_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let letter = |number: u64| char::from_u32(0x4E00 + number as u32).unwrap();
        let mut texts: Vec<String> = Vec::new();
        for at in 0..count {
            let mut written: Vec<char> = match texts.last() {
                Some(last) if at % 3 > 0 => last.chars().collect(),
                _ => (0..5 + random(30)).map(|_| letter(random(letters))).collect(),
            };
            let place = random(written.len() as u64) as usize;
            written[place] = letter(random(letters));
            texts.push(written.into_iter().collect());
        }
        texts
    }

    /// Every fifth text, and the others.
    fn apart(texts: Vec<String>) -> (Vec<String>, Vec<String>) {
        let (fifths, others): (Vec<_>, Vec<_>) =
            texts.into_iter().enumerate().partition(|(at, _)| at % 5 == 0);
        let texts = |numbered: Vec<(usize, String)>| numbered.into_iter().map(|(_, text)| text).collect();
        (texts(fifths), texts(others))
    }

    #[test]
    fn twenty_thousand_titles_are_not_compared_with_each_other() {
        let (probes, indexed) = apart(variants(20_000, 60));
        let started = Instant::now();
        let found = similar(&indexed, &probes, LEAST);
        let seconds = started.elapsed().as_secs_f64();
        println!("{} pairs in {seconds:.3} s", found.len());
        // Measured: half a second on two busy cores. Comparing all pairs takes minutes.
        assert!(seconds < 30.0 && found.len() > 1000, "{} pairs in {seconds} s", found.len());
    }

    #[test]
    fn the_index_finds_what_comparing_all_pairs_finds() {
        let (probes, indexed) = apart(variants(600, 8));
        let mut expected = Vec::new();
        for (probe, text) in probes.iter().enumerate() {
            for (at, other) in indexed.iter().enumerate() {
                let [one, other] = [text, other].map(|text| HashSet::<u64>::from_iter(shingles(text)));
                let both = one.intersection(&other).count();
                let similarity = both as f64 / (one.len() + other.len() - both) as f64;
                if similarity >= LEAST {
                    expected.push((probe, at));
                }
            }
        }
        let found = similar(&indexed, &probes, LEAST);
        assert!(found.is_sorted_by_key(|pair| pair.probe));
        let mut found: Vec<_> = found.into_iter().map(|pair| (pair.probe, pair.indexed)).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
        assert!(found.len() > 50, "{} pairs", found.len());
    }
}
