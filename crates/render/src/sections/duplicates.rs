//! Near-duplicate titles: what the test split has almost the same in the training split is not
//! evidence that the model generalises.

use std::collections::{HashMap, HashSet};

use anyhow::Context;
use midashi_artifacts::{Article, Split};
use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use super::share;
use crate::artifacts::Artifacts;
use crate::printable::is_invisible;

/// Characters in a shingle: words need no boundaries then, which Japanese does not write.
const SHINGLE: usize = 3;
/// Least Jaccard similarity of two titles' sets of shingles (Broder 1997).
const LEAST: f64 = 0.8;
/// A longer table nobody reads.
const MOST_PAIRS: usize = 50;

/// Test texts whose title the training split has almost the same.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearDuplicates {
    /// Least similarity.
    pub least: f64,
    /// Characters in a shingle.
    pub shingle: usize,
    /// Pairs of a test title and a training title.
    pub pairs: usize,
    /// Test texts in these pairs.
    pub texts: usize,
    /// Share of them classified rightly; none without one.
    pub accuracy_of_these: Option<f64>,
    /// All other test texts.
    pub others: usize,
    /// Share of the others classified rightly; none without one.
    pub accuracy_of_others: Option<f64>,
    /// Each text's most similar pair, the most similar first; not all where there are many.
    pub shown: Vec<TitlePair>,
}

/// A test title and the training title that is most similar to it.
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
    /// Whether it is classified rightly.
    pub correct: bool,
    /// The training article's title.
    pub train: String,
    /// Its category.
    pub train_label: String,
    /// Training titles that are as similar or less, and similar enough.
    pub more: usize,
}

impl NearDuplicates {
    /// Compares every title of the test split with every title of the training split.
    ///
    /// # Errors
    /// When the artifacts do not belong together.
    pub fn of(artifacts: &Artifacts) -> anyhow::Result<Self> {
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

/// Without what may differ between two spellings of one title: width and case of letters, white space, and
/// characters that have no shape.
fn normalised(title: &str) -> String {
    let folded = title.nfkc().flat_map(char::to_lowercase);
    folded.filter(|&c| !is_invisible(c)).collect()
}

/// Two texts that are similar, by their places.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Pair {
    probe: usize,
    indexed: usize,
    similarity: f64,
}

/// All pairs of a text of `indexed` and one of `probes` whose sets of shingles have a Jaccard similarity
/// of at least `least`; by probe, and for each the most similar first.
///
/// Exact, by prefix filtering (Chaudhuri et al. 2006; Bayardo et al. 2007): with the rarest shingles first,
/// two sets that are similar enough share one among the first `|x| − ⌈least·|x|⌉ + 1` of each. Only those
/// are in the inverted index, which spares the long lists of frequent shingles.
fn similar(indexed: &[String], probes: &[String], least: f64) -> Vec<Pair> {
    let sets = rarest_first(indexed.iter().chain(probes));
    let (indexed, probes) = sets.split_at(indexed.len());
    // Rounding must not shorten a prefix: one shingle more costs nothing.
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

/// Each text's shingles by their ranks, ascending; the rarer, the smaller.
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

/// Every run of [`SHINGLE`] characters once, ascending; of a shorter text the whole, of an empty one none.
fn shingles(text: &str) -> Vec<u64> {
    // A character has 21 bits, so that a shingle is a number; U+0000 is in no normalised text.
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

/// Share of two ascending sets' elements that both have.
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
    fn twenty_thousand_titles_are_compared_in_two_seconds() {
        let (probes, indexed) = apart(variants(20_000, 60));
        let started = Instant::now();
        let found = similar(&indexed, &probes, LEAST);
        let seconds = started.elapsed().as_secs_f64();
        println!("{} pairs in {seconds:.3} s", found.len());
        // Measured: a quarter of that on two busy cores.
        assert!(seconds < 2.0 && found.len() > 1000, "{} pairs in {seconds} s", found.len());
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
