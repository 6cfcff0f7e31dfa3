//! Whether the explanations are faithful: the measurements, and the conclusions that the numbers allow.

use midashi_artifacts::{Faithfulness as Measured, Measure, Method, MethodFaithfulness, Unit};
use minijinja::value::Serde;
use minijinja::{Value, context};

use crate::artifacts::Artifacts;
use crate::trust::Standing;
use midashi_page::{Sentence, Strings, Word};

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
    let like_random = names(|row| !Standing::of(row).is_better_than_chance());
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

/// The conclusion about summed attention, the article's colours.
fn of_attention(attention: &MethodFaithfulness, random: &MethodFaithfulness) -> Sentence {
    let key = match Standing::of(attention) {
        Standing::Better => "faithfulness.attention_better",
        Standing::Partly => "faithfulness.attention_partly",
        Standing::Unclear => "faithfulness.attention_unclear",
        Standing::Worse => "faithfulness.attention_worse",
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
    let key = if most.over_attention.is_some_and(|difference| difference.significant) {
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

fn depends_on_erasure(row: &MethodFaithfulness) -> bool {
    Standing::of(row) != Standing::by(&row.removed.comprehensiveness, &row.removed.sufficiency)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::trust::tests::{measured, row};

    fn keys(methods: Vec<MethodFaithfulness>) -> Vec<String> {
        conclusions(&measured(methods)).into_iter().map(|sentence| sentence.key).collect()
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
