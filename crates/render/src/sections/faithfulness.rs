//! Whether the explanations are faithful: the measurements, and the conclusions that the numbers allow.

use midashi_artifacts::{Faithfulness as Measured, Measure, Method, MethodFaithfulness, Unit};
use minijinja::value::Serde;
use minijinja::{Value, context};

use crate::artifacts::Artifacts;
use midashi_page::{Sentence, Strings, Word};

/// A method compared with random weights by comprehensiveness and sufficiency together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Both are better.
    Better,
    /// One is better, and the other is not worse.
    Partly,
    /// Neither differs significantly, or one is better and the other worse.
    Unclear,
    /// One is worse and the other not better.
    Worse,
}

/// The measurements and conclusions; left out if nothing was measured.
pub fn section(artifacts: &Artifacts, _: &Strings) -> anyhow::Result<Option<Value>> {
    let Some(measured) = &artifacts.metrics.faithfulness else { return Ok(None) };
    let shares = measured.shares.iter().map(|share| format!("{:.0}", 100.0 * share));
    let rows = measured.methods.iter().map(|scores| {
        context! { name => Serde(name(measured, scores.method)), scores => Serde(scores) }
    });
    Ok(Some(context! {
        measured => Serde(measured),
        units => match measured.units {
            Unit::Words => "unit.words",
            Unit::Tokens => "unit.tokens",
        },
        shares => shares.collect::<Vec<_>>().join(", ") + " %",
        rows => rows.collect::<Vec<_>>(),
        conclusions => Serde(conclusions(measured)),
    }))
}

/// Whether gradient × input is at least partly more faithful than random weights.
pub fn gradients_are_faithful(measured: &Measured) -> bool {
    let row = measured.of(Method::GradientXInput);
    row.is_some_and(|row| matches!(verdict_of(row), Verdict::Better | Verdict::Partly))
}

fn name(measured: &Measured, method: Method) -> Sentence {
    let head = || vec![("head", Word::Text(measured.best_head.head.to_string()))];
    let (key, values) = match method {
        Method::Attention => ("method.attention", vec![]),
        Method::BestHead => ("method.best_head", head()),
        Method::Rollout => ("method.rollout", vec![]),
        Method::GradientXInput => ("method.gradient_x_input", vec![]),
        Method::IntegratedGradients => ("method.integrated_gradients", vec![]),
        Method::Random => ("method.random", vec![]),
    };
    Sentence::new(key, values)
}

fn conclusions(measured: &Measured) -> Vec<Sentence> {
    let (Some(attention), Some(random)) = (measured.of(Method::Attention), measured.of(Method::Random))
    else {
        return vec![];
    };
    let methods = measured.methods.iter().filter(|row| row.method != Method::Random);
    let best_by = |number: fn(&MethodFaithfulness) -> f64| {
        methods.clone().max_by(|one, other| number(one).total_cmp(&number(other)))
    };
    let names = |holds: fn(&MethodFaithfulness) -> bool| -> Vec<Word> {
        let rows = methods.clone().filter(|row| holds(row));
        rows.map(|row| Word::Sentence(name(measured, row.method))).collect()
    };
    let mut sentences = vec![of_attention(attention, random)];
    let best = best_by(|row| row.masked.comprehensiveness.mean);
    sentences.extend(best.map(|best| of_best(measured, best, attention)));
    let like_random = names(|row| matches!(verdict_of(row), Verdict::Unclear | Verdict::Worse));
    if !like_random.is_empty() {
        sentences.push(Sentence::new("faithfulness.like_random", vec![("methods", Word::List(like_random))]));
    }
    let differing = names(depends_on_erasure);
    sentences.push(if differing.is_empty() {
        Sentence::new("faithfulness.either_way", vec![])
    } else {
        Sentence::new("faithfulness.depends", vec![("methods", Word::List(differing))])
    });
    let best_order = best_by(|row| row.leave_one_out.mean);
    sentences.extend(best_order.map(|row| of_order(measured, row, attention)));
    sentences
}

/// The conclusion about summed attention, the explorer's initial colours.
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

/// The most comprehensive method, and whether it differs significantly from attention.
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
    let name = Word::Sentence(name(measured, best.method));
    let points = |number: f64| Word::Text(format!("{:.0}", 100.0 * number));
    Sentence::new(
        key,
        vec![("method", name), ("lost", points(most.mean)), ("attention_lost", points(own.mean))],
    )
}

/// How well the order of the weights agrees with the effect of single units.
fn of_order(measured: &Measured, best: &MethodFaithfulness, attention: &MethodFaithfulness) -> Sentence {
    // Conventional limits for rank correlations.
    let key = match best.leave_one_out.mean {
        tau if tau >= 0.5 => "faithfulness.order_strong",
        tau if tau >= 0.2 => "faithfulness.order_moderate",
        _ => "faithfulness.order_weak",
    };
    let tau = |row: &MethodFaithfulness| Word::Text(format!("{:.2}", row.leave_one_out.mean));
    let name = Word::Sentence(name(measured, best.method));
    Sentence::new(key, vec![("method", name), ("tau", tau(best)), ("attention_tau", tau(attention))])
}

/// The verdict with units masked, which is closer to the training data than removing them.
fn verdict_of(row: &MethodFaithfulness) -> Verdict {
    verdict(&row.masked.comprehensiveness, &row.masked.sufficiency)
}

fn depends_on_erasure(row: &MethodFaithfulness) -> bool {
    verdict_of(row) != verdict(&row.removed.comprehensiveness, &row.removed.sufficiency)
}

fn verdict(comprehensiveness: &Measure, sufficiency: &Measure) -> Verdict {
    // Lower sufficiency is better.
    let better = [better(comprehensiveness, 1.0), better(sufficiency, -1.0)];
    match better {
        [1, 1] => Verdict::Better,
        [1, 0] | [0, 1] => Verdict::Partly,
        [0, 0] | [1, -1] | [-1, 1] => Verdict::Unclear,
        _ => Verdict::Worse,
    }
}

/// 1 if significantly better than random weights, −1 if significantly worse, else 0.
fn better(measure: &Measure, sign: f64) -> i8 {
    match measure.over_random {
        Some(difference) if difference.is_significant() && difference.mean * sign > 0.0 => 1,
        Some(difference) if difference.is_significant() => -1,
        _ => 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_artifacts::{BestHead, Difference, Erasure, Interval};

    use super::*;

    /// A mean with an interval of ±0.05, and its differences to 0.2 (random) and to 0.4 (attention).
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
        conclusions(&measured).into_iter().map(|sentence| sentence.key).collect()
    }

    #[test]
    fn conclusions_follow_the_numbers() {
        let random = row(Method::Random, 0.2, 0.2, 0.2, 0.0);
        // Attention is better in both, gradients are far better still, and both ways of erasing agree.
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
        // Attention is like random. Gradients are better only with words masked, and not different from attention.
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
