//! A fine-tuned model that classifies texts.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use midashi_config::{Config, Evaluate, LongTexts, TextChoice};
use midashi_encoder::{MatmulPrecision, Start, TextIds, classifier};
use midashi_runtime::{Engine, Lanes, Session};
use midashi_text::{Encoding, WindowRows, Windowing};
use midashi_tokenizer::{Dictionaries, Encoded, Length, Tokenizer};

use crate::batches::Batches;
use crate::encode::{check_length, encode_text};
use crate::explanation_sessions::ExplanationSessions;
use crate::quantized::lanes;
use crate::windows::RowIds;
use crate::word_embeddings::WordEmbeddings;
use crate::{Error, Integration, ModelFolder, Prediction, Result};

/// How texts are read and computed.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where a MeCab dictionary is looked for.
    pub dictionaries: Dictionaries,
    /// The part of an article that a text is, if not the part that the model was trained on. With
    /// [`TextChoice::TitleAndBody`] the first line of a text is the title.
    pub text: Option<TextChoice>,
    /// Longest input in tokens, if not the length that the model was trained on; a model with fewer positions reads
    /// fewer.
    pub max_length: Option<usize>,
    /// Most tokens of a batch, padding included; a thread of a CPU computes a part of them ([`Lanes::tokens`]).
    pub batch_tokens: usize,
    /// How exact integrated gradients have to be.
    pub integration: Integration,
    /// Most GiB for the attention that the explanation of a text keeps of all layers; 0 is no limit.
    pub memory_gib: f64,
}

/// A fine-tuned model: `model/` of a run, computed as a whole in float32 like `classifier.onnx`.
///
/// Its graphs start at word embeddings, because integrated gradients need points between texts. The embeddings lie
/// beside the graphs, once.
pub struct Classifier<'e> {
    pub(crate) engine: &'e Engine,
    pub(crate) model: ModelFolder,
    pub(crate) options: Options,
    pub(crate) embeddings: WordEmbeddings,
    lanes: Lanes,
    pub(crate) explanations: ExplanationSessions,
    /// Loaded by the first text that is not tokenised yet.
    pub(crate) tokenizer: Option<Arc<Tokenizer>>,
}

impl Default for Options {
    /// The defaults of a run's configuration, with dictionaries in `cache/`.
    fn default() -> Self {
        Self::of(&Config::default())
    }
}

impl Options {
    /// The options that a run's configuration states. Texts are read as in the training, which `model/` records.
    pub fn of(config: &Config) -> Self {
        let Evaluate { batch_tokens, ref explain, .. } = config.evaluate;
        Self {
            dictionaries: Dictionaries::below(&config.run.cache)
                .on_unsaved(|note| midashi_stage::errln!("  {note}")),
            text: None,
            max_length: None,
            batch_tokens,
            integration: Integration { points: explain.integration_points, error: explain.integration_error },
            memory_gib: explain.memory_gib,
        }
    }
}

impl Options {
    /// The part of an article that a text is for `model`.
    pub fn text_of(&self, model: &ModelFolder) -> TextChoice {
        self.text.unwrap_or(model.training().text)
    }

    /// Longest input of `model` in tokens.
    pub fn max_length_of(&self, model: &ModelFolder) -> usize {
        let longest = model.config().max_tokens();
        self.max_length.map_or(model.max_length(), |length| length.min(longest))
    }

    /// How `model` reads long texts: in windows if it was trained on windows.
    pub fn length_of(&self, model: &ModelFolder) -> Length {
        let (max_length, training) = (self.max_length_of(model), model.training());
        match training.long_texts {
            LongTexts::Truncate => Length::AtMost(max_length),
            LongTexts::Windows => Length::Windows(Windowing { max_length, stride: training.stride }),
        }
    }
}

impl<'e> Classifier<'e> {
    /// Opens the folder `model/` of a run with the default [`Options`].
    ///
    /// # Errors
    /// When a file is missing or damaged, or ONNX Runtime refuses the graph.
    pub fn open(folder: &Path, engine: &'e Engine) -> Result<Self> {
        Self::with_options(ModelFolder::open(folder)?, engine, Options::default())
    }

    /// Opens a model whose small files have been read.
    ///
    /// # Errors
    /// When a weight is missing or damaged, or ONNX Runtime refuses the graph.
    pub fn with_options(model: ModelFolder, engine: &'e Engine, options: Options) -> Result<Self> {
        let mut weights = model.weights()?;
        let graph = classifier(model.config(), model.head(), Start::InputsEmbeds)?;
        let name = model.config().word_embeddings();
        let embeddings = weights.remove(&name).ok_or(midashi_encoder::Error::Unfilled(name))?;
        let lanes = lanes(engine, &graph, "classifier", Cow::Owned(weights), MatmulPrecision::Float32)?;
        Ok(Self {
            engine,
            model,
            options,
            embeddings: WordEmbeddings(embeddings),
            lanes,
            explanations: ExplanationSessions::default(),
            tokenizer: None,
        })
    }

    /// The model's folder.
    pub fn model(&self) -> &ModelFolder {
        &self.model
    }

    /// Category names, in the order of the probabilities.
    pub fn labels(&self) -> &[String] {
        self.model.labels()
    }

    /// The part of an article that a text is.
    pub fn text(&self) -> TextChoice {
        self.options.text_of(&self.model)
    }

    /// Longest input in tokens; the rest of a longer text is not read, or is read in further windows.
    pub fn max_length(&self) -> usize {
        self.options.max_length_of(&self.model)
    }

    /// How long texts are read: cut at their ends, or in windows.
    pub fn length(&self) -> Length {
        self.options.length_of(&self.model)
    }

    /// Classifies texts, however many.
    ///
    /// # Errors
    /// When the tokenizer cannot be loaded, a text has no words, or the graph fails.
    pub fn classify<S: AsRef<str>>(&mut self, texts: &[S]) -> Result<Vec<Prediction>> {
        let encoded = self.encode(texts)?;
        self.classify_encodings(&encoded.iter().map(|text| &text.encoding).collect::<Vec<_>>())
    }

    /// Classifies tokenised texts, however many. Those that are longer than the model reads at once are read in windows.
    /// Equal windows of different texts are computed once.
    ///
    /// # Errors
    /// When an id is not in the vocabulary or the graph fails.
    pub fn classify_encodings(&mut self, texts: &[&Encoding]) -> Result<Vec<Prediction>> {
        self.classify_encodings_with(texts, &mut |_, _| {})
    }

    /// As [`classify_encodings`](Self::classify_encodings). After each batch, `progress` is told how many of the rows that
    /// the model reads are done, and how many there are.
    ///
    /// # Errors
    /// When an id is not in the vocabulary or the graph fails. [`Error::with_text`] names the text of a logit that is not
    /// finite.
    pub fn classify_encodings_with(
        &mut self,
        texts: &[&Encoding],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Prediction>> {
        let rows = WindowRows::of(texts.iter().copied(), self.length().windowing());
        let all = RowIds::all(texts, &rows);
        if !rows.has_several() {
            return self.classify_ids_with(&all.iter().map(RowIds::ids).collect::<Vec<_>>(), progress);
        }
        let (mut places, mut distinct) = (HashMap::new(), Vec::new());
        let mut of_rows = Vec::with_capacity(all.len());
        for ids in &all {
            let place = *places.entry(ids).or_insert(distinct.len());
            if place == distinct.len() {
                distinct.push(ids.ids());
            }
            of_rows.push(place);
        }
        let text_of =
            |place| rows.text(of_rows.iter().position(|&of_row| of_row == place).unwrap_or_default());
        let predictions =
            self.classify_ids_with(&distinct, progress).map_err(|error| error.in_list(text_of))?;
        let of_rows = of_rows.into_iter().map(|place| predictions[place].clone()).collect();
        Ok(Prediction::of_texts(&rows, of_rows))
    }

    /// Classifies the ids of texts or of windows, each as one input, however many.
    ///
    /// # Errors
    /// When an id is not in the vocabulary or the graph fails.
    pub fn classify_ids(&mut self, texts: &[TextIds<'_>]) -> Result<Vec<Prediction>> {
        self.classify_ids_with(texts, &mut |_, _| {})
    }

    fn classify_ids_with(
        &mut self,
        texts: &[TextIds<'_>],
        progress: &mut dyn FnMut(usize, usize),
    ) -> Result<Vec<Prediction>> {
        let mut done = 0;
        let mut predictions: Vec<Option<Prediction>> = vec![None; texts.len()];
        let heads = self.model.config().num_attention_heads;
        let Batches { batches, bytes } =
            Batches::new(texts, self.lanes.tokens(self.options.batch_tokens), heads);
        let embeddings = &self.embeddings;
        let compute = |session: &mut Session, at: usize| {
            let chosen: Vec<TextIds<'_>> = batches[at].iter().map(|&text| texts[text]).collect();
            let inputs = embeddings.batch(&embeddings.of(&chosen)?, &chosen);
            let outputs = session.run(inputs.inputs())?;
            let lengths: Vec<usize> = chosen.iter().map(|text| text.input_ids.len()).collect();
            Prediction::of_batch(&outputs, &lengths).map_err(|error| error.in_list(|row| batches[at][row]))
        };
        self.lanes.run_each(batches.len(), bytes, compute, |at, found| {
            for (&text, prediction) in batches[at].iter().zip(found) {
                predictions[text] = Some(prediction);
            }
            done += batches[at].len();
            progress(done, texts.len());
            Ok(())
        })?;
        Ok(predictions.into_iter().flatten().collect())
    }

    /// Tokenises texts as the stage `tokenize` does.
    ///
    /// # Errors
    /// When the tokenizer cannot be loaded or a text has no words.
    pub fn encode<S: AsRef<str>>(&mut self, texts: &[S]) -> Result<Vec<Encoded>> {
        let (choice, length) = (self.text(), self.length());
        let mut encoder = self.tokenizer()?.encoder();
        let encode = |text: &S| {
            let text = text.as_ref();
            let encoded = encode_text(&mut encoder, text, choice, length)?;
            encoded.ok_or_else(|| Error::NoWords { text: text.to_owned() })
        };
        texts.iter().map(encode).collect()
    }

    /// As [`encode`](Self::encode), but a text without words gives none.
    ///
    /// # Errors
    /// When the tokenizer cannot be loaded or rejects a text.
    pub fn encode_each<S: AsRef<str>>(&mut self, texts: &[S]) -> Result<Vec<Option<Encoded>>> {
        let (choice, length) = (self.text(), self.length());
        let mut encoder = self.tokenizer()?.encoder();
        texts.iter().map(|text| encode_text(&mut encoder, text.as_ref(), choice, length)).collect()
    }

    /// The model's tokenizer, loaded at the first call.
    ///
    /// # Errors
    /// When its files are damaged or its dictionary is not installed.
    pub fn tokenizer(&mut self) -> Result<&Tokenizer> {
        let tokenizer = match self.tokenizer.take() {
            Some(tokenizer) => tokenizer,
            None => Arc::new(self.model.tokenizer(&self.options.dictionaries)?),
        };
        check_length(&tokenizer, self.text(), self.length())?;
        Ok(self.tokenizer.insert(tokenizer))
    }
}
