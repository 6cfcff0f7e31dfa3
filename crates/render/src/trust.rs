//! Which explanation methods the run's own measurements support. The rules are here alone: the explorer opens with
//! the best method, and the words of each category are shown only by a method that is better than chance.

use midashi_artifacts::{Faithfulness, Measure, Method, MethodFaithfulness};
use serde::Serialize;

/// A method compared with random weights by comprehensiveness and sufficiency together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Both are better.
    Better,
    /// One is better, and the other is not worse.
    Partly,
    /// Neither differs significantly, or one is better and the other worse.
    Unclear,
    /// One is worse and the other not better.
    Worse,
}

impl Standing {
    /// The standing with units masked, which is closer to the training data than removing them.
    pub fn of(row: &MethodFaithfulness) -> Self {
        Self::by(&row.masked.comprehensiveness, &row.masked.sufficiency)
    }

    /// The standing by two measures against random weights.
    pub fn by(comprehensiveness: &Measure, sufficiency: &Measure) -> Self {
        // Lower sufficiency is better.
        match [better(comprehensiveness, 1.0), better(sufficiency, -1.0)] {
            [1, 1] => Self::Better,
            [1, 0] | [0, 1] => Self::Partly,
            [0, 0] | [1, -1] | [-1, 1] => Self::Unclear,
            _ => Self::Worse,
        }
    }

    /// Whether the method is at least partly better than random weights.
    pub fn is_better_than_chance(self) -> bool {
        matches!(self, Self::Better | Self::Partly)
    }
}

/// Whether a method was measured to be better than random weights. One that was not measured is not.
pub fn is_better_than_chance(measured: &Faithfulness, method: Method) -> bool {
    measured.of(method).is_some_and(|row| Standing::of(row).is_better_than_chance())
}

/// The methods that the report trusts, the best first: those that are better than chance and whose comprehensiveness
/// is significantly higher than that of random weights, in descending order of comprehensiveness, with units masked.
/// Methods with the same number keep the order of the measurements.
pub fn ranking(measured: &Faithfulness) -> Vec<Method> {
    let comprehensiveness = |row: &MethodFaithfulness| row.masked.comprehensiveness;
    let is_trusted = |row: &&MethodFaithfulness| {
        row.method != Method::Random
            && Standing::of(row).is_better_than_chance()
            && better(&comprehensiveness(row), 1.0) == 1
    };
    let mut trusted: Vec<&MethodFaithfulness> = measured.methods.iter().filter(is_trusted).collect();
    trusted.sort_by(|a, b| comprehensiveness(b).mean.total_cmp(&comprehensiveness(a).mean));
    trusted.into_iter().map(|row| row.method).collect()
}

/// 1 if significantly better than random weights, −1 if significantly worse, else 0.
fn better(measure: &Measure, sign: f64) -> i8 {
    match measure.over_random {
        Some(difference) if difference.significant && difference.mean * sign > 0.0 => 1,
        Some(difference) if difference.significant => -1,
        _ => 0,
    }
}

#[cfg(test)]
pub mod tests {
    use midashi_artifacts::{BestHead, Difference, Erasure, Interval, Unit};

    use super::*;

    /// A mean with an interval of ±0.05, and its differences to 0.2 (random) and to 0.4 (attention).
    pub fn measure(mean: f64) -> Measure {
        let around = |number: f64| Interval { low: number - 0.05, high: number + 0.05 };
        let over = |floor: f64| Some(Difference::new(mean - floor, around(mean - floor), 10));
        Measure { mean, interval: around(mean), over_random: over(0.2), over_attention: over(0.4) }
    }

    /// A method's measures. `removed` is the comprehensiveness with units removed, `tau` the agreement of the order.
    pub fn row(
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

    /// Measurements of these methods on ten texts.
    pub fn measured(methods: Vec<MethodFaithfulness>) -> Faithfulness {
        Faithfulness {
            texts: 10,
            units: Unit::Words,
            replacement: "[MASK]".into(),
            mean_units: 5.0,
            shares: vec![0.5],
            methods,
            best_head: BestHead { head: 3, texts: 5 },
            integration: None,
        }
    }

    #[test]
    fn the_best_method_has_the_highest_significant_comprehensiveness() {
        let of =
            |method, comprehensiveness, sufficiency| row(method, comprehensiveness, sufficiency, 0.2, 0.0);
        let found = measured(vec![
            of(Method::Attention, 0.4, 0.1),
            // Not significantly above 0.2.
            of(Method::BestHead, 0.23, 0.2),
            // More comprehensive than all others, but less sufficient than random units.
            of(Method::Rollout, 0.8, 0.5),
            of(Method::GradientXInput, 0.5, 0.2),
            of(Method::IntegratedGradients, 0.7, 0.0),
            of(Method::Random, 0.9, 0.2),
        ]);
        assert_eq!(ranking(&found), [Method::IntegratedGradients, Method::GradientXInput, Method::Attention]);
        let chance = measured(vec![of(Method::Attention, 0.2, 0.2), of(Method::Random, 0.2, 0.2)]);
        assert_eq!(ranking(&chance), []);
    }

    #[test]
    fn a_method_that_is_only_more_sufficient_is_better_than_chance_but_not_the_best() {
        let found = measured(vec![row(Method::Attention, 0.2, 0.1, 0.2, 0.0)]);
        assert_eq!(Standing::of(&found.methods[0]), Standing::Partly);
        assert!(is_better_than_chance(&found, Method::Attention));
        assert!(!is_better_than_chance(&found, Method::Rollout), "not measured");
        assert_eq!(ranking(&found), []);
    }
}
