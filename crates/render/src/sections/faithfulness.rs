//! Whether the pictures say what the answers rest on: what was measured, and what that allows one to
//! conclude, sentence by sentence, from the numbers.

use midashi_artifacts::{Faithfulness as Measured, Measure, Method, MethodFaithfulness, Unit};
use serde::Serialize;

use crate::strings::{Sentence, Word};

/// The section on faithfulness.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Faithfulness {
    /// What was measured.
    pub measured: Measured,
    /// The key of what is taken from texts.
    pub units: &'static str,
    /// The shares that are taken, for people.
    pub shares: String,
    /// One entry for each method, in the order of the table.
    pub rows: Vec<Row>,
    /// Whether gradient × input, which the table of words is made of, is better than random weights.
    pub gradients_hold: bool,
    /// What the numbers allow one to conclude.
    pub conclusions: Vec<Sentence>,
}

/// One method.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Its name.
    pub name: Sentence,
    /// What it scores.
    pub scores: MethodFaithfulness,
}

/// What comprehensiveness and sufficiency together say of a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Both are better than those of random weights.
    Better,
    /// One is better, and the other is not worse.
    Partly,
    /// Neither can be told from random weights, or one is better and the other worse.
    Unclear,
    /// One is worse and the other not better.
    Worse,
}

impl Faithfulness {
    /// Draws the conclusions.
    pub fn of(measured: &Measured) -> Self {
        let rows = measured.methods.iter().map(|scores| Row {
            name: Sentence::new(name(scores.method), name_values(measured, scores.method)),
            scores: *scores,
        });
        let shares = measured.shares.iter().map(|share| format!("{:.0}", 100.0 * share));
        Self {
            measured: measured.clone(),
            units: match measured.units {
                Unit::Words => "unit.words",
                Unit::Tokens => "unit.tokens",
            },
            shares: shares.collect::<Vec<_>>().join(", ") + " %",
            rows: rows.collect(),
            gradients_hold: measured
                .of(Method::GradientXInput)
                .is_some_and(|row| matches!(verdict_of(row), Verdict::Better | Verdict::Partly)),
            conclusions: conclusions(measured),
        }
    }
}

/// The key of a method's name.
fn name(method: Method) -> &'static str {
    match method {
        Method::Attention => "method.attention",
        Method::BestHead => "method.best_head",
        Method::Rollout => "method.rollout",
        Method::GradientXInput => "method.gradient_x_input",
        Method::IntegratedGradients => "method.integrated_gradients",
        Method::Random => "method.random",
    }
}

fn name_values(measured: &Measured, method: Method) -> Vec<(&'static str, Word)> {
    match method {
        Method::BestHead => vec![("head", Word::Text(measured.best_head.head.to_string()))],
        _ => vec![],
    }
}

fn conclusions(measured: &Measured) -> Vec<Sentence> {
    let (Some(attention), Some(random)) = (measured.of(Method::Attention), measured.of(Method::Random))
    else {
        return vec![];
    };
    let explaining = measured.methods.iter().filter(|row| row.method != Method::Random);
    let best = explaining.clone().max_by(|one, other| {
        let mean = |row: &MethodFaithfulness| row.masked.comprehensiveness.mean;
        mean(one).total_cmp(&mean(other))
    });
    let mut sentences = vec![of_attention(attention, random)];
    sentences.extend(best.map(|best| of_best(measured, best, attention)));
    let named = |verdict: fn(Verdict) -> bool| -> Vec<Word> {
        let rows = explaining.clone().filter(|row| verdict(verdict_of(row)));
        rows.map(|row| Word::Said(Sentence::new(name(row.method), name_values(measured, row.method))))
            .collect()
    };
    let like_random = named(|verdict| matches!(verdict, Verdict::Unclear | Verdict::Worse));
    if !like_random.is_empty() {
        sentences.push(Sentence::new("faithfulness.like_random", vec![("methods", Word::List(like_random))]));
    }
    let differing = explaining.clone().filter(|row| depends_on_how(row));
    let differing: Vec<Word> = differing
        .map(|row| Word::Said(Sentence::new(name(row.method), name_values(measured, row.method))))
        .collect();
    sentences.push(if differing.is_empty() {
        Sentence::new("faithfulness.either_way", vec![])
    } else {
        Sentence::new("faithfulness.depends", vec![("methods", Word::List(differing))])
    });
    let order = explaining.max_by(|one, other| one.leave_one_out.mean.total_cmp(&other.leave_one_out.mean));
    sentences.extend(order.map(|row| of_order(measured, row, attention)));
    sentences
}

/// What can be said of the picture that the explorer opens with.
fn of_attention(attention: &MethodFaithfulness, random: &MethodFaithfulness) -> Sentence {
    let key = match verdict_of(attention) {
        Verdict::Better => "faithfulness.attention_better",
        Verdict::Partly => "faithfulness.attention_partly",
        Verdict::Unclear => "faithfulness.attention_unclear",
        Verdict::Worse => "faithfulness.attention_worse",
    };
    let points = |measure: &Measure| Word::Text(format!("{:.0}", 100.0 * measure.mean));
    Sentence::new(
        key,
        vec![
            ("lost", points(&attention.masked.comprehensiveness)),
            ("random_lost", points(&random.masked.comprehensiveness)),
            ("alone_lost", points(&attention.masked.sufficiency)),
            ("random_alone_lost", points(&random.masked.sufficiency)),
        ],
    )
}

/// Which method marks best what an answer needs, and whether attention can be told from it.
fn of_best(measured: &Measured, best: &MethodFaithfulness, attention: &MethodFaithfulness) -> Sentence {
    if best.method == Method::Attention {
        return Sentence::new("faithfulness.attention_is_best", vec![]);
    }
    let (most, own) = (best.masked.comprehensiveness, attention.masked.comprehensiveness);
    let key = if most.over_attention.is_some_and(|difference| difference.is_significant()) {
        "faithfulness.best_beyond_attention"
    } else {
        "faithfulness.best_like_attention"
    };
    let name = Word::Said(Sentence::new(name(best.method), name_values(measured, best.method)));
    let points = |number: f64| Word::Text(format!("{:.0}", 100.0 * number));
    Sentence::new(
        key,
        vec![("method", name), ("lost", points(most.mean)), ("attention_lost", points(own.mean))],
    )
}

/// How far the order of weights is the order in which single words matter.
fn of_order(measured: &Measured, best: &MethodFaithfulness, attention: &MethodFaithfulness) -> Sentence {
    // The usual words for rank correlations; there is no line in nature at these numbers.
    let key = match best.leave_one_out.mean {
        tau if tau >= 0.5 => "faithfulness.order_strong",
        tau if tau >= 0.2 => "faithfulness.order_moderate",
        _ => "faithfulness.order_weak",
    };
    let tau = |row: &MethodFaithfulness| Word::Text(format!("{:.2}", row.leave_one_out.mean));
    let name = Word::Said(Sentence::new(name(best.method), name_values(measured, best.method)));
    Sentence::new(key, vec![("method", name), ("tau", tau(best)), ("attention_tau", tau(attention))])
}

/// With units masked, which is nearer to what the model has seen than leaving them out.
fn verdict_of(row: &MethodFaithfulness) -> Verdict {
    verdict(&row.masked.comprehensiveness, &row.masked.sufficiency)
}

fn depends_on_how(row: &MethodFaithfulness) -> bool {
    verdict_of(row) != verdict(&row.removed.comprehensiveness, &row.removed.sufficiency)
}

fn verdict(comprehensiveness: &Measure, sufficiency: &Measure) -> Verdict {
    // Sufficiency is a loss: less is better.
    let better = [better(comprehensiveness, 1.0), better(sufficiency, -1.0)];
    match better {
        [1, 1] => Verdict::Better,
        [1, 0] | [0, 1] => Verdict::Partly,
        [0, 0] | [1, -1] | [-1, 1] => Verdict::Unclear,
        _ => Verdict::Worse,
    }
}

/// 1 if better than random weights beyond chance, −1 if worse, else 0.
fn better(measure: &Measure, sign: f64) -> i8 {
    match measure.over_random {
        Some(difference) if difference.is_significant() => {
            if difference.mean * sign > 0.0 {
                1
            } else {
                -1
            }
        }
        _ => 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::{BestHead, Difference, Erasure, Interval};

    use super::*;

    /// A mean with an interval of ±0.05 and its differences to a floor of 0.2 and to attention of 0.4.
    fn measure(mean: f64) -> Measure {
        let around = |number: f64| Interval { low: number - 0.05, high: number + 0.05 };
        let over = |floor: f64| Some(Difference { mean: mean - floor, interval: around(mean - floor) });
        Measure { mean, interval: around(mean), over_random: over(0.2), over_attention: over(0.4) }
    }

    fn row(
        method: Method,
        comprehensiveness: f64,
        sufficiency: f64,
        removed: f64,
        tau: f64,
    ) -> MethodFaithfulness {
        let erasure = |comprehensiveness| Erasure {
            comprehensiveness: measure(comprehensiveness),
            sufficiency: measure(sufficiency),
        };
        MethodFaithfulness {
            method,
            masked: erasure(comprehensiveness),
            removed: erasure(removed),
            leave_one_out: measure(tau),
        }
    }

    fn keys(methods: Vec<MethodFaithfulness>) -> Vec<String> {
        let measured = Measured {
            texts: 10,
            units: Unit::Words,
            replacement: "[MASK]".into(),
            mean_units: 5.0,
            shares: vec![0.5],
            methods,
            best_head: BestHead { head: 3, texts: 5 },
        };
        Faithfulness::of(&measured).conclusions.into_iter().map(|sentence| sentence.key).collect()
    }

    #[test]
    fn conclusions_follow_the_numbers() {
        let random = row(Method::Random, 0.2, 0.2, 0.2, 0.0);
        // Attention better in both, gradients far better than it, the same either way.
        let found = keys(vec![
            row(Method::Attention, 0.4, 0.1, 0.4, 0.1),
            row(Method::IntegratedGradients, 0.7, 0.0, 0.7, 0.6),
            random,
        ]);
        assert_eq!(
            found,
            [
                "faithfulness.attention_better",
                "faithfulness.best_beyond_attention",
                "faithfulness.either_way",
                "faithfulness.order_strong"
            ]
        );
        // Attention like random, gradients better with words masked alone, and not told from attention.
        let found = keys(vec![
            row(Method::Attention, 0.21, 0.2, 0.2, 0.1),
            row(Method::GradientXInput, 0.41, 0.2, 0.2, 0.3),
            random,
        ]);
        assert_eq!(
            found,
            [
                "faithfulness.attention_unclear",
                "faithfulness.best_like_attention",
                "faithfulness.like_random",
                "faithfulness.depends",
                "faithfulness.order_moderate"
            ]
        );
        let found = keys(vec![row(Method::Attention, 0.1, 0.3, 0.1, -0.1), random]);
        assert_eq!(found[..2], ["faithfulness.attention_worse", "faithfulness.attention_is_best"]);
        assert_eq!(found.last().unwrap(), "faithfulness.order_weak");
        let found = keys(vec![row(Method::Attention, 0.3, 0.2, 0.3, 0.0), random]);
        assert_eq!(found[0], "faithfulness.attention_partly");
    }
}
