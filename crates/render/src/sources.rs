//! The weights that can colour the explorer's texts: one source per explanation method, the most faithful first. A new
//! method is a line in `sources` and, in `strings.json`, its names (`source.<name>`, `short.<name>`) and description
//! (`about.<name>`).

use std::collections::HashMap;

use anyhow::{Context, ensure};
use midashi_artifacts::{AttentionRow, Explanation, Faithfulness, Method, Prediction, TokenizedText};
use serde::Serialize;

use crate::artifacts::Artifacts;
use crate::data::base64_of;
use crate::gallery;
use crate::trust::{Standing, ranking};

/// Maximum size of one source before base64, which adds a third. This fits the attention of twelve heads over 7,000
/// headlines, and keeps the page small enough to open quickly.
const MOST_BYTES: usize = 4 << 20;

/// The weights of one explanation method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Source {
    /// The method.
    #[serde(flatten)]
    pub kind: Kind,
    /// Number of layers; the explorer shows one.
    pub layers: usize,
    /// Number of heads; the explorer shows one or their sum.
    pub heads: usize,
    /// Indices of the texts that have weights here, ascending.
    pub texts: Vec<usize>,
    /// Number of texts whose weights do not fit the page.
    pub left_out: usize,
    /// How faithful the method is; none if that was not measured.
    pub measured: Option<Measured>,
    /// The weight that 65535 represents; none for signed weights, which are float32.
    pub scale: Option<f32>,
    /// uint16 or float32; for each of `texts` the shape `[layers, heads, tokens]`, or with `matrices`
    /// `[layers, heads, tokens, tokens]`.
    pub weights: String,
}

/// A method's faithfulness, as far as the explorer states it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Its place among the methods that the report trusts, from 0; none if it is not one of them.
    pub rank: Option<usize>,
    /// The comparison with random weights.
    pub standing: Standing,
    /// Comprehensiveness: the probability that is lost without the marked units.
    pub lost: f64,
    /// The head, for one head's attention.
    pub head: Option<u64>,
}

/// An explanation method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Kind {
    /// Its key: `source.<name>` and `about.<name>` in `strings.json`, and `source=<name>` in links.
    pub name: &'static str,
    /// The setting that determines how many texts have weights.
    pub setting: &'static str,
    /// Whether weights have a sign: positive for the predicted category, negative against it.
    pub signed: bool,
    /// Whether there are weights from every token, and not only from `[CLS]`.
    pub matrices: bool,
    /// The method whose faithfulness is measured with these weights, all heads summed.
    #[serde(skip)]
    pub method: Option<Method>,
}

impl Kind {
    const fn new(name: &'static str, setting: &'static str) -> Self {
        Self { name, setting, signed: false, matrices: false, method: None }
    }
}

const TEXTS: &str = "evaluate.explain.texts";
const FAITHFULNESS_TEXTS: &str = "evaluate.explain.faithfulness_texts";

const ATTENTION_TEXTS: &str = "evaluate.attention_texts";

const CLS_ATTENTION: Kind =
    Kind { method: Some(Method::Attention), ..Kind::new("cls_attention", ATTENTION_TEXTS) };
const BEST_HEAD: Kind = Kind { method: Some(Method::BestHead), ..Kind::new("best_head", ATTENTION_TEXTS) };
const LAYER_ATTENTION: Kind = Kind::new("layer_attention", TEXTS);
const ALL_ATTENTION: Kind =
    Kind { matrices: true, ..Kind::new("all_attention", "evaluate.explain.matrices") };
const ROLLOUT: Kind = Kind { method: Some(Method::Rollout), ..Kind::new("rollout", TEXTS) };
const GRADIENT_X_INPUT: Kind =
    Kind { signed: true, method: Some(Method::GradientXInput), ..Kind::new("gradient_x_input", TEXTS) };
const INTEGRATED_GRADIENTS: Kind = Kind {
    signed: true,
    method: Some(Method::IntegratedGradients),
    ..Kind::new("integrated_gradients", FAITHFULNESS_TEXTS)
};
const LEAVE_ONE_OUT: Kind = Kind { signed: true, ..Kind::new("leave_one_out", FAITHFULNESS_TEXTS) };

/// A text's index, and its weights in order.
type Row<'a> = (usize, Vec<&'a [f32]>);

/// All sources that have weights: those of trusted methods, the best first, then the others, of which the article's
/// is the first.
///
/// # Errors
/// When the artifacts do not belong together.
pub fn sources(artifacts: &Artifacts) -> anyhow::Result<Vec<Source>> {
    let texts = texts_by_id(artifacts);
    let rows = &artifacts.attention;
    let heads = rows.first().map_or(0, |row| row.attention.len());
    let attention = join(
        "attention.parquet",
        rows,
        |row: &AttentionRow| &row.id,
        &texts,
        |row, text| {
            gallery::check(row, text.tokenized)?;
            same("heads", row.attention.len(), heads)
        },
    )?;
    let attention: Vec<Row> = attention.into_iter().map(|(at, row)| (at, slices(&row.attention))).collect();

    let rows = &artifacts.explanations.rows;
    let layers = rows.first().map_or(0, |row| row.layer_attention.len());
    let all_heads = rows.iter().find_map(heads_of).unwrap_or(0);
    let explained = join(
        "explanations.parquet",
        rows,
        |row: &Explanation| &row.id,
        &texts,
        |row, text| {
            check(row, text)?;
            same("layers", row.layer_attention.len(), layers)?;
            same("heads", heads_of(row).unwrap_or(all_heads), all_heads)
        },
    )?;
    let explained: Vec<_> = explained.into_iter().map(|(at, row)| (at, weights_of(row))).collect();
    let shape = |kind: Kind| match kind {
        ALL_ATTENTION => (layers, all_heads),
        LAYER_ATTENTION => (layers, 1),
        _ => (1, 1),
    };
    let sources = (0..METHODS).filter_map(|method| {
        let (_, kind, _) = explained.first()?.1[method];
        let rows = explained.iter().filter_map(|(at, weights)| Some((*at, weights[method].2.clone()?)));
        Source::of(kind, shape(kind), &rows.collect::<Vec<Row>>())
    });
    let faithfulness = artifacts.metrics.faithfulness.as_ref();
    let best_head = faithfulness.and_then(|measured| {
        let head = usize::try_from(measured.best_head.head).ok()?;
        let rows = attention.iter().filter_map(|(at, heads)| Some((*at, vec![*heads.get(head)?])));
        Source::of(BEST_HEAD, (1, 1), &rows.collect::<Vec<Row>>())
    });
    let attention = Source::of(CLS_ATTENTION, (1, heads), &attention);
    let mut sources: Vec<Source> = attention.into_iter().chain(best_head).chain(sources).collect();
    if let Some(measured) = faithfulness {
        sources.iter_mut().for_each(|source| source.measured = Measured::of(source.kind, measured));
        // The sort is stable, so the others stay in their order.
        sources.sort_by_key(|source| source.rank().unwrap_or(usize::MAX));
    }
    Ok(sources)
}

impl Measured {
    /// The faithfulness of a source's method; none if it was not measured.
    fn of(kind: Kind, measured: &Faithfulness) -> Option<Self> {
        let method = kind.method?;
        let row = measured.of(method)?;
        Some(Self {
            rank: ranking(measured).iter().position(|&trusted| trusted == method),
            standing: Standing::of(row),
            lost: row.masked.comprehensiveness.mean,
            head: (method == Method::BestHead).then_some(measured.best_head.head),
        })
    }
}

/// A column of `explanations.parquet` with its method and, if the row has them, its weights in order.
type Column<'a> = (&'static str, Kind, Option<Vec<&'a [f32]>>);

/// Methods of `explanations.parquet`.
const METHODS: usize = 6;

/// An explanation's weights by method, with their column. A new method is a line here.
fn weights_of(row: &Explanation) -> [Column<'_>; METHODS] {
    [
        ("layer_attention", LAYER_ATTENTION, Some(slices(&row.layer_attention))),
        ("attentions", ALL_ATTENTION, row.attentions.as_deref().map(|weights| vec![weights])),
        ("rollout", ROLLOUT, Some(vec![&row.rollout])),
        ("gradient_x_input", GRADIENT_X_INPUT, Some(vec![&row.gradient_x_input])),
        (
            "integrated_gradients",
            INTEGRATED_GRADIENTS,
            row.integrated_gradients.as_deref().map(|own| vec![own]),
        ),
        ("leave_one_out", LEAVE_ONE_OUT, row.leave_one_out.as_deref().map(|own| vec![own])),
    ]
}

/// A test text in the other artifacts.
struct Text<'a> {
    /// Its index in the list of texts.
    place: usize,
    prediction: &'a Prediction,
    tokenized: &'a TokenizedText,
}

fn texts_by_id(artifacts: &Artifacts) -> HashMap<&str, Text<'_>> {
    let tokenized: HashMap<&str, &TokenizedText> =
        artifacts.tokens.texts.iter().map(|text| (text.id.as_str(), text)).collect();
    let predictions = artifacts.predictions.rows.iter().enumerate();
    let texts = predictions.filter_map(|(place, prediction)| {
        let id = prediction.id.as_str();
        Some((id, Text { place, prediction, tokenized: tokenized.get(id)? }))
    });
    texts.collect()
}

/// The rows of `artifact` with the indices of their texts, in the order of the texts.
fn join<'a, R>(
    artifact: &str,
    rows: &'a [R],
    id: impl Fn(&R) -> &str,
    texts: &HashMap<&str, Text>,
    check: impl Fn(&R, &Text) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<(usize, &'a R)>> {
    let placed = rows.iter().map(|row| {
        let place = || -> anyhow::Result<(usize, &R)> {
            let text = texts.get(id(row)).context("not in predictions.parquet and tokens.arrow")?;
            check(row, text)?;
            Ok((text.place, row))
        };
        place()
            .with_context(|| format!("{artifact}: row {:?}; run `make evaluate` again to remake it", id(row)))
    });
    let mut placed = placed.collect::<anyhow::Result<Vec<_>>>()?;
    placed.sort_by_key(|&(place, _)| place);
    Ok(placed)
}

fn same(what: &str, found: usize, expected: usize) -> anyhow::Result<()> {
    ensure!(found == expected, "{found} {what}; expected {expected}, as in the first row");
    Ok(())
}

/// Number of heads, if the attention of all heads was kept.
fn heads_of(row: &Explanation) -> Option<usize> {
    let matrix = row.layer_attention.len() * row.rollout.len().pow(2);
    row.attentions.as_ref()?.len().checked_div(matrix)
}

/// Checks that an explanation belongs to its text and that its weights are valid.
fn check(row: &Explanation, text: &Text) -> anyhow::Result<()> {
    let tokens = text.tokenized.encoding.tokens.len();
    let (explained, predicted) = (row.category.index(), text.prediction.predicted.index());
    ensure!(explained == predicted, "category {explained} is explained; expected {predicted}, the predicted");
    let matrices = heads_of(row).unwrap_or(0) * row.layer_attention.len() * tokens.pow(2);
    for (column, kind, weights) in weights_of(row) {
        let expected = if kind.matrices { matrices } else { tokens };
        for weights in weights.into_iter().flatten() {
            let found = weights.len();
            ensure!(
                found == expected,
                "{column} has {found} weights for {tokens} tokens; expected {expected}"
            );
            let is_invalid = |weight: &&f32| !weight.is_finite() || !kind.signed && **weight < 0.0;
            let invalid = weights.iter().find(is_invalid);
            ensure!(invalid.is_none(), "{column} has the weight {}", invalid.unwrap_or(&0.0));
        }
    }
    Ok(())
}

fn slices(rows: &[Vec<f32>]) -> Vec<&[f32]> {
    rows.iter().map(Vec::as_slice).collect()
}

impl Source {
    /// The weights of as many `rows` as fit the page; none without rows.
    fn of(kind: Kind, (layers, heads): (usize, usize), rows: &[Row]) -> Option<Self> {
        let bytes = if kind.signed { size_of::<f32>() } else { size_of::<u16>() };
        let sizes: Vec<usize> = rows
            .iter()
            .map(|(_, weights)| bytes * weights.iter().map(|part| part.len()).sum::<usize>())
            .collect();
        let kept = fitting(&sizes, MOST_BYTES);
        let texts: Vec<usize> = kept.iter().map(|&row| rows[row].0).collect();
        let all = || kept.iter().flat_map(|&row| rows[row].1.iter().copied().flatten().copied());
        let (scale, weights) = if kind.signed {
            (None, base64_of(all().map(f32::to_le_bytes)))
        } else {
            let scale = all().fold(0.0, f32::max);
            // 65536 steps: the rounding error is less than 1e-5.
            let steps = if scale > 0.0 { f32::from(u16::MAX) / scale } else { 0.0 };
            (Some(scale), base64_of(all().map(|weight| ((weight * steps).round() as u16).to_le_bytes())))
        };
        let left_out = rows.len() - texts.len();
        let measured = None;
        (!rows.is_empty()).then_some(Self { kind, layers, heads, texts, left_out, measured, scale, weights })
    }

    /// The place of its method among those that the report trusts, from 0.
    pub fn rank(&self) -> Option<usize> {
        self.measured?.rank
    }
}

/// The indices of the rows that fit: all, or some that are evenly spaced.
fn fitting(sizes: &[usize], room: usize) -> Vec<usize> {
    if sizes.iter().sum::<usize>() <= room {
        return (0..sizes.len()).collect();
    }
    let mut used = 0;
    let fits = |&row: &usize| {
        // The first rows may only use their proportion of the room.
        let fits = used + sizes[row] <= room * (row + 1) / sizes.len();
        used += if fits { sizes[row] } else { 0 };
        fits
    };
    (0..sizes.len()).filter(fits).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;
    use midashi_artifacts::{CategoryId, Encoding, Split};

    use super::*;

    fn tokenized(tokens: usize) -> TokenizedText {
        TokenizedText {
            id: "x".into(),
            label: CategoryId(0),
            split: Split::Test,
            encoding: Encoding {
                input_ids: vec![0; tokens],
                token_type_ids: vec![0; tokens],
                tokens: vec!["token".into(); tokens],
                word_ids: vec![None; tokens],
                offsets: vec![(0, 0); tokens],
                original_offsets: vec![(0, 0); tokens],
                ..Encoding::default()
            },
        }
    }

    fn explanation(tokens: usize) -> Explanation {
        Explanation {
            id: "x".into(),
            category: CategoryId(1),
            layer_attention: vec![vec![0.5; tokens]; 3],
            rollout: vec![0.5; tokens],
            gradient_x_input: vec![-1.5; tokens],
            integrated_gradients: Some(vec![-0.5; tokens]),
            leave_one_out: None,
            attentions: Some(vec![0.5; 3 * 2 * tokens * tokens]),
        }
    }

    fn checked(row: &Explanation) -> anyhow::Result<()> {
        let prediction = Prediction {
            id: "x".into(),
            label: CategoryId(0),
            predicted: CategoryId(1),
            probabilities: vec![0.25, 0.75],
        };
        check(row, &Text { place: 0, prediction: &prediction, tokenized: &tokenized(4) })
    }

    #[test]
    fn rounding_changes_weights_by_less_than_a_hundred_thousandth() {
        let rows = [vec![0.9, 1e-5, 0.04, 0.03, 0.02, 0.0099, 9e-5], vec![1.0 / 7.0; 7]];
        let source = Source::of(CLS_ATTENTION, (1, 2), &[(3, slices(&rows))]).unwrap();
        assert_eq!((source.heads, &source.texts[..], source.scale), (2, &[3][..], Some(0.9)));
        let bytes = BASE64_STANDARD.decode(&source.weights).unwrap();
        assert_eq!(bytes.len(), 2 * 2 * 7);
        let read = bytes.chunks(2).map(|two| f32::from(u16::from_le_bytes([two[0], two[1]])) / 65535.0 * 0.9);
        for (read, computed) in read.zip(rows.into_iter().flatten()) {
            assert!((read - computed).abs() < 1e-5, "{read} {computed}");
        }
        assert_eq!(Source::of(CLS_ATTENTION, (1, 2), &[]), None);
    }

    #[test]
    fn signed_weights_are_not_rounded() {
        let weights = [-3.25, 1e-7, 0.0];
        let source = Source::of(LEAVE_ONE_OUT, (1, 1), &[(0, vec![&weights])]).unwrap();
        let bytes = BASE64_STANDARD.decode(&source.weights).unwrap();
        assert_eq!((source.scale, bytes), (None, weights.map(f32::to_le_bytes).concat()));
    }

    #[test]
    fn rows_that_do_not_fit_are_left_out_evenly_and_counted() {
        assert_eq!(fitting(&[1; 5], 5), [0, 1, 2, 3, 4]);
        assert_eq!(fitting(&[2; 6], 6), [1, 3, 5]);
        assert_eq!(fitting(&[100, 1, 1, 1], 8), [1, 2, 3], "one text may be too large for any page");
        let weights = vec![0.5; MOST_BYTES / 8];
        let rows: Vec<Row> = (0..8).map(|place| (place, vec![&weights[..]])).collect();
        let source = Source::of(ROLLOUT, (1, 1), &rows).unwrap();
        assert_eq!((&source.texts[..], source.left_out), (&[1, 3, 5, 7][..], 4));
    }

    #[test]
    fn a_source_has_its_methods_place_and_numbers() {
        use crate::trust::tests::{measured, row};
        let found = measured(vec![
            row(Method::Attention, 0.2, 0.2, 0.2, 0.0),
            row(Method::BestHead, 0.4, 0.1, 0.4, 0.0),
            row(Method::IntegratedGradients, 0.7, 0.0, 0.7, 0.0),
        ]);
        let of = |kind| Measured::of(kind, &found);
        let expected = Measured { rank: Some(1), standing: Standing::Better, lost: 0.4, head: Some(3) };
        assert_eq!(of(BEST_HEAD), Some(expected));
        let chance = of(CLS_ATTENTION);
        assert_eq!(chance.map(|it| (it.rank, it.standing)), Some((None, Standing::Unclear)));
        assert_eq!(of(INTEGRATED_GRADIENTS).and_then(|it| it.rank), Some(0));
        assert_eq!([of(ROLLOUT), of(LAYER_ATTENTION), of(LEAVE_ONE_OUT)], [None, None, None], "not measured");
    }

    #[test]
    fn explanations_that_do_not_fit_their_text_are_refused() {
        assert!(checked(&explanation(4)).is_ok());
        let refused = |change: fn(&mut Explanation), part: &str| {
            let mut row = explanation(4);
            change(&mut row);
            let error = checked(&row).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        refused(|row| row.category = CategoryId(0), "category 0 is explained; expected 1");
        refused(|row| row.layer_attention[2].truncate(3), "layer_attention has 3 weights for 4 tokens");
        refused(|row| row.rollout[1] = -0.5, "rollout has the weight -0.5");
        refused(|row| row.gradient_x_input[1] = f32::NAN, "gradient_x_input has the weight NaN");
        refused(|row| row.integrated_gradients = Some(vec![]), "integrated_gradients has 0 weights");
        refused(
            |row| row.attentions = Some(vec![0.5; 97]),
            "attentions has 97 weights for 4 tokens; expected 96",
        );
        assert_eq!(heads_of(&explanation(4)), Some(2));
    }
}
