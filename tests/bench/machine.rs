//! The machine that the times are of.

use std::collections::BTreeSet;
use std::thread::available_parallelism;

/// The processor's instructions that matter to matrix products.
const INSTRUCTIONS: [&str; 6] = ["avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "amx_bf16"];

/// Processor, number of threads, instructions and memory, as far as Linux names them.
pub fn description() -> String {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line =
            processor.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name));
        line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim()).unwrap_or_default()
    };
    let known: BTreeSet<&str> = field("flags").split_whitespace().collect();
    let instructions: Vec<&str> = INSTRUCTIONS.into_iter().filter(|name| known.contains(name)).collect();
    let threads = available_parallelism().map_or(1, usize::from);
    let model = if field("model name").is_empty() { std::env::consts::ARCH } else { field("model name") };
    format!("{model}, {threads} threads, {}; Midashi {}", instructions.join(", "), env!("CARGO_PKG_VERSION"))
}
