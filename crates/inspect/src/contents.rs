//! The contents of a checkpoint: parameters and files.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use midashi_config::TrainableLayers;
use midashi_encoder::{Checkpoint, EncoderConfig, Weights};
use midashi_text::shaped;

/// Reports the numbers of parameters and of trainable parameters.
pub fn parameters(
    report: &mut String,
    config: &EncoderConfig,
    weights: &Weights,
    trainable: TrainableLayers,
) -> Result<()> {
    let (layers, hidden) = (config.num_hidden_layers, config.hidden_size);
    let last = trainable.last();
    if let Some(last) = last {
        ensure!(last <= layers, "train.trainable_layers is {last} but the checkpoint has {layers} layers");
    }
    let count = |wanted: &dyn Fn(&str) -> bool| -> usize {
        weights.iter().filter(|(name, _)| wanted(name)).map(|(_, tensor)| tensor.len()).sum()
    };
    // A linear classifier does not use the pooler, so it is not trainable.
    let is_pooler = |name: &str| config.is_head(name);
    let encoder = count(&|name| config.layer_of(name).is_some());
    let is_embedding =
        |name: &str| config.layer_of(name).is_none() && !is_pooler(name) && !config.is_after_layers(name);
    let of_layer = |layer: usize| count(&|name| config.layer_of(name) == Some(layer));
    let per_layer = match (of_layer(0), of_layer(layers - 1)) {
        (first, last) if first == last => format!("{layers} layers of {}", grouped(first)),
        // ModernBERT's first layer does not normalise before attention.
        (first, last) => format!("a layer of {} and {} of {}", grouped(first), layers - 1, grouped(last)),
    };
    let rows = [
        ("embeddings", count(&is_embedding), String::new()),
        ("encoder", encoder, per_layer),
        ("final norm", count(&|name| config.is_after_layers(name)), String::new()),
        ("pooler", count(&is_pooler), String::new()),
        ("total", count(&|_| true), String::new()),
        (
            "trainable",
            count(&|name| !is_pooler(name) && config.is_trainable(name, last)),
            match last {
                None => "embeddings and all layers".to_owned(),
                Some(count) => format!("the last {count} of {layers} layers"),
            },
        ),
    ];
    writeln!(report, "parameters")?;
    for (name, count, note) in rows.iter().filter(|(_, count, note)| *count > 0 || !note.is_empty()) {
        writeln!(report, "{}", format!("  {name:12}{:>15}  {note}", grouped(*count)).trim_end())?;
    }
    writeln!(
        report,
        "  A linear classifier adds {} for each category, all of them trainable.\n",
        grouped(hidden + 1)
    )?;
    Ok(())
}

/// Reports the checkpoint's architecture, its files and their unused tensors.
pub fn files(report: &mut String, checkpoint: &Checkpoint, weights: &Weights) -> Result<()> {
    writeln!(report, "files of a {}", checkpoint.config().name())?;
    for file in checkpoint.weights_files()? {
        let bytes = std::fs::metadata(&file.path)
            .with_context(|| format!("cannot read {}", file.path.display()))?
            .len();
        let tensors: Vec<String> =
            file.tensors.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(
            report,
            "  {}: {}, {:.1} MiB, tensors: {}",
            shaped(&file.path.file_name().unwrap_or_default().to_string_lossy()),
            file.container,
            bytes as f64 / f64::from(1 << 20),
            tensors.join(", ")
        )?;
    }
    let unused = checkpoint.unused(weights)?;
    if !unused.is_empty() {
        writeln!(report, "  beside the encoder: {}", shaped(&unused.join(", ")))?;
    }
    writeln!(report)?;
    Ok(())
}

/// `110,617,344`
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_three() {
        for (number, text) in [(0, "0"), (768, "768"), (1000, "1,000"), (110_617_344, "110,617,344")] {
            assert_eq!(grouped(number), text);
        }
    }
}
