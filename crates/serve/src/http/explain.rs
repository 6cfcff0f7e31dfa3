//! `POST /explain`: predictions with the weights of words, also of the text without some of its words.

use std::num::NonZeroUsize;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use midashi_classifier::{Encoded, Method, Prediction};
use midashi_text::{SpecialToken, Unit, special_tokens};
use serde::{Deserialize, Serialize};

use crate::answer::{Answered, Failure};
use crate::app::Shared;
use crate::error::{ApiError, ErrorType};
use crate::explainer::Question;
use crate::http::body::Body;
use crate::http::predict::Score;
use crate::http::texts::tokenise;
use crate::info::Details;
use crate::inputs::{Inputs, TruncationDirection};
use crate::words::{Switch, Word, Words};

/// The request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    inputs: Inputs,
    #[serde(default)]
    truncate: Option<bool>,
    #[serde(default)]
    truncation_direction: TruncationDirection,
    #[serde(default)]
    method: Name,
    /// The layer of the attention, from 0; null for the last.
    #[serde(default)]
    layer: Option<usize>,
    /// The head of the attention, from 0; null for the sum of all.
    #[serde(default)]
    head: Option<usize>,
    /// Words to switch off, by their places in the answer's `words`; only for a single text.
    #[serde(default)]
    off: Vec<usize>,
    #[serde(default)]
    switch: Switch,
    /// The number of `predictions`, the most probable first; all by default.
    #[serde(default)]
    top_k: Option<NonZeroUsize>,
}

/// The methods, named as in `metrics.json`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Name {
    #[default]
    Attention,
    Rollout,
    GradientXInput,
    IntegratedGradients,
}

/// The answer for one text.
#[derive(Serialize)]
struct Explained {
    /// As given, without byte order marks at its start and with line feeds as line ends; the texts of a pair are joined by a
    /// line feed.
    text: String,
    /// The most probable category, which the weights explain.
    label: String,
    /// The categories, the most probable first; all, or `top_k`.
    predictions: Vec<Score>,
    method: Name,
    layer: Option<usize>,
    head: Option<usize>,
    /// Whether negative weights count against the category.
    signed: bool,
    /// Whether a part of the text was not read.
    truncated: bool,
    /// Tokens that the model read, special tokens included.
    tokens: usize,
    /// Windows in which the model read them; predictions and weights are those of their mean.
    windows: usize,
    /// What `words` are.
    unit: Unit,
    words: Vec<Word>,
    /// Tokens without a place in the text.
    special: Vec<SpecialToken>,
}

/// One text on its way through the model.
struct Asked {
    text: Encoded,
    words: Words,
    /// The text without the words that are off.
    remaining: Encoded,
    /// Where the remaining tokens were.
    places: Vec<usize>,
}

/// Answers the request.
pub async fn explain(State(app): State<Shared>, Body(request): Body<Request>) -> Result<Response, ApiError> {
    let details = &app.info.midashi;
    let method = method(&request, details)?;
    if !request.off.is_empty() && matches!(request.inputs, Inputs::Batch(_)) {
        return Err(ApiError::wrong("found `off` with a batch; expected it with a single text"));
    }
    let (count, most) = (request.inputs.sequences().len(), app.limits.max_explanations);
    if count > most {
        let message = format!("batch size {count} > maximum allowed batch size {most} of explanations");
        return Err(ApiError::new(ErrorType::Validation, message));
    }
    let needs_mask =
        method == Method::IntegratedGradients || (!request.off.is_empty() && request.switch == Switch::Mask);
    if needs_mask && !details.masks {
        let message = "the tokenizer has neither a mask token nor an unknown token; choose another `method`, or \
            \"switch\": \"delete\"";
        return Err(ApiError::wrong(message));
    }
    let tokenised = tokenise(&app, &request.inputs, request.truncate, request.truncation_direction).await?;
    let work = tokenised.work(&app, &request.inputs);
    let asked = tokenised.texts.iter().map(|text| Asked::new(text.clone(), &request, &app));
    let asked: Vec<Asked> = asked.collect::<Result<_, _>>()?;

    let answers = weighed(&app, &asked, method).await?;
    let times: Vec<_> = answers.iter().map(|answer| (answer.queued, answer.computed)).collect();
    let explained = asked.into_iter().zip(answers);
    let explained = explained.map(|(asked, answer)| asked.explained(answer.answer, &request, method, &app));
    let body = Json(request.inputs.shaped(explained.collect()));
    let mut response = (tokenised.headers(&app, &times), body).into_response();
    response.extensions_mut().insert(work);
    Ok(response)
}

/// The method that is asked for, in the words of the classifier. The last layer is none.
fn method(request: &Request, details: &Details) -> Result<Method, ApiError> {
    let &Request { method, layer, head, .. } = request;
    for (name, number, count) in [("layer", layer, details.layers), ("head", head, details.heads)] {
        let Some(number) = number else { continue };
        if method != Name::Attention {
            return Err(ApiError::wrong(format!(
                "found `{name}` {number} with another method than \"attention\"; only attention has {name}s"
            )));
        }
        if number >= count {
            return Err(ApiError::wrong(format!(
                "`{name}` is {number}; the model has {count} {name}s, expected 0 to {}",
                count - 1
            )));
        }
    }
    Ok(match method {
        Name::Attention => {
            Method::Attention { layer: layer.filter(|layer| layer + 1 < details.layers), head }
        }
        Name::Rollout => Method::Rollout,
        Name::GradientXInput => Method::GradientXInput,
        Name::IntegratedGradients => Method::IntegratedGradients,
    })
}

/// A prediction, the weight of each token that the model read, and the windows in which it read them.
type Weighed = (Prediction, Vec<f64>, usize);

/// Asks the explainer's thread for the weights of all texts.
async fn weighed(app: &Shared, asked: &[Asked], method: Method) -> Result<Vec<Answered<Weighed>>, ApiError> {
    let questions = asked.iter().map(|asked| Question::new(asked.remaining.clone(), method));
    let (questions, answers): (Vec<Question>, Vec<_>) = questions.unzip();
    app.questions.push(questions)?;
    let mut weighed = Vec::new();
    for answer in answers {
        let answer = answer
            .await
            .unwrap_or_else(|_| Err(Failure::Model("the explainer's thread has ended".into())))?;
        let Answered { answer, queued, computed } = answer;
        let answer = (answer.prediction, answer.weights, answer.windows);
        weighed.push(Answered { answer, queued, computed });
    }
    Ok(weighed)
}

impl Asked {
    fn new(text: Encoded, request: &Request, app: &Shared) -> Result<Self, ApiError> {
        let words = Words::of(&text.encoding);
        let mut words = words.map_err(|error| ApiError::new(ErrorType::Tokenizer, error.to_string()))?;
        let count = words.words.len();
        words.switch_off(&request.off).map_err(|place| {
            ApiError::wrong(format!(
                "`off` holds {place}; the text has {count} words, expected 0 to {}",
                count - 1
            ))
        })?;
        // A request that needs a mask was refused if there is none.
        let mask = app.reading.mask_id().unwrap_or_default();
        let (encoding, places) = words.remaining(&text.encoding, request.switch, mask);
        let remaining = Encoded { encoding, ..text.clone() };
        Ok(Self { text, words, remaining, places })
    }

    fn explained(
        self,
        (prediction, weights, windows): Weighed,
        request: &Request,
        method: Method,
        app: &Shared,
    ) -> Explained {
        let Self { text: Encoded { encoding, truncated, .. }, mut words, remaining, places } = self;
        let mut of_all = vec![0.0; encoding.len()];
        places.into_iter().zip(&weights).for_each(|(at, &weight)| of_all[at] = weight);
        words.weigh(&of_all);
        let last = app.info.midashi.layers - 1;
        Explained {
            label: app.labels.get(prediction.category.index()).cloned().unwrap_or_default(),
            predictions: Score::ranked(&prediction.probabilities, &app.labels, request.top_k),
            method: request.method,
            layer: (request.method == Name::Attention).then(|| request.layer.unwrap_or(last)),
            head: request.head,
            signed: method.is_signed(),
            truncated,
            tokens: remaining.encoding.len(),
            windows,
            unit: words.unit,
            words: words.words,
            special: special_tokens(&encoding, &of_all),
            text: encoding.original,
        }
    }
}
