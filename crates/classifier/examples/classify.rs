//! Classifies the texts on the command line: `cargo run --release --example classify -- artifacts/sample/model TEXT…`

#![allow(clippy::print_stdout, reason = "nobody closes the output of an example early")]

use midashi_classifier::Classifier;
use midashi_runtime::{DeviceChoice, Engine};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let model = arguments.next().ok_or("usage: classify MODEL TEXT…")?;
    let texts: Vec<String> = arguments.collect();
    let engine = Engine::open("cache/onnxruntime".as_ref(), DeviceChoice::Auto, 2)?;
    let mut classifier = Classifier::open(model.as_ref(), &engine)?;
    for (text, prediction) in texts.iter().zip(classifier.classify(&texts)?) {
        let category = prediction.category.index();
        println!("{}\t{:.4}\t{text}", classifier.labels()[category], prediction.probabilities[category]);
    }
    Ok(())
}
