//! Measures each method's faithfulness on the same texts.

use anyhow::Result;
use midashi_artifacts::{
    BestHead, Difference, Erasure, Faithfulness, Measure, Method, MethodFaithfulness, TokenizedText,
};
use midashi_stage::Progress;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::eraser::{Eraser, Erasures};
use super::erasure::{
    Mode, SHARES, Selection, complement, divided_among_tokens, sums_by_unit, top_shares, units_of,
};
use super::kendall::tau_b;
use crate::statistics::{bootstrap_mean, mean};

/// Fixed, so that the same model is compared with the same random weights.
const SEED: u64 = 0;

/// A text and the weights that each method gives its tokens.
pub struct WeightedText<'a> {
    /// The text.
    pub text: &'a TokenizedText,
    /// The predicted category.
    pub category: usize,
    /// Weights of all tokens by method; every text has the same methods.
    pub weights: Vec<(Method, Vec<f32>)>,
}

/// The results of one method on one text: sufficiency and comprehensiveness masked, both removed, and Kendall's τ.
type Scores = [f64; 5];

/// Measures all methods and random weights on all texts. Also returns for each text the drop in probability without each
/// single unit, divided evenly among the unit's tokens; 0 for special tokens.
pub fn measure(
    eraser: &mut Eraser<'_, '_>,
    mut texts: Vec<WeightedText<'_>>,
    best_head: BestHead,
) -> Result<(Faithfulness, Vec<Vec<f32>>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    for WeightedText { text, weights, .. } in &mut texts {
        // One number per unit: one per token would favour long words.
        let units = units_of(&text.encoding, eraser.unit);
        let drawn: Vec<f64> = units.iter().map(|_| rng.random()).collect();
        weights.push((Method::Random, divided_among_tokens(&units, &drawn, text.encoding.input_ids.len())));
    }
    let methods: Vec<Method> =
        texts.iter().take(1).flat_map(|text| &text.weights).map(|(method, _)| *method).collect();
    let mut scores: Vec<Vec<Scores>> = vec![Vec::new(); methods.len()];
    let units: Vec<Vec<Vec<usize>>> =
        texts.iter().map(|text| units_of(&text.text.encoding, eraser.unit)).collect();
    let erasures: Vec<Erasures<'_>> =
        texts.iter().zip(&units).map(|(text, units)| erasures_of(text, units)).collect();
    let count: usize = erasures.iter().map(|text| text.erasures.len()).sum();
    let mut progress = Progress::new("faithfulness", count as u64, "erasures");
    let drops = eraser.drops(&erasures, &mut progress)?;
    progress.finish();
    let mut leave_one_out = Vec::with_capacity(texts.len());
    for ((text, units), drops) in texts.iter().zip(&units).zip(drops) {
        let (drops, of_methods) = scores_of_text(text, units, drops);
        scores.iter_mut().zip(of_methods).for_each(|(scores, of_text)| scores.push(of_text));
        leave_one_out.push(divided_among_tokens(units, &drops, text.text.encoding.input_ids.len()));
    }
    let count: usize = units.iter().map(Vec::len).sum();

    let scores_of = |wanted| Some(&scores[methods.iter().position(|method| *method == wanted)?]);
    let of_method = |(&method, scores): (&Method, &Vec<Scores>)| {
        // A method is not compared with itself, and random weights are compared with nothing.
        let reference = |other| scores_of(other).filter(|_| method != other && method != Method::Random);
        let (random, attention) = (reference(Method::Random), reference(Method::Attention));
        let measure = |at: usize| measure_of(scores, random, attention, at);
        MethodFaithfulness {
            method,
            masked: Erasure { sufficiency: measure(0), comprehensiveness: measure(1) },
            removed: Erasure { sufficiency: measure(2), comprehensiveness: measure(3) },
            leave_one_out: measure(4),
        }
    };
    let faithfulness = Faithfulness {
        texts: texts.len() as u64,
        units: eraser.unit,
        replacement: eraser.replacement.token.clone(),
        mean_units: count as f64 / texts.len() as f64,
        shares: SHARES.to_vec(),
        methods: methods.iter().zip(&scores).map(of_method).collect(),
        best_head,
        integration: None,
    };
    Ok((faithfulness, leave_one_out))
}

/// Each single unit, and each method's shares of the units.
fn erasures_of<'a>(
    WeightedText { text, category, weights }: &WeightedText<'a>,
    units: &'a [Vec<usize>],
) -> Erasures<'a> {
    let single = |unit| (Mode::Masked, (0..units.len()).map(|other| other == unit).collect());
    let mut erasures: Vec<(Mode, Selection)> = (0..units.len()).map(single).collect();
    for selection in weights.iter().flat_map(|(_, weights)| top_shares(&sums_by_unit(units, weights))) {
        for mode in [Mode::Masked, Mode::Removed] {
            erasures.push((mode, complement(&selection)));
            erasures.push((mode, selection.clone()));
        }
    }
    Erasures { text, category: *category, units, erasures }
}

/// The drop in probability without each single unit, and each method's scores, from the `drops` of the text's
/// [`erasures`](erasures_of).
fn scores_of_text(
    WeightedText { weights, .. }: &WeightedText<'_>,
    units: &[Vec<usize>],
    mut drops: Vec<f64>,
) -> (Vec<f64>, Vec<Scores>) {
    let of_shares = drops.split_off(units.len());
    // Comprehensiveness and sufficiency are means over the shares (AOPC), each of which has four drops.
    let of_method = |((_, weights), of_shares): (&(Method, Vec<f32>), &[f64])| {
        let over_shares = |at| mean(of_shares.iter().skip(at).step_by(4).copied());
        let tau = tau_b(&sums_by_unit(units, weights), &drops);
        [over_shares(0), over_shares(1), over_shares(2), over_shares(3), tau]
    };
    let scores = weights.iter().zip(of_shares.chunks(4 * SHARES.len())).map(of_method).collect();
    (drops, scores)
}

/// The mean of the score `at`, and its mean differences to other methods' scores on the same texts.
fn measure_of(
    scores: &[Scores],
    random: Option<&Vec<Scores>>,
    attention: Option<&Vec<Scores>>,
    at: usize,
) -> Measure {
    let difference = |other: &Vec<Scores>| {
        let differences: Vec<f64> =
            scores.iter().zip(other).map(|(own, other)| own[at] - other[at]).collect();
        let mean = mean(differences.iter().copied());
        Difference::new(mean, bootstrap_mean(&differences), differences.len())
    };
    let values: Vec<f64> = scores.iter().map(|scores| scores[at]).collect();
    Measure {
        mean: mean(values.iter().copied()),
        interval: bootstrap_mean(&values),
        over_random: random.map(difference),
        over_attention: attention.map(difference),
    }
}
