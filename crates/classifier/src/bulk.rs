//! Classifying any number of texts: windows of texts in, predictions out, in the same order.
//!
//! While the graph computes one window, the next is tokenised in other threads. Memory is bounded by two windows.

use std::sync::mpsc::{Receiver, sync_channel};

use midashi_encoder::{MatmulPrecision, TextIds, batches_by_length};
use midashi_runtime::Engine;
use midashi_text::TextWindow;
use midashi_tokenizer::{Encoder, Length};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::encode::encode_text;
use crate::windows::RowIds;
use crate::{Error, IdClassifier, ModelFolder, Options, Reading, Result, Scores};

/// Texts that are read together and sorted by length together, and what their caller keeps with them.
#[derive(Clone, Debug)]
pub struct Window<T> {
    /// The texts.
    pub texts: Vec<String>,
    /// Anything that belongs to them, such as the table's other columns.
    pub kept: T,
}

/// A window with its predictions.
#[derive(Clone, Debug)]
pub struct ClassifiedWindow<T> {
    /// The texts.
    pub texts: Vec<String>,
    /// What the caller kept with them.
    pub kept: T,
    /// One prediction for each text; none for a text without words.
    pub scores: Vec<Option<Scores>>,
}

/// A fine-tuned model that only classifies. [`Classifier`](crate::Classifier) also explains.
pub struct BulkClassifier {
    classifier: IdClassifier,
    reading: Reading,
    threads: ThreadPool,
}

/// The windows of [`BulkClassifier::classify_windows`].
pub struct ClassifiedWindows<'c, W, T, E> {
    classifier: &'c mut BulkClassifier,
    windows: W,
    /// The window that is being tokenised.
    ahead: Option<Receiver<Tokenised<T>>>,
    /// An error of the input, which is returned after the windows before it.
    failed: Option<E>,
    has_ended: bool,
    progress: Box<dyn FnMut(usize) + 'c>,
}

/// A text's ids; none for a text without words.
type Ids = Option<TextInput>;

struct TextInput {
    input_ids: Vec<i32>,
    token_type_ids: Vec<i32>,
    /// The parts in which the model reads it.
    windows: Vec<TextWindow>,
    truncated: bool,
}

struct Tokenised<T> {
    window: Window<T>,
    ids: Result<Vec<Ids>>,
}

impl BulkClassifier {
    /// The number of texts of a window that balances memory and padding: among so many texts nearly every length occurs
    /// several times, and a window of long texts needs a few MiB.
    pub const WINDOW: usize = 2048;

    /// As [`WINDOW`](Self::WINDOW), for a model that reads long texts whole: a text may have a hundred times the tokens of
    /// one that is truncated.
    pub const WINDOW_OF_WHOLE_TEXTS: usize = 256;

    /// Tokens of a batch. On a CPU the activations of so many tokens stay in a core's cache, which matters most in 8-bit
    /// integers, where products take less time than the rest.
    const BATCH_TOKENS: usize = 512;

    /// The number of texts of a window for a model that reads texts of this `length`.
    pub fn window(length: Length) -> usize {
        if length.windowing().is_some() { Self::WINDOW_OF_WHOLE_TEXTS } else { Self::WINDOW }
    }

    /// Opens a model whose small files have been read, to multiply its layers' matrices in `precision`. Of `options`, all
    /// that tokenising needs applies.
    ///
    /// # Errors
    /// When a weight or the tokenizer is missing or damaged, threads cannot be started, ONNX Runtime refuses the graph, or
    /// 8-bit integers are requested on CUDA.
    pub fn open(
        model: &ModelFolder,
        engine: &Engine,
        options: &Options,
        precision: MatmulPrecision<'_>,
    ) -> Result<Self> {
        let threads = ThreadPoolBuilder::new().num_threads(engine.threads()).build();
        Ok(Self {
            classifier: IdClassifier::open(model, engine, precision)?,
            reading: Reading::open(model, options)?,
            threads: threads.map_err(Error::Threads)?,
        })
    }

    /// Classifies the texts of all windows. A window is read when the one before it is computed.
    ///
    /// The error of the input is returned in its place; nothing comes after it.
    pub fn classify_windows<W, T, E>(&mut self, windows: W) -> ClassifiedWindows<'_, W::IntoIter, T, E>
    where
        W: IntoIterator<Item = Result<Window<T>, E>>,
        T: Send + 'static,
        E: From<Error>,
    {
        let windows = windows.into_iter();
        let (ahead, failed, progress) = (None, None, Box::new(|_| {}));
        ClassifiedWindows { classifier: self, windows, ahead, failed, has_ended: false, progress }
    }

    /// Classifies texts one after the other: an iterator of texts in, one of predictions out. A text without words has
    /// none. Nothing comes after an error.
    pub fn classify_stream<'c, I>(
        &'c mut self,
        texts: I,
    ) -> impl Iterator<Item = Result<Option<Scores>>> + use<'c, I>
    where
        I: IntoIterator + 'c,
        I::Item: Into<String>,
    {
        let (mut texts, size) = (texts.into_iter(), Self::window(self.reading.length()));
        let windows = std::iter::from_fn(move || {
            let texts: Vec<String> = texts.by_ref().take(size).map(Into::into).collect();
            (!texts.is_empty()).then_some(Ok(Window { texts, kept: () }))
        });
        self.classify_windows(windows).flat_map(|window: Result<ClassifiedWindow<()>>| match window {
            Ok(window) => window.scores.into_iter().map(Ok).collect::<Vec<_>>(),
            Err(error) => vec![Err(error)],
        })
    }

    /// Starts to tokenise a window in other threads.
    fn tokenise<T: Send + 'static>(&self, window: Window<T>) -> Receiver<Tokenised<T>> {
        let (sender, receiver) = sync_channel(1);
        let reading = self.reading.clone();
        self.threads.spawn(move || {
            let ids = read_all(&reading, &window.texts);
            // Nobody waits for it if the iterator was dropped.
            let _ = sender.send(Tokenised { window, ids });
        });
        receiver
    }

    /// Computes a window's predictions. `progress` is told how many texts are done.
    fn classify(
        &mut self,
        window: &[String],
        ids: &[Ids],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Option<Scores>>> {
        let texts = ids.iter().enumerate().filter_map(|(text, ids)| Some((text, ids.as_ref()?)));
        let rows: Vec<(usize, &TextInput, &TextWindow)> = texts
            .clone()
            .flat_map(|(text, input)| input.windows.iter().map(move |window| (text, input, window)))
            .collect();
        progress(ids.len() - texts.clone().count());
        let lengths: Vec<usize> = rows.iter().map(|(.., window)| window.len()).collect();
        let mut of_rows: Vec<Option<Scores>> = vec![None; rows.len()];
        let mut unread: Vec<usize> =
            ids.iter().map(|ids| ids.as_ref().map_or(0, |input| input.windows.len())).collect();
        for batch in batches_by_length(&lengths, Self::BATCH_TOKENS) {
            let row_ids: Vec<RowIds<'_>> = batch.iter().map(|&row| rows[row].1.ids(rows[row].2)).collect();
            let chosen: Vec<TextIds<'_>> = row_ids.iter().map(RowIds::ids).collect();
            let mut done = 0;
            let name = |row: usize| beginning(&window[rows[batch[row]].0]);
            let found = self.classifier.classify(&chosen).map_err(|error| error.with_text(name))?;
            for (&row, found) in batch.iter().zip(found) {
                let (text, input, _) = rows[row];
                of_rows[row] = Some(Scores { truncated: input.truncated, ..found });
                unread[text] -= 1;
                done += usize::from(unread[text] == 0);
            }
            progress(done);
        }
        let mut of_rows = of_rows.into_iter().flatten();
        let mut scores: Vec<Option<Scores>> = vec![None; ids.len()];
        for (text, input) in texts {
            let lengths: Vec<usize> = input.windows.iter().map(TextWindow::len).collect();
            let windows: Vec<Scores> = of_rows.by_ref().take(lengths.len()).collect();
            scores[text] = Scores::of_windows(&windows, &lengths);
        }
        Ok(scores)
    }
}

impl<'c, W, T, E> ClassifiedWindows<'c, W, T, E> {
    /// Calls `progress` after each batch with the number of texts in it.
    #[must_use]
    pub fn with_progress(mut self, progress: impl FnMut(usize) + 'c) -> Self {
        self.progress = Box::new(progress);
        self
    }
}

impl<W, T, E> ClassifiedWindows<'_, W, T, E>
where
    W: Iterator<Item = Result<Window<T>, E>>,
    T: Send + 'static,
{
    /// Reads the next window and starts to tokenise it.
    fn read_ahead(&mut self) -> Option<Receiver<Tokenised<T>>> {
        if self.has_ended {
            return None;
        }
        match self.windows.next()? {
            Ok(window) => Some(self.classifier.tokenise(window)),
            Err(error) => {
                (self.failed, self.has_ended) = (Some(error), true);
                None
            }
        }
    }
}

impl<W, T, E> Iterator for ClassifiedWindows<'_, W, T, E>
where
    W: Iterator<Item = Result<Window<T>, E>>,
    T: Send + 'static,
    E: From<Error>,
{
    type Item = Result<ClassifiedWindow<T>, E>;

    fn next(&mut self) -> Option<Self::Item> {
        let current = self.ahead.take().or_else(|| self.read_ahead());
        let Some(current) = current else { return self.failed.take().map(Err) };
        self.ahead = self.read_ahead();
        let classified = current.recv().map_err(|_| Error::TokenizerEnded).and_then(|tokenised| {
            let Tokenised { window: Window { texts, kept }, ids } = tokenised;
            let scores = self.classifier.classify(&texts, &ids?, &mut self.progress)?;
            Ok(ClassifiedWindow { texts, kept, scores })
        });
        if classified.is_err() {
            (self.ahead, self.failed, self.has_ended) = (None, None, true);
        }
        Some(classified.map_err(E::from))
    }
}

/// The first characters of a text in quotes, for a message.
fn beginning(text: &str) -> String {
    const CHARACTERS: usize = 40;
    let cut = text.char_indices().nth(CHARACTERS).map(|(end, _)| end);
    cut.map_or_else(|| format!("{text:?}"), |end| format!("{:?}…", &text[..end]))
}

/// Encodes texts in all threads of the current pool.
fn read_all(reading: &Reading, texts: &[String]) -> Result<Vec<Ids>> {
    let read = |encoder: &mut Encoder<'_>, text: &String| {
        let encoded = encode_text(encoder, text, reading.text(), reading.length())?;
        Ok(encoded.map(|encoded| TextInput {
            windows: TextWindow::all(&encoded.encoding, reading.length().windowing()),
            input_ids: encoded.encoding.input_ids,
            token_type_ids: encoded.encoding.token_type_ids,
            truncated: encoded.truncated,
        }))
    };
    texts.par_iter().map_init(|| reading.encoder(), read).collect()
}

impl TextInput {
    fn ids(&self, window: &TextWindow) -> RowIds<'_> {
        RowIds::select(&self.input_ids, &self.token_type_ids, window)
    }
}
