//! Learns a WordPiece vocabulary from the lines of standard input and writes it into a folder.
//!
//! ```text
//! learn_vocabulary FOLDER PIECES [CACHE] < texts.txt
//! ```
//!
//! The vocabulary of `crates/tokenizer/tests/fixtures/wordpiece` was made with it.

#![allow(clippy::print_stdout, reason = "nobody closes the output of an example early")]

use std::io::Read;
use std::path::Path;

use midashi_tokenizer::{Dictionaries, MecabDictionary, VocabularySize, learn_vocabulary};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const USAGE: &str = "usage: learn_vocabulary FOLDER PIECES [CACHE]";
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or(USAGE)?;
    let pieces = arguments.next().ok_or(USAGE)?.parse()?;
    let cache = arguments.next().unwrap_or_else(|| "cache".into());

    let mut texts = String::new();
    std::io::stdin().read_to_string(&mut texts)?;
    let dictionaries = Dictionaries::below(cache.as_ref());
    let size = VocabularySize { pieces, ..VocabularySize::default() };
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    let learned = learn_vocabulary(texts.lines(), &dictionaries, &MecabDictionary::Ipadic, &size, folder)?;
    println!("{learned} pieces in {}", folder.display());
    Ok(())
}
