//! Training and data: the learning curves, and the lengths of the texts.

mod charts;
mod epochs;
mod lengths;

use anyhow::Context;
use minijinja::value::Serde;
use minijinja::{Value, context};

use self::epochs::Training;
use self::lengths::Lengths;
use crate::artifacts::Artifacts;
use midashi_page::Strings;

/// The epochs, the lengths, and their charts.
pub fn section(artifacts: &Artifacts, strings: &Strings) -> anyhow::Result<Option<Value>> {
    let training = Training::of(&artifacts.training);
    let lengths = Lengths::of(&artifacts.tokens.texts, &artifacts.record);
    let charts = context! {
        loss => charts::loss(&training, strings).context("cannot draw the loss")?,
        accuracy => charts::accuracy(&training, strings).context("cannot draw the accuracy")?,
        rates => charts::learning_rates(&training, strings).context("cannot draw the learning rates")?,
        lengths => lengths::chart(&lengths, strings).context("cannot draw the token lengths")?,
    };
    Ok(Some(context! { charts, epochs => Serde(training.epochs), lengths => Serde(lengths) }))
}
