//! A corpus's texts as the inputs of a graph: token ids, or the hidden states of the frozen layers, cached in
//! `features.arrow` or computed batch by batch.

use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::time::Instant;

use midashi_artifacts::{Error as ArtifactError, Features, FeaturesKey, FeaturesWriter, TokenizedCorpus};
use midashi_encoder::{Batch, PaddingRule, TextIds, batches_by_length};
use midashi_stage::Progress;
use midashi_text::{Encoding, WindowRows};

use crate::windows::RowIds;
use crate::{Error, Result, Trunk};

/// Hidden states of a corpus's texts after the frozen layers.
pub enum HiddenStates {
    /// Those of all texts, computed before.
    Cached(Features),
    /// Computed for each batch.
    Computed(Trunk),
}

/// The texts of a corpus, ready to be fed to a graph. A row below is a text, or a window of a long text.
pub struct CorpusInputs<'a> {
    /// The texts.
    pub corpus: &'a TokenizedCorpus,
    /// The texts' windows; each text is one row where long texts are truncated.
    pub rows: WindowRows,
    /// Fills up the token ids of a batch.
    pub pad_token_id: i64,
    /// The hidden states of the frozen layers, where there are any: the graph then starts after them.
    pub hidden_states: Option<HiddenStates>,
}

impl HiddenStates {
    /// The hidden states in `path`, if they were computed under `key`. A damaged file is removed, which is printed.
    ///
    /// # Errors
    /// When the file cannot be read, or a damaged one cannot be removed.
    pub fn cached(path: &Path, key: &FeaturesKey, corpus: &TokenizedCorpus) -> Result<Option<Self>> {
        let names = names_and_lengths(corpus, &corpus.rows());
        let names: Vec<(&str, usize)> = names.iter().map(|(name, length)| (&**name, *length)).collect();
        match Features::open(path, key, &names) {
            Ok(features) => Ok(features.map(Self::Cached)),
            Err(error @ (ArtifactError::Stage(_) | ArtifactError::BeyondFloat16 { .. })) => Err(error.into()),
            Err(error @ ArtifactError::BadArtifact { .. }) => {
                midashi_stage::outln!("  {error}; the file is removed");
                fs::remove_file(path).map_err(midashi_stage::Error::io("remove", path))?;
                Ok(None)
            }
        }
    }

    /// The hidden states in `path`, computed with `trunk` and written there unless they were before.
    ///
    /// # Errors
    /// When the trunk cannot be prepared or run, or the file cannot be written.
    pub fn cache(
        path: &Path,
        key: &FeaturesKey,
        corpus: &TokenizedCorpus,
        trunk: impl FnOnce() -> Result<Trunk>,
    ) -> Result<Self> {
        let layers = key.trunk_layers;
        if let Some(cached) = Self::cached(path, key, corpus)? {
            midashi_stage::outln!("  features of {layers} frozen layers: read from {}", path.display());
            return Ok(cached);
        }
        let started = Instant::now();
        let (trunk, rows) = (trunk()?, corpus.rows());
        let (names, row_ids) = (names_and_lengths(corpus, &rows), ids_of(corpus, &rows, 0..rows.len()));
        let ids: Vec<TextIds<'_>> = row_ids.iter().map(RowIds::ids).collect();
        let mut writer = FeaturesWriter::create(path, key)?;
        let unit = if corpus.windowing.is_some() { "windows" } else { "texts" };
        let mut progress = Progress::new(format!("{layers} frozen layers"), ids.len() as u64, unit);
        let name = |row: usize| names[row].0.clone().into_owned();
        trunk.each_batch(&ids, name, |batch, hidden| {
            let sizes: Vec<usize> =
                batch.iter().map(|&row| ids[row].input_ids.len() * key.hidden_size).collect();
            let names: Vec<&str> = batch.iter().map(|&row| &*names[row].0).collect();
            writer.add(&names, &sizes, hidden)?;
            progress.advance(batch.len() as u64);
            Ok(())
        })?;
        progress.finish();
        writer.finish()?;
        let seconds = started.elapsed().as_secs_f64();
        midashi_stage::outln!(
            "  features of {layers} frozen layers: {} {unit} in {seconds:.1} s ({:.0}/s)",
            names.len(),
            names.len() as f64 / seconds
        );
        let texts: Vec<(&str, usize)> = names.iter().map(|(name, length)| (&**name, *length)).collect();
        let features = Features::open_written(path, key, &texts)?;
        let unread = || Error::bad_model(path, "the file was written but cannot be read");
        Ok(Self::Cached(features.ok_or_else(unread)?))
    }

    /// The rows `chosen` of `corpus` as the inputs of a graph that starts after the frozen layers.
    fn batch(&self, corpus: &TokenizedCorpus, rows: &WindowRows, chosen: &[usize]) -> Result<Batch> {
        match self {
            Self::Cached(features) => {
                let hidden: Vec<_> = chosen.iter().map(|&row| features.hidden(row)).collect();
                Ok(Batch::of_hidden(&hidden, features.hidden_size()))
            }
            Self::Computed(trunk) => {
                let ids = ids_of(corpus, rows, chosen.iter().copied());
                let name = |at: usize| corpus.texts[rows.text(chosen[at])].id.clone();
                trunk.batch(&ids.iter().map(RowIds::ids).collect::<Vec<_>>(), name)
            }
        }
    }
}

impl CorpusInputs<'_> {
    /// These rows as the inputs of a graph.
    ///
    /// # Errors
    /// When hidden states have to be computed and that fails, or padding is to be attended to although there are
    /// hidden states.
    pub fn batch(&self, rows: &[usize], padding: PaddingRule) -> Result<Batch> {
        match &self.hidden_states {
            None => {
                let ids = ids_of(self.corpus, &self.rows, rows.iter().copied());
                let ids: Vec<TextIds<'_>> = ids.iter().map(RowIds::ids).collect();
                Ok(Batch::of_ids(&ids, self.pad_token_id, padding))
            }
            Some(_) if padding == PaddingRule::Attended => Err(Error::AttendedPadding),
            Some(hidden_states) => hidden_states.batch(self.corpus, &self.rows, rows),
        }
    }

    /// `rows` in batches of similar length, of at most `batch_tokens` tokens each.
    pub fn batches_by_length(&self, rows: &[usize], batch_tokens: usize) -> Vec<Vec<usize>> {
        let batches = batches_by_length(&self.lengths(rows), batch_tokens);
        batches.into_iter().map(|batch| batch.into_iter().map(|at| rows[at]).collect()).collect()
    }

    /// The lengths of rows in tokens.
    pub fn lengths(&self, rows: &[usize]) -> Vec<usize> {
        rows.iter().map(|&row| self.rows.window(row).len()).collect()
    }

    /// The rows of these texts, in their order.
    pub fn rows_of(&self, texts: &[usize]) -> Vec<usize> {
        texts.iter().flat_map(|&text| self.rows.rows(text)).collect()
    }
}

/// The part of an encoding that a graph reads.
pub fn text_ids(encoding: &Encoding) -> TextIds<'_> {
    TextIds { input_ids: &encoding.input_ids, token_type_ids: &encoding.token_type_ids }
}

fn ids_of<'a>(
    corpus: &'a TokenizedCorpus,
    rows: &WindowRows,
    chosen: impl Iterator<Item = usize>,
) -> Vec<RowIds<'a>> {
    chosen.map(|row| RowIds::of(&corpus.texts[rows.text(row)].encoding, rows.window(row))).collect()
}

/// The name of each row in `features.arrow`, and its length in tokens: the article's id or, where long texts are read in
/// windows, the window's number in its text, a tab and the id.
fn names_and_lengths<'a>(corpus: &'a TokenizedCorpus, rows: &WindowRows) -> Vec<(Cow<'a, str>, usize)> {
    let name = |row: usize| {
        let (text, id) = (rows.text(row), corpus.texts[rows.text(row)].id.as_str());
        let window = row - rows.rows(text).start;
        if corpus.windowing.is_some() { Cow::Owned(format!("{window}\t{id}")) } else { Cow::Borrowed(id) }
    };
    (0..rows.len()).map(|row| (name(row), rows.window(row).len())).collect()
}
