//! The measured faithfulness as a table for the terminal.

use std::fmt::Write;

use midashi_artifacts::{Faithfulness, Measure, Method};
use midashi_text::Unit;

/// One line per method, ending in a line break. A star marks a significant difference to random weights.
pub fn table(faithfulness: &Faithfulness) -> String {
    let Faithfulness { texts, units, replacement, best_head, .. } = faithfulness;
    let units = match units {
        Unit::Words => "words",
        Unit::Tokens => "tokens",
    };
    let mut table = format!(
        "  faithfulness on {texts} texts, {units} replaced by {replacement} | removed (* differs from random {units}):\n\
         {:24} comprehensiveness     sufficiency           leave-one-out τ\n",
        ""
    );
    for row in &faithfulness.methods {
        let name = match row.method {
            Method::Attention => "attention, heads summed".to_owned(),
            Method::BestHead => format!("attention, head {}", best_head.head),
            Method::Rollout => "attention rollout".to_owned(),
            Method::GradientXInput => "gradient × input".to_owned(),
            Method::IntegratedGradients => "integrated gradients".to_owned(),
            Method::Random => format!("random {units}"),
        };
        let (masked, removed) = (&row.masked, &row.removed);
        // Writing to a string cannot fail.
        let _ = writeln!(
            table,
            "  {name:23} {} | {}   {} | {}   {}",
            number(&masked.comprehensiveness),
            number(&removed.comprehensiveness),
            number(&masked.sufficiency),
            number(&removed.sufficiency),
            number(&row.leave_one_out),
        );
    }
    table
}

fn number(measure: &Measure) -> String {
    let differs = measure.over_random.is_some_and(|difference| difference.significant);
    format!("{:>7.4}{}", measure.mean, if differs { "*" } else { " " })
}
