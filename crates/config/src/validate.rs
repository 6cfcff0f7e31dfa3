//! Refuses values that have the right type but are impossible.

use crate::bundled::BundledEncoder;
use crate::config::Config;
use crate::tokenize::LongTexts;

/// More threads than that only wait for each other, and each needs a stack.
const MAX_THREADS: usize = 256;
/// Tokens of one input. Attention needs memory with the square of it.
const MAX_TOKENS: usize = 1 << 16;
/// Tokens of one batch.
const MAX_BATCH_TOKENS: usize = 1 << 22;
/// Texts of one batch.
const MAX_BATCH: usize = 1 << 16;
/// Seconds and GiB: more does not fit where they are counted in smaller units.
const MAX_AMOUNT: f64 = 1e9;
/// A training needs four times the memory of the parameters: 16 GB.
const MAX_SCRATCH_PARAMETERS: u64 = 1_000_000_000;

/// Checks the values of `config` that its types allow too much of; an error names the key.
pub(crate) fn validate(config: &Config) -> Result<(), String> {
    let Config { run, fetch, corpus, model, tokenize, train, evaluate, .. } = config;
    let (split, scratch, rates) = (&corpus.split, &model.scratch, &train.learning_rate);
    require(!run.name.is_empty() && !run.name.starts_with('.') && !run.name.contains(['/', '\\']), || {
        format!("run.name is {:?}; expected a plain folder name", run.name)
    })?;
    BundledEncoder::of(model.checkpoint.with_secrets())?;
    let megabytes = fetch.max_megabytes;
    require((1..=1_000_000).contains(&megabytes), || {
        format!("fetch.max_megabytes is {megabytes}; expected 1 to 1000000")
    })?;
    for (key, share) in [
        ("corpus.split.test", split.test),
        ("corpus.split.validation", split.validation),
        ("train.learning_rate.warmup", rates.warmup),
        ("train.dropout.hidden", train.dropout.hidden),
        ("train.dropout.attention", train.dropout.attention),
        ("train.label_smoothing", train.label_smoothing),
    ] {
        require((0.0..1.0).contains(&share), || format!("{key} is {share}; expected a share in [0, 1)"))?;
    }
    let delimiter = corpus.delimiter.as_bytes();
    require(delimiter.len() <= 1 && !delimiter.iter().any(|byte| b"\"\r\n".contains(byte)), || {
        format!(
            "corpus.delimiter is {:?}; expected one ASCII character that is no quote and no line end, such as \";\" or \
             \"\\t\"",
            corpus.delimiter
        )
    })?;
    for (key, value, most) in corpus.limits.bounds() {
        require((1..=most).contains(&value), || {
            format!("corpus.limits.{key} is {value}; expected 1 to {most}")
        })?;
    }
    let held_out = split.test + split.validation;
    require(held_out < 1.0, || {
        format!("corpus.split.test + corpus.split.validation is {held_out}; nothing is left for training")
    })?;
    for (key, value, least, most) in [
        ("run.threads", run.threads, 0, MAX_THREADS),
        ("tokenize.max_length", tokenize.max_length, 3, MAX_TOKENS),
        ("tokenize.stride", tokenize.stride, 0, MAX_TOKENS),
        ("train.epochs", train.epochs, 1, 10_000),
        ("train.batch_size", train.batch_size, 1, MAX_BATCH),
        ("train.batch_tokens", train.batch_tokens, 0, MAX_BATCH_TOKENS),
        ("train.gradient_accumulation_steps", train.gradient_accumulation_steps, 1, MAX_BATCH),
        ("train.patience", train.patience, 0, 10_000),
        ("train.trunk_batch_tokens", train.trunk_batch_tokens, 1, MAX_BATCH_TOKENS),
        ("evaluate.batch_tokens", evaluate.batch_tokens, 1, MAX_BATCH_TOKENS),
        ("evaluate.explain.integration_points", evaluate.explain.integration_points, 2, 1_000_000),
        ("model.scratch.layers", scratch.layers, 1, 128),
        ("model.scratch.hidden_size", scratch.hidden_size, 1, 8192),
        ("model.scratch.attention_heads", scratch.attention_heads, 1, 1024),
        ("model.scratch.intermediate_size", scratch.intermediate_size, 1, 65_536),
        ("model.scratch.max_positions", scratch.max_positions, 3, 65_536),
        ("model.scratch.vocabulary_size", scratch.vocabulary_size, 100, 1_000_000),
    ] {
        require(value >= least, || format!("{key} is {value}; expected at least {least}"))?;
        require(value <= most, || format!("{key} is {value}; expected at most {most}"))?;
    }
    let parameters = scratch.parameters();
    require(parameters <= MAX_SCRATCH_PARAMETERS, || {
        format!(
            "model.scratch describes {parameters} parameters; expected at most {MAX_SCRATCH_PARAMETERS}: lower \
             model.scratch.layers, .hidden_size, .intermediate_size, .max_positions or .vocabulary_size"
        )
    })?;
    match tokenize.long_texts {
        LongTexts::Truncate => require(tokenize.stride == 0, || {
            format!(
                "tokenize.stride is {}, but texts have no windows that could share tokens; set tokenize.long_texts = \
                 \"windows\", or leave the stride out",
                tokenize.stride
            )
        })?,
        LongTexts::Windows => {
            require(!config.compat.article, || {
                "tokenize.long_texts is \"windows\" and compat.article is true, but the article truncates long texts; \
                 set one of them back"
                    .to_owned()
            })?;
            require(tokenize.stride < tokenize.max_length, || {
                format!(
                    "tokenize.stride is {}, tokenize.max_length {}; expected a smaller stride",
                    tokenize.stride, tokenize.max_length
                )
            })?;
        }
    }
    require(scratch.hidden_size.is_multiple_of(scratch.attention_heads), || {
        format!(
            "model.scratch.hidden_size is {}, not a multiple of model.scratch.attention_heads, {}",
            scratch.hidden_size, scratch.attention_heads
        )
    })?;
    require(evaluate.baseline || !evaluate.ensemble, || {
        "evaluate.ensemble is true, but evaluate.baseline, the other half of it, is false; expected both or no \
         ensemble"
            .to_owned()
    })?;
    let error = evaluate.explain.integration_error;
    require((0.0..=1.0).contains(&error), || {
        format!("evaluate.explain.integration_error is {error}; expected a share in [0, 1]")
    })?;
    let weight = evaluate.ensemble_weight;
    require((0.0..=1.0).contains(&weight), || {
        format!("evaluate.ensemble_weight is {weight}; expected a share in [0, 1]")
    })?;
    for (key, number) in [
        ("learning_rate.encoder", rates.encoder),
        ("learning_rate.classifier", rates.classifier),
        ("learning_rate.layer_decay", rates.layer_decay),
        ("weight_decay", train.weight_decay),
        ("max_grad_norm", train.max_grad_norm),
    ] {
        require(number.is_finite() && number >= 0.0, || {
            format!("train.{key} is {number}; expected a number of at least 0")
        })?;
    }
    for (key, number) in [
        ("train.save_interval", train.save_interval),
        ("train.features.disk_budget_gib", train.features.disk_budget_gib),
        ("evaluate.explain.memory_gib", evaluate.explain.memory_gib),
    ] {
        require((0.0..=MAX_AMOUNT).contains(&number), || {
            format!("{key} is {number}; expected a number from 0 to {MAX_AMOUNT:e}")
        })?;
    }
    Ok(())
}

fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}
