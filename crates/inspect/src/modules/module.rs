//! A module as PyTorch prints it.

use std::fmt;

use midashi_encoder::{Activation, EncoderConfig};

/// A module: its class with arguments, and its named submodules.
pub struct Module {
    class: String,
    children: Vec<(String, Module)>,
}

impl Module {
    pub fn leaf(class: impl Into<String>) -> Self {
        Self { class: class.into(), children: Vec::new() }
    }

    pub fn of<const N: usize>(class: impl Into<String>, children: [(&str, Self); N]) -> Self {
        let children = children.into_iter().map(|(name, module)| (name.to_owned(), module));
        Self { class: class.into(), children: children.collect() }
    }

    /// With one more submodule.
    pub fn with(mut self, name: &str, child: Self) -> Self {
        self.children.push((name.to_owned(), child));
        self
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

/// The submodule of a `ModuleList` of equal layers, from number `first` to before `end`: its name and its class.
pub fn repeated(first: usize, end: usize, class: &str) -> (String, String) {
    match end.saturating_sub(first) {
        0 | 1 => (first.to_string(), class.to_owned()),
        layers => (format!("{first}-{}", end - 1), format!("{layers} x {class}")),
    }
}

/// `Linear` with a bias.
pub fn linear(input: usize, output: usize) -> Module {
    linear_with(input, output, true)
}

/// `Linear` with a bias or without.
pub fn linear_with(input: usize, output: usize, bias: bool) -> Module {
    let bias = python_bool(bias);
    Module::leaf(format!("Linear(in_features={input}, out_features={output}, bias={bias})"))
}

/// `LayerNorm` with a bias.
pub fn layer_norm(config: &EncoderConfig) -> Module {
    layer_norm_with(config, true)
}

/// `LayerNorm` with a bias or without.
pub fn layer_norm_with(config: &EncoderConfig, bias: bool) -> Module {
    let (hidden, epsilon, bias) =
        (config.hidden_size, python_float(config.layer_norm_eps), python_bool(bias));
    Module::leaf(format!("LayerNorm(({hidden},), eps={epsilon}, elementwise_affine=True, bias={bias})"))
}

fn python_bool(flag: bool) -> &'static str {
    if flag { "True" } else { "False" }
}

/// `Dropout` with the share of the key `key`, as transformers would train with it.
pub fn dropout(config: &EncoderConfig, key: &str) -> Module {
    // transformers' default for both keys.
    const DROPOUT: f64 = 0.1;
    let share = config.keys().get(key).and_then(|share| share.as_f64()).unwrap_or(DROPOUT);
    Module::leaf(format!("Dropout(p={}, inplace=False)", python_float(share)))
}

/// The class of an activation function.
pub fn activation(activation: Activation) -> Module {
    Module::leaf(match activation {
        Activation::Gelu => "GELUActivation()",
        Activation::GeluNew => "NewGELUActivation()",
        Activation::Relu => "ReLU()",
        Activation::Tanh => "Tanh()",
    })
}

/// A number as Python prints it: with at least two digits of exponent.
pub fn python_float(number: f64) -> String {
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
