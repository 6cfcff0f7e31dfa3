//! The model's modules, in the form in which PyTorch prints transformers' `BertModel`.

use std::fmt;

use midashi_encoder::{Activation, EncoderConfig};

/// A module: its class with arguments, and its named submodules.
pub struct Module {
    class: String,
    children: Vec<(String, Module)>,
}

impl Module {
    fn leaf(class: impl Into<String>) -> Self {
        Self { class: class.into(), children: Vec::new() }
    }

    fn of<const N: usize>(class: impl Into<String>, children: [(&str, Self); N]) -> Self {
        let children = children.into_iter().map(|(name, module)| (name.to_owned(), module));
        Self { class: class.into(), children: children.collect() }
    }

    fn print(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        if self.children.is_empty() {
            return f.write_str(&self.class);
        }
        writeln!(f, "{}(", self.class)?;
        for (name, module) in &self.children {
            write!(f, "{:1$}({name}): ", "", 2 * depth + 2)?;
            module.print(f, depth + 1)?;
            writeln!(f)?;
        }
        write!(f, "{:1$})", "", 2 * depth)
    }
}

impl fmt::Display for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(f, 0)
    }
}

/// The whole encoder. Dropout is shown as transformers would train with it.
pub fn bert(config: &EncoderConfig, has_pooler: bool) -> Module {
    let layers = config.num_hidden_layers;
    let (name, class) = match layers {
        1 => ("0".to_owned(), "BertLayer".to_owned()),
        _ => (format!("0-{}", layers - 1), format!("{layers} x BertLayer")),
    };
    let mut children = vec![
        ("embeddings".to_owned(), embeddings(config)),
        (
            "encoder".to_owned(),
            Module::of(
                "BertEncoder",
                [("layer", Module::of("ModuleList", [(name.as_str(), layer(config, class))]))],
            ),
        ),
    ];
    if has_pooler {
        let dense = linear(config.hidden_size, config.hidden_size);
        let pooler = Module::of("BertPooler", [("dense", dense), ("activation", Module::leaf("Tanh()"))]);
        children.push(("pooler".to_owned(), pooler));
    }
    Module { class: "BertModel".to_owned(), children }
}

fn embeddings(config: &EncoderConfig) -> Module {
    let hidden = config.hidden_size;
    let table = |rows: usize, more: &str| Module::leaf(format!("Embedding({rows}, {hidden}{more})"));
    Module::of(
        "BertEmbeddings",
        [
            ("word_embeddings", table(config.vocab_size, &format!(", padding_idx={}", config.pad_token_id))),
            ("position_embeddings", table(config.max_position_embeddings, "")),
            ("token_type_embeddings", table(config.type_vocab_size, "")),
            ("LayerNorm", layer_norm(config)),
            ("dropout", dropout(config, "hidden_dropout_prob")),
        ],
    )
}

fn layer(config: &EncoderConfig, class: String) -> Module {
    let (hidden, wide) = (config.hidden_size, config.intermediate_size);
    let attention = Module::of(
        "BertSelfAttention",
        [
            ("query", linear(hidden, hidden)),
            ("key", linear(hidden, hidden)),
            ("value", linear(hidden, hidden)),
            ("dropout", dropout(config, "attention_probs_dropout_prob")),
        ],
    );
    let output = |class: &str, input| {
        let parts = [
            ("dense", linear(input, hidden)),
            ("LayerNorm", layer_norm(config)),
            ("dropout", dropout(config, "hidden_dropout_prob")),
        ];
        Module::of(class, parts)
    };
    let activation = match config.hidden_act {
        Activation::Gelu => "GELUActivation()",
        Activation::GeluNew => "NewGELUActivation()",
        Activation::Relu => "ReLU()",
    };
    Module::of(
        class,
        [
            (
                "attention",
                Module::of(
                    "BertAttention",
                    [("self", attention), ("output", output("BertSelfOutput", hidden))],
                ),
            ),
            (
                "intermediate",
                Module::of(
                    "BertIntermediate",
                    [("dense", linear(hidden, wide)), ("intermediate_act_fn", Module::leaf(activation))],
                ),
            ),
            ("output", output("BertOutput", wide)),
        ],
    )
}

fn linear(input: usize, output: usize) -> Module {
    Module::leaf(format!("Linear(in_features={input}, out_features={output}, bias=True)"))
}

fn layer_norm(config: &EncoderConfig) -> Module {
    let epsilon = python_float(config.layer_norm_eps);
    Module::leaf(format!(
        "LayerNorm(({},), eps={epsilon}, elementwise_affine=True, bias=True)",
        config.hidden_size
    ))
}

fn dropout(config: &EncoderConfig, key: &str) -> Module {
    // transformers' default for both keys.
    const DROPOUT: f64 = 0.1;
    let share = config.other.get(key).and_then(|share| share.as_f64()).unwrap_or(DROPOUT);
    Module::leaf(format!("Dropout(p={}, inplace=False)", python_float(share)))
}

/// A number as Python prints it: with at least two digits of exponent.
fn python_float(number: f64) -> String {
    let text = format!("{number:?}");
    match text.split_once("e-") {
        Some((digits, exponent)) => format!("{digits}e-{exponent:0>2}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_printed_as_in_python() {
        let expected = [(1e-12, "1e-12"), (1e-5, "1e-05"), (0.001, "0.001"), (0.0, "0.0"), (0.25, "0.25")];
        for (number, text) in expected {
            assert_eq!(python_float(number), text);
        }
    }
}
