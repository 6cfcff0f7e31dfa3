//! Whether what is said to have mattered did: words are taken from texts, and the model is asked again.

mod erasure;
mod kendall;
mod table;

use std::collections::HashMap;

use anyhow::{Context, Result};
use midashi_artifacts::{
    BestHead, Difference, Erasure, Faithfulness, Measure, Method, MethodFaithfulness, Replacement,
    TokenizedText, Unit,
};
use midashi_bert::{TextIds, most_probable};
use midashi_explain::Explainer;
use midashi_stage::Progress;
use midashi_trunk::text_ids;
use ndarray::ArrayView1;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use self::erasure::{Erased, How};
use crate::statistics;

pub use self::erasure::units_of;
pub use self::table::table;

/// Shares of a text's units that are taken; ERASER's are 1, 5, 10, 20 and 50 %, of which a headline has no first two.
const SHARES: [f64; 3] = [0.1, 0.2, 0.5];
/// Fixed, so that the same model has the same floor.
const SEED: u64 = 0;

/// A text, what the model said of it, and what is said to have mattered.
pub struct Subject<'a> {
    /// The text.
    pub text: &'a TokenizedText,
    /// The predicted category.
    pub category: usize,
    /// Weights of all tokens, by method.
    pub weights: Vec<(Method, Vec<f32>)>,
}

/// What was measured.
pub struct Measured {
    /// For `metrics.json`.
    pub faithfulness: Faithfulness,
    /// For each text how much of the probability is lost with a unit, divided evenly among its tokens; 0 for special tokens.
    pub leave_one_out: Vec<Vec<f32>>,
}

/// What is measured of one method on one text: twice comprehensiveness and sufficiency, and τ.
#[derive(Clone, Copy)]
struct Scores {
    masked: [f64; 2],
    removed: [f64; 2],
    leave_one_out: f64,
}

/// Asks the model again about texts without some of their units.
pub struct Eraser<'a> {
    pub explainer: &'a mut Explainer,
    pub unit: Unit,
    pub replacement: &'a Replacement,
}

/// A text's units, and the probability that its category has without some of them.
struct Asked {
    units: Vec<Vec<usize>>,
    whole: f64,
    without: HashMap<(How, Erased), f64>,
}

/// The head of the last layer whose weights are the most comprehensive for these texts, whose units are masked.
pub fn best_head(eraser: &mut Eraser<'_>, texts: &[&TokenizedText]) -> Result<BestHead> {
    let mut totals: Vec<f64> = Vec::new();
    let mut progress = Progress::new("choosing a head", texts.len() as u64, "texts");
    for text in texts {
        let answer = eraser.explainer.classify(&[text_ids(text)])?.remove(0);
        let category = most_probable(ArrayView1::from(&answer.probabilities));
        let weights: Vec<Vec<f32>> = answer.attention.rows().into_iter().map(|head| head.to_vec()).collect();
        let units = units_of(text, eraser.unit);
        let chosen: Vec<Vec<Erased>> =
            weights.iter().map(|weights| heaviest_shares(&by_unit(&units, weights))).collect();
        let questions = chosen.iter().flatten().map(|erased| (How::Masked, erased.clone()));
        let asked = eraser.ask(text, category, units, questions.collect())?;
        totals.resize(weights.len(), 0.0);
        for (total, chosen) in totals.iter_mut().zip(&chosen) {
            *total += asked.comprehensiveness(How::Masked, chosen)?;
        }
        progress.advance(1);
    }
    progress.finish();
    let best = (0..totals.len()).fold(0, |best, head| if totals[head] > totals[best] { head } else { best });
    Ok(BestHead { head: best as u64, texts: texts.len() as u64 })
}

/// Measures all methods on all texts. Every text has weights of the same methods, [`Method::Random`] apart,
/// which is added.
pub fn measure(
    eraser: &mut Eraser<'_>,
    mut subjects: Vec<Subject<'_>>,
    best_head: BestHead,
) -> Result<Measured> {
    let mut rng = ChaCha8Rng::seed_from_u64(SEED);
    for subject in &mut subjects {
        // A number for each unit and not for each token, or else long words would be drawn first.
        let units = units_of(subject.text, eraser.unit);
        let drawn: Vec<f64> = units.iter().map(|_| rng.random()).collect();
        subject.weights.push((Method::Random, spread(&units, &drawn, subject.text.input_ids.len())));
    }
    let methods: Vec<Method> = subjects
        .first()
        .map(|subject| subject.weights.iter().map(|(method, _)| *method).collect())
        .unwrap_or_default();
    let mut scores: Vec<Vec<Scores>> = vec![Vec::new(); methods.len()];
    let (mut leave_one_out, mut count) = (Vec::new(), 0);
    let mut progress = Progress::new("faithfulness", subjects.len() as u64, "texts");
    for subject in &subjects {
        let (asked, drops) = eraser.ask_about(subject)?;
        count += asked.units.len();
        for (of_method, (_, weights)) in scores.iter_mut().zip(&subject.weights) {
            of_method.push(asked.scores(weights, &drops)?);
        }
        leave_one_out.push(spread(&asked.units, &drops, subject.text.input_ids.len()));
        progress.advance(1);
    }
    progress.finish();

    let of = |wanted| {
        let found = methods.iter().zip(&scores).find(|(method, _)| **method == wanted);
        found.map(|(_, scores)| scores.as_slice())
    };
    let of_method = |(method, scores): (&Method, &Vec<Scores>)| {
        // Nothing is compared with itself, and random weights with nothing.
        let against = |other: Method| match *method {
            Method::Random => None,
            method => of(other).filter(|_| method != other),
        };
        let (random, attention) = (against(Method::Random), against(Method::Attention));
        let measure = |number: fn(&Scores) -> f64| measure_of(scores, random, attention, number);
        MethodFaithfulness {
            method: *method,
            masked: Erasure {
                comprehensiveness: measure(|scores| scores.masked[0]),
                sufficiency: measure(|scores| scores.masked[1]),
            },
            removed: Erasure {
                comprehensiveness: measure(|scores| scores.removed[0]),
                sufficiency: measure(|scores| scores.removed[1]),
            },
            leave_one_out: measure(|scores| scores.leave_one_out),
        }
    };
    let faithfulness = Faithfulness {
        texts: subjects.len() as u64,
        units: eraser.unit,
        replacement: eraser.replacement.token.clone(),
        mean_units: count as f64 / subjects.len() as f64,
        shares: SHARES.to_vec(),
        methods: methods.iter().zip(&scores).map(of_method).collect(),
        best_head,
    };
    Ok(Measured { faithfulness, leave_one_out })
}

impl Eraser<'_> {
    /// Asks all that is needed of a text, and says how much is lost with each unit alone.
    fn ask_about(&mut self, subject: &Subject<'_>) -> Result<(Asked, Vec<f64>)> {
        let units = units_of(subject.text, self.unit);
        let single = |unit| (How::Masked, (0..units.len()).map(|other| other == unit).collect());
        let mut questions: Vec<(How, Erased)> = (0..units.len()).map(single).collect();
        for (_, weights) in &subject.weights {
            for erased in heaviest_shares(&by_unit(&units, weights)) {
                for how in [How::Masked, How::Removed] {
                    questions.push((how, erasure::others(&erased)));
                    questions.push((how, erased.clone()));
                }
            }
        }
        let singles = questions[..units.len()].to_vec();
        let asked = self.ask(subject.text, subject.category, units, questions)?;
        let drops = singles.into_iter().map(|question| asked.lost(question)).collect::<Result<_>>()?;
        Ok((asked, drops))
    }

    /// Classifies the text and the text without what each question takes.
    fn ask(
        &mut self,
        text: &TokenizedText,
        category: usize,
        units: Vec<Vec<usize>>,
        questions: Vec<(How, Erased)>,
    ) -> Result<Asked> {
        let mut seen = HashMap::new();
        let mut variants = vec![(text.input_ids.clone(), text.token_type_ids.clone())];
        for question in questions {
            let next = variants.len();
            let place = *seen.entry(question.clone()).or_insert(next);
            if place == next {
                let (how, erased) = question;
                variants.push(erasure::erase(text_ids(text), &units, &erased, how, self.replacement));
            }
        }
        let ids: Vec<TextIds<'_>> = variants
            .iter()
            .map(|(input_ids, token_type_ids)| TextIds { input_ids, token_type_ids })
            .collect();
        let answers = self.explainer.classify(&ids)?;
        let of = |place: usize| f64::from(answers[place].probabilities[category]);
        let without = seen.into_iter().map(|(question, place)| (question, of(place))).collect();
        Ok(Asked { units, whole: of(0), without })
    }
}

impl Asked {
    /// How much of the probability is lost.
    fn lost(&self, question: (How, Erased)) -> Result<f64> {
        let left = self.without.get(&question).context("the model was not asked without these units")?;
        Ok(self.whole - left)
    }

    /// Mean over the shares of what is lost without the heaviest units.
    fn comprehensiveness(&self, how: How, heaviest: &[Erased]) -> Result<f64> {
        let lost = heaviest.iter().map(|erased| self.lost((how, erased.clone())));
        Ok(mean(lost.collect::<Result<Vec<_>>>()?.into_iter()))
    }

    /// Mean over the shares of what is lost with the heaviest units alone.
    fn sufficiency(&self, how: How, heaviest: &[Erased]) -> Result<f64> {
        let lost = heaviest.iter().map(|erased| self.lost((how, erasure::others(erased))));
        Ok(mean(lost.collect::<Result<Vec<_>>>()?.into_iter()))
    }

    /// What weights score.
    fn scores(&self, weights: &[f32], drops: &[f64]) -> Result<Scores> {
        let by_unit = by_unit(&self.units, weights);
        let heaviest = heaviest_shares(&by_unit);
        let both = |how| {
            Ok([self.comprehensiveness(how, &heaviest)?, self.sufficiency(how, &heaviest)?]) as Result<_>
        };
        let leave_one_out = kendall::tau_b(&by_unit, drops);
        Ok(Scores { masked: both(How::Masked)?, removed: both(How::Removed)?, leave_one_out })
    }
}

/// The mean of a number, and its differences to others' on the same texts.
fn measure_of(
    scores: &[Scores],
    random: Option<&[Scores]>,
    attention: Option<&[Scores]>,
    number: fn(&Scores) -> f64,
) -> Measure {
    let over = |other: &[Scores]| {
        let differences = scores.iter().zip(other).map(|(own, other)| number(own) - number(other));
        let differences: Vec<f64> = differences.collect();
        Difference {
            mean: mean(differences.iter().copied()),
            interval: statistics::bootstrap_mean(&differences),
        }
    };
    let values: Vec<f64> = scores.iter().map(number).collect();
    Measure {
        mean: mean(values.iter().copied()),
        interval: statistics::bootstrap_mean(&values),
        over_random: random.map(over),
        over_attention: attention.map(over),
    }
}

/// The units that are taken at each share.
fn heaviest_shares(weights: &[f64]) -> Vec<Erased> {
    SHARES.iter().map(|&share| erasure::heaviest(weights, share)).collect()
}

/// Weights of units: the sums of their tokens'.
fn by_unit(units: &[Vec<usize>], weights: &[f32]) -> Vec<f64> {
    units.iter().map(|positions| positions.iter().map(|&at| f64::from(weights[at])).sum()).collect()
}

/// Numbers of units, divided evenly among their tokens.
fn spread(units: &[Vec<usize>], numbers: &[f64], tokens: usize) -> Vec<f32> {
    let mut spread = vec![0.0; tokens];
    for (positions, number) in units.iter().zip(numbers) {
        positions.iter().for_each(|&at| spread[at] = (number / positions.len() as f64) as f32);
    }
    spread
}

fn mean(numbers: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = numbers.fold((0.0, 0), |(sum, count), number| (sum + number, count + 1));
    sum / f64::from(count.max(1))
}
