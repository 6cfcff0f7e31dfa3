//! Learning a WordPiece vocabulary from texts, for a model that is trained from scratch.
//!
//! The `tokenizers` library has a trainer, but its ties depend on the order of hash maps that are seeded anew in every
//! process, so two runs over one corpus can give different vocabularies. Runs must be reproducible, so this is the same
//! algorithm with ties broken by the order of spellings. A test compares it with the library's trainer.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::path::Path;

use serde_json::json;

use crate::aligned::Aligned;
use crate::dictionaries::Dictionaries;
use crate::dictionary::MecabDictionary;
use crate::error::{Error, Result, write};
use crate::settings::{SETTINGS, VOCABULARY};
use crate::vocabulary::CONTINUATION;
use crate::wordpiece::is_python_space;
use crate::words::WordSplitter;

/// The special tokens, in the order of BERT's vocabularies.
const SPECIAL_TOKENS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

/// The limits of a vocabulary to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VocabularySize {
    /// Number of pieces, special tokens included. There are fewer if no pair is frequent enough.
    pub pieces: usize,
    /// The least frequency of a pair of pieces that is joined.
    pub min_frequency: u64,
    /// Number of the most frequent characters that get pieces of their own. Words with other characters become `[UNK]`.
    pub alphabet: usize,
}

impl Default for VocabularySize {
    /// 32,000 pieces as in the Tohoku models, and a frequency of 2 and 6,000 characters, the defaults of `tokenizers`' and
    /// BERT's recipes.
    fn default() -> Self {
        Self { pieces: 32_000, min_frequency: 2, alphabet: 6_000 }
    }
}

/// Learns a WordPiece vocabulary from `texts` and writes `vocab.txt` and `tokenizer_config.json` into the existing `folder`.
/// Both [`Tokenizer::load`](crate::Tokenizer::load) and transformers' `BertJapaneseTokenizer` can load the folder. The two
/// files are not written atomically.
///
/// The vocabulary does not depend on the order of the texts. Returns the number of pieces.
///
/// # Errors
///
/// If the dictionary cannot be opened, the alphabet is larger than the vocabulary, or the folder cannot be written.
pub fn learn_vocabulary<T: AsRef<str>>(
    texts: impl IntoIterator<Item = T>,
    dictionaries: &Dictionaries,
    dictionary: &MecabDictionary,
    size: &VocabularySize,
    folder: &Path,
) -> Result<usize> {
    let words = dictionaries.open(dictionary)?;
    let mut splitter = WordSplitter::mecab(&words);
    let mut counts = BTreeMap::<String, u64>::new();
    for text in texts {
        splitter.split(Aligned::new(text.as_ref()).nfkc().text(), |word, _| {
            for run in word.split(is_python_space).filter(|run| !run.is_empty()) {
                match counts.get_mut(run) {
                    Some(count) => *count += 1,
                    None => drop(counts.insert(run.to_owned(), 1)),
                }
            }
            true
        });
    }
    let pieces = learn(&counts, size)?;
    write(&folder.join(VOCABULARY), pieces.join("\n") + "\n")?;
    let settings = json!({
        "tokenizer_class": "BertJapaneseTokenizer",
        "do_lower_case": false,
        "word_tokenizer_type": "mecab",
        "subword_tokenizer_type": "wordpiece",
        "mecab_kwargs": dictionaries.located(dictionary)?.settings(),
    });
    write(&folder.join(SETTINGS), format!("{settings:#}\n"))?;
    Ok(pieces.len())
}

/// The id of a piece: its line in the vocabulary, from 0.
type PieceId = u32;
type Pair = (PieceId, PieceId);

/// The vocabulary: special tokens, single characters, their continuations, then joined pieces in the order of joining.
fn learn(counts: &BTreeMap<String, u64>, size: &VocabularySize) -> Result<Vec<String>> {
    let alphabet = alphabet(counts, size.alphabet);
    // Words with a character outside the alphabet become [UNK], so they are not counted.
    let counts =
        counts.iter().filter(|(word, _)| word.chars().all(|character| alphabet.contains(&character)));
    let mut pieces = Pieces::default();
    for token in SPECIAL_TOKENS {
        pieces.id(token.to_owned());
    }
    for character in &alphabet {
        pieces.id(character.to_string());
    }
    let continuations: BTreeSet<char> = counts.clone().flat_map(|(word, _)| word.chars().skip(1)).collect();
    for character in continuations {
        pieces.id(format!("{CONTINUATION}{character}"));
    }
    if pieces.spellings.len() > size.pieces {
        return Err(Error::VocabularyTooSmall { size: size.pieces, needed: pieces.spellings.len() });
    }
    let mut words = Words::default();
    for (word, &count) in counts {
        let spelled = word.chars().enumerate().map(|(at, character)| match at {
            0 => character.to_string(),
            _ => format!("{CONTINUATION}{character}"),
        });
        words.add(Word { pieces: spelled.map(|piece| pieces.id(piece)).collect(), count });
    }
    // The most frequent pair comes first; among equally frequent ones, the pair with the lowest ids.
    let mut queue: BinaryHeap<(u64, Reverse<Pair>)> =
        words.pairs.iter().map(|(&pair, found)| (found.count, Reverse(pair))).collect();
    while let Some((count, Reverse(pair))) = queue.pop() {
        if pieces.spellings.len() >= size.pieces || count < size.min_frequency.max(1) {
            break;
        }
        // The queued count may be outdated. Then the current count is in the queue too, or is queued now.
        let now = words.pairs.get(&pair).map_or(0, |found| found.count);
        if now != count {
            queue.extend((now > 0).then_some((now, Reverse(pair))));
            continue;
        }
        let joined = pieces.join(pair);
        let grown = words.join(pair, joined);
        queue.extend(
            grown.into_iter().filter_map(|pair| Some((words.pairs.get(&pair)?.count, Reverse(pair)))),
        );
    }
    Ok(pieces.spellings)
}

/// The `limit` most frequent characters. Among equally frequent ones, lower code points come first.
fn alphabet(counts: &BTreeMap<String, u64>, limit: usize) -> BTreeSet<char> {
    let mut characters = BTreeMap::<char, u64>::new();
    for (word, count) in counts {
        for character in word.chars() {
            *characters.entry(character).or_default() += count;
        }
    }
    let mut characters: Vec<_> = characters.into_iter().collect();
    characters.sort_by_key(|&(character, count)| (Reverse(count), character));
    characters.into_iter().take(limit).map(|(character, _)| character).collect()
}

/// The vocabulary so far.
#[derive(Default)]
struct Pieces {
    spellings: Vec<String>,
    ids: HashMap<String, PieceId>,
}

impl Pieces {
    /// The id of a piece, which is added if it is new.
    fn id(&mut self, spelling: String) -> PieceId {
        let next = self.spellings.len() as PieceId;
        *self.ids.entry(spelling).or_insert_with_key(|spelling| {
            self.spellings.push(spelling.clone());
            next
        })
    }

    /// The id of the piece that joins a pair.
    fn join(&mut self, (left, right): Pair) -> PieceId {
        let right = &self.spellings[right as usize];
        let right = right.strip_prefix(CONTINUATION).unwrap_or(right);
        self.id(format!("{}{right}", self.spellings[left as usize]))
    }
}

/// A word that occurs `count` times, in its current pieces.
struct Word {
    pieces: Vec<PieceId>,
    count: u64,
}

/// All words, and the occurrences of each pair of pieces in them.
#[derive(Default)]
struct Words {
    words: Vec<Word>,
    pairs: HashMap<Pair, Occurrences>,
}

#[derive(Default)]
struct Occurrences {
    count: u64,
    /// Indices of words that hold the pair now or held it earlier.
    words: Vec<usize>,
}

impl Words {
    fn add(&mut self, word: Word) {
        let index = self.words.len();
        for pair in word.pieces.windows(2) {
            let found = self.pairs.entry((pair[0], pair[1])).or_default();
            found.count += word.count;
            if found.words.last() != Some(&index) {
                found.words.push(index);
            }
        }
        self.words.push(word);
    }

    /// Replaces every `pair` by `joined`. Returns the pairs that became more frequent.
    fn join(&mut self, pair: Pair, joined: PieceId) -> HashSet<Pair> {
        let mut grown = HashSet::new();
        let places =
            self.pairs.get_mut(&pair).map(|found| std::mem::take(&mut found.words)).unwrap_or_default();
        for index in places {
            let Word { pieces, count } = &mut self.words[index];
            for old in pieces.windows(2) {
                if let Some(found) = self.pairs.get_mut(&(old[0], old[1])) {
                    found.count -= *count;
                }
            }
            replace(pieces, pair, joined);
            for new in pieces.windows(2) {
                let new = (new[0], new[1]);
                let found = self.pairs.entry(new).or_default();
                found.count += *count;
                if new.0 == joined || new.1 == joined {
                    found.words.push(index);
                    grown.insert(new);
                }
            }
        }
        grown
    }
}

/// Replaces `pair` by `joined`, from left to right.
fn replace(pieces: &mut Vec<PieceId>, pair: Pair, joined: PieceId) {
    let (mut length, mut at) = (0, 0);
    while at < pieces.len() {
        let is_pair = pieces[at] == pair.0 && pieces.get(at + 1) == Some(&pair.1);
        pieces[length] = if is_pair { joined } else { pieces[at] };
        length += 1;
        at += if is_pair { 2 } else { 1 };
    }
    pieces.truncate(length);
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
    use tokenizers::{AddedToken, Model, Trainer};

    use super::*;

    fn counts(words: &[(&str, u64)]) -> BTreeMap<String, u64> {
        words.iter().map(|&(word, count)| (word.to_owned(), count)).collect()
    }

    fn learned(words: &[(&str, u64)], pieces: usize) -> Vec<String> {
        learn(&counts(words), &VocabularySize { pieces, min_frequency: 2, alphabet: 100 }).unwrap()
    }

    #[test]
    fn frequent_pairs_are_joined_first() {
        let pieces = learned(&[("東京", 5), ("東京都", 3), ("京都", 4), ("南", 1)], 100);
        let expected = ["京", "南", "東", "都", "##京", "##都", "東京", "京都", "東京都"];
        assert_eq!(pieces[..5], SPECIAL_TOKENS);
        assert_eq!(pieces[5..], expected);
    }

    #[test]
    fn equally_frequent_pairs_are_joined_in_spelling_order() {
        let pieces = learned(&[("うえ", 2), ("あい", 2), ("うい", 2)], 100);
        assert_eq!(pieces[11..], ["あい", "うい", "うえ"]);
    }

    #[test]
    fn a_word_with_a_rare_character_is_not_counted() {
        let size = VocabularySize { pieces: 100, min_frequency: 1, alphabet: 2 };
        let pieces = learn(&counts(&[("東京", 5), ("京都", 2)]), &size).unwrap();
        assert_eq!(pieces[5..], ["京", "東", "##京", "東京"]);
    }

    #[test]
    fn too_small_a_vocabulary_is_an_error() {
        let size = VocabularySize { pieces: 6, min_frequency: 1, alphabet: 100 };
        let message = learn(&counts(&[("東京", 5)]), &size).unwrap_err().to_string();
        assert!(message.contains("6 pieces") && message.contains("alone are 8"), "{message}");
    }

    /// Naming all single pieces in advance fixes the ids of the library's trainer.
    #[test]
    fn the_vocabulary_equals_that_of_the_tokenizers_trainer() {
        let text = "らりるれろ らりるれ るれろ らりる ろれる れろ あらあら あらら ならな ならら るれるれ りるりる \
                    らりるれろ らりる ららら ろろろろ ならな れろ るれろ かきくけこ かきく きくけ くけこ かき けこ";
        let mut words = BTreeMap::<&str, u64>::new();
        for word in text.split_whitespace() {
            *words.entry(word).or_default() += 1;
        }
        let words: Vec<_> = words.into_iter().collect();
        for pieces in [30, 40, 50, 60] {
            let found = learned(&words, pieces);
            let single =
                found.iter().filter(|piece| piece.trim_start_matches(CONTINUATION).chars().count() == 1);
            let named = SPECIAL_TOKENS.iter().map(ToString::to_string).chain(single.cloned());
            let mut trainer = WordPieceTrainer::builder()
                .vocab_size(pieces)
                .min_frequency(2)
                .show_progress(false)
                .special_tokens(named.map(|piece| AddedToken::from(piece, true)).collect())
                .build();
            trainer
                .feed([text].into_iter(), |text| Ok(text.split_whitespace().map(str::to_owned).collect()))
                .unwrap();
            let mut model = WordPiece::default();
            trainer.train(&mut model).unwrap();
            let expected: Vec<_> =
                (0..model.get_vocab_size() as u32).map(|id| model.id_to_token(id).unwrap()).collect();
            assert_eq!(found, expected);
        }
    }
}
