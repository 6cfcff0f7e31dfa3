//! Writes a checkpoint's tokenizer as it stands in `model/`, for `AutoTokenizer`.
//!
//! ```text
//! export_tokenizer CHECKPOINT TARGET [CACHE]
//! ```
//!
//! `sentencepiece_reference.py` compares its ids there. `TARGET` is an existing folder; `CACHE`, by default `cache`, is
//! the folder that `make setup` fills.

use std::path::Path;

use midashi_tokenizer::{Dictionaries, Requirements, write_for_transformers};

/// Tokens of a text at most, where transformers is asked to truncate.
const MAX_LENGTH: usize = 512;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: export_tokenizer CHECKPOINT TARGET [CACHE]";
    let (checkpoint, target) = (arguments.next().ok_or(usage)?, arguments.next().ok_or(usage)?);
    let cache = arguments.next().unwrap_or_else(|| "cache".into());

    let copy = tempfile::tempdir()?;
    let requirements = Requirements::of(Path::new(&checkpoint), None)?;
    requirements.copy_files(copy.path(), &Dictionaries::below(cache.as_ref()))?;
    write_for_transformers(copy.path(), Path::new(&target), MAX_LENGTH, 0)?;
    Ok(())
}
