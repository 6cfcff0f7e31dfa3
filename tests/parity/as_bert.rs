//! Writes a checkpoint of any supported architecture as a BERT: `as_bert CHECKPOINT FOLDER`.
//!
//! `architecture_reference.py --check` loads what it writes in transformers.

use std::path::Path;

use midashi_encoder::Checkpoint;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [checkpoint, folder] = &arguments[..] else { return Err("usage: as_bert CHECKPOINT FOLDER".into()) };
    let checkpoint = Checkpoint::open(Path::new(checkpoint))?;
    let folder = Path::new(folder);
    checkpoint.encoder_and_pooler()?.write(&folder.join("model.safetensors"))?;
    std::fs::write(folder.join("config.json"), serde_json::to_string_pretty(checkpoint.config())? + "\n")?;
    Ok(())
}
