//! Classifying any number of texts: windows of texts in, predictions out, in the same order.
//!
//! While the graph computes one window, the next is read and tokenised in other threads. Memory is bounded by two windows. A
//! window's predictions do not wait for the next window, so that a caller can send a window and wait for its predictions.
//!
//! The predictions of a text do not depend on the texts beside it, to the last bit: engines that spread a table over machines
//! cut it differently each time.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use midashi_encoder::{MatmulPrecision, batches_of_equal_length};
use midashi_runtime::Engine;
use midashi_text::TextWindow;
use midashi_tokenizer::{Encoder, Length};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::encode::encode_text;
use crate::id_classifier::IdClassifiers;
use crate::windows::RowIds;
use crate::{Error, ModelFolder, Options, Reading, Result, Scores};

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
    /// How many texts consist mostly of characters that the vocabulary does not know, such as those of a script that a trimmed
    /// vocabulary has dropped. Their predictions say little.
    pub unknown: usize,
}

/// A fine-tuned model that only classifies. [`Classifier`](crate::Classifier) also explains.
pub struct BulkClassifier {
    classifier: IdClassifiers,
    reading: Reading,
    threads: Arc<ThreadPool>,
}

/// The windows of [`BulkClassifier::classify_windows`].
pub struct ClassifiedWindows<'c, T, E> {
    classifier: &'c mut BulkClassifier,
    /// The windows with their ids; none is the end.
    tokenised: Receiver<Option<Result<Tokenised<T>, E>>>,
    failed: Option<FailedWindow<T>>,
    has_ended: bool,
    progress: Box<dyn FnMut(usize) + 'c>,
}

/// A window that could not be classified.
#[derive(Clone, Debug)]
pub struct FailedWindow<T> {
    /// What the caller kept with it.
    pub kept: T,
    /// The text that failed, counted from 0, if a single one did.
    pub text: Option<usize>,
}

/// A text's ids; none for a text without words.
type Ids = Option<TextInput>;

struct TextInput {
    input_ids: Vec<i32>,
    token_type_ids: Vec<i32>,
    /// The parts in which the model reads it.
    windows: Vec<TextWindow>,
    truncated: bool,
    /// Whether most of its characters are unknown to the vocabulary.
    is_unknown: bool,
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
            classifier: IdClassifiers::open(model, engine, precision)?,
            reading: Reading::open(model, options)?,
            threads: Arc::new(threads.map_err(Error::Threads)?),
        })
    }

    /// Classifies the texts of all windows. Another thread takes the windows from their iterator; it ends with the iterator, or
    /// when the result is dropped and the next window arrives.
    ///
    /// The error of the input is returned in its place; nothing comes after it.
    pub fn classify_windows<W, T, E>(&mut self, windows: W) -> ClassifiedWindows<'_, T, E>
    where
        W: IntoIterator<Item = Result<Window<T>, E>>,
        W::IntoIter: Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reading, threads, windows) = (self.reading.clone(), self.threads.clone(), windows.into_iter());
        // Without room in the channel, the thread waits with one window until the one before it is computed.
        let (sender, tokenised) = sync_channel(0);
        std::thread::spawn(move || {
            let tokenise = |window: Window<T>| {
                let ids = threads.install(|| read_all(&reading, &window.texts));
                Tokenised { window, ids }
            };
            for window in windows {
                let has_failed = window.is_err();
                // Nobody waits for it if the iterator was dropped.
                if sender.send(Some(window.map(tokenise))).is_err() || has_failed {
                    return;
                }
            }
            let _ = sender.send(None);
        });
        let (failed, progress) = (None, Box::new(|_| {}));
        ClassifiedWindows { classifier: self, tokenised, failed, has_ended: false, progress }
    }

    /// Classifies texts one after the other: an iterator of texts in, one of predictions out. A text without words has
    /// none. Nothing comes after an error.
    pub fn classify_stream<'c, I>(
        &'c mut self,
        texts: I,
    ) -> impl Iterator<Item = Result<Option<Scores>>> + use<'c, I>
    where
        I: IntoIterator,
        I::IntoIter: Send + 'static,
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

    /// Computes a window's predictions. `progress` is told how many texts are done, and `failed` which text failed.
    fn classify(
        &mut self,
        window: &[String],
        ids: &[Ids],
        failed: &Cell<Option<usize>>,
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
        let batches = batches_of_equal_length(&lengths, Self::BATCH_TOKENS);
        let ids_of = |at: usize| batches[at].iter().map(|&row| rows[row].1.ids(rows[row].2)).collect();
        let classified = self.classifier.classify_each(&lengths, &batches, ids_of, |at, found| {
            let mut done = 0;
            for (&row, found) in batches[at].iter().zip(found) {
                let (text, input, _) = rows[row];
                of_rows[row] = Some(Scores { truncated: input.truncated, ..found });
                unread[text] -= 1;
                done += usize::from(unread[text] == 0);
            }
            progress(done);
        });
        classified.map_err(|(at, error)| {
            error.with_text(|row| {
                let text = rows[batches[at][row.min(batches[at].len() - 1)]].0;
                failed.set(Some(text));
                beginning(&window[text])
            })
        })?;
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

impl<'c, T, E> ClassifiedWindows<'c, T, E> {
    /// Calls `progress` with numbers of texts: at first of those without words, then after each batch of those whose last
    /// window it had.
    #[must_use]
    pub fn with_progress(mut self, progress: impl FnMut(usize) + 'c) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// The window that could not be classified, after such an error.
    pub fn failed(&self) -> Option<&FailedWindow<T>> {
        self.failed.as_ref()
    }
}

impl<T, E: From<Error>> Iterator for ClassifiedWindows<'_, T, E> {
    type Item = Result<ClassifiedWindow<T>, E>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.has_ended {
            return None;
        }
        // The thread is gone without a word only if it panicked.
        let Ok(received) = self.tokenised.recv() else {
            self.has_ended = true;
            return Some(Err(Error::TokenizerEnded.into()));
        };
        let Some(received) = received else {
            self.has_ended = true;
            return None;
        };
        let classified = received.and_then(|Tokenised { window: Window { texts, kept }, ids }| {
            let text = Cell::new(None);
            let scores = ids.and_then(|ids| {
                let unknown = ids.iter().flatten().filter(|input| input.is_unknown).count();
                let scores = self.classifier.classify(&texts, &ids, &text, &mut self.progress)?;
                Ok((scores, unknown))
            });
            match scores {
                Ok((scores, unknown)) => Ok(ClassifiedWindow { texts, kept, scores, unknown }),
                Err(error) => {
                    self.failed = Some(FailedWindow { kept, text: text.get() });
                    Err(error.into())
                }
            }
        });
        self.has_ended = classified.is_err();
        Some(classified)
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
    let unknown = reading.unknown_id();
    let read = |encoder: &mut Encoder<'_>, text: &String| {
        let encoded = encode_text(encoder, text, reading.text(), reading.length())?;
        Ok(encoded.map(|encoded| TextInput {
            is_unknown: unknown.is_some_and(|id| encoded.encoding.share_of(id) > 0.5),
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
