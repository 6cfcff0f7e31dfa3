//! The texts of a request: tokenised within the limits, then computed by the model's thread.

use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue};
use midashi_classifier::{Encoded, Scores, TextWindow, WindowRows};

use crate::answer::{Answered, Failure};
use crate::app::Shared;
use crate::encode::{TooLong, check, encode};
use crate::error::{ApiError, ErrorType};
use crate::inputs::{Inputs, Sequence, TruncationDirection};
use crate::log::Work;
use crate::predictor::Text;
use crate::tokeniser::LongText;

/// Texts of fewer characters are tokenised on the spot, because handing them to another thread takes as long.
const SHORT: usize = 4096;

/// The tokenised texts of a request.
pub struct Tokenised {
    /// In the order of the request.
    pub texts: Vec<Encoded>,
    characters: usize,
    started: Instant,
    time: Duration,
}

/// Tokenises all texts.
///
/// # Errors
/// When a limit is exceeded, too many long texts wait, or a text cannot be tokenised.
pub async fn tokenise(
    app: &Shared,
    inputs: &Inputs,
    truncate: Option<bool>,
    direction: TruncationDirection,
) -> Result<Tokenised, ApiError> {
    let (started, sequences) = (Instant::now(), inputs.sequences());
    check(sequences, &app.limits)?;
    let cut = truncate.unwrap_or(app.limits.auto_truncate);
    let too_long = if cut { TooLong::Cut(direction) } else { TooLong::Refused };
    let characters = sequences.iter().map(Sequence::characters).sum();
    let texts = if characters < SHORT {
        let encoded = sequences.iter().map(|sequence| encode(sequence, &app.reading, too_long));
        encoded.collect::<Result<_, _>>()?
    } else {
        encode_elsewhere(app, sequences, too_long).await?
    };
    Ok(Tokenised { texts, characters, started, time: started.elapsed() })
}

/// Tokenises in other threads.
async fn encode_elsewhere(
    app: &Shared,
    sequences: &[Sequence],
    too_long: TooLong,
) -> Result<Vec<Encoded>, ApiError> {
    let waiting = sequences.iter().map(|sequence| LongText::new(sequence.clone(), too_long));
    let (waiting, answers): (Vec<LongText>, Vec<_>) = waiting.unzip();
    app.long_texts.push(waiting)?;
    let mut encoded = Vec::new();
    for answer in answers {
        let ended = |_| Err(ApiError::new(ErrorType::Unhealthy, "the tokenizer's threads have ended"));
        encoded.push(answer.await.unwrap_or_else(ended)?);
    }
    Ok(encoded)
}

impl Tokenised {
    /// What the model reads, for the log.
    pub fn work(&self, app: &Shared, inputs: &Inputs) -> Work {
        let texts = inputs.sequences().iter().flat_map(Sequence::texts);
        Work {
            texts: if app.log.log_texts { texts.map(str::to_owned).collect() } else { Vec::new() },
            count: self.texts.len(),
            tokens: self.tokens(),
        }
    }

    /// text-embeddings-inference's headers: device, characters, tokens, and times in milliseconds. `times` are those of each
    /// text in the queue and on the model; their means are told.
    pub fn headers(&self, app: &Shared, times: &[(Duration, Duration)]) -> HeaderMap {
        let mean = |time: fn(&(Duration, Duration)) -> Duration| {
            times.iter().map(time).sum::<Duration>().as_millis() / times.len().max(1) as u128
        };
        let total = self.started.elapsed().as_millis();
        let numbers = [
            ("x-compute-time", total),
            ("x-compute-characters", self.characters as u128),
            ("x-compute-tokens", self.tokens() as u128),
            ("x-total-time", total),
            ("x-tokenization-time", self.time.as_millis() / self.texts.len().max(1) as u128),
            ("x-queue-time", mean(|(queued, _)| *queued)),
            ("x-inference-time", mean(|(_, computed)| *computed)),
        ];
        let mut headers = HeaderMap::new();
        if let Ok(device) = HeaderValue::from_str(&app.info.midashi.device) {
            headers.insert("x-compute-type", device);
        }
        for (name, number) in numbers {
            headers.insert(name, HeaderValue::from(u64::try_from(number).unwrap_or(u64::MAX)));
        }
        headers
    }

    fn tokens(&self) -> usize {
        self.texts.iter().map(|text| text.encoding.len()).sum()
    }
}

/// Asks the model's thread for the predictions of all texts. Each window of a long text waits for itself; a text's times are
/// those of its slowest window.
///
/// # Errors
/// When they do not fit the queue, or the model fails at one of them.
pub async fn predictions(app: &Shared, texts: &[Encoded]) -> Result<Vec<Answered<Scores>>, ApiError> {
    let windowing = app.reading.length().windowing();
    let rows = WindowRows::of(texts.iter().map(|text| &text.encoding), windowing);
    let (count, most) = (rows.len(), app.limits.max_queue);
    if rows.has_several() && count > most {
        let message = format!(
            "`inputs` are read in {count} windows, of which at most {most} may wait; send fewer or shorter texts, or start \
             the server with a greater --max-queue"
        );
        return Err(ApiError::new(ErrorType::Validation, message));
    }
    let of_row = |row: usize| {
        let (encoding, window) = (&texts[rows.text(row)].encoding, rows.window(row));
        let (input_ids, token_type_ids) =
            (window.select(&encoding.input_ids), window.select(&encoding.token_type_ids));
        Text::new(input_ids.into_owned(), token_type_ids.into_owned())
    };
    let (waiting, answers): (Vec<Text>, Vec<_>) = (0..rows.len()).map(of_row).unzip();
    app.texts.push(waiting)?;
    let ended = || Failure::Model("the model's thread has ended".into());
    let mut of_rows = Vec::new();
    for answer in answers {
        of_rows.push(answer.await.unwrap_or_else(|_| Err(ended()))?);
    }
    let of_text = |text: usize| {
        let answers = &of_rows[rows.rows(text)];
        let scores: Vec<Scores> = answers.iter().map(|answered| answered.answer.clone()).collect();
        let lengths: Vec<usize> = rows.windows(text).iter().map(TextWindow::len).collect();
        Ok(Answered {
            answer: Scores::of_windows(&scores, &lengths).ok_or_else(ended)?,
            queued: answers.iter().map(|answered| answered.queued).max().unwrap_or_default(),
            computed: answers.iter().map(|answered| answered.computed).max().unwrap_or_default(),
        })
    };
    (0..rows.texts()).map(of_text).collect()
}
