#![doc = include_str!("../README.md")]

mod data;
mod environment;
mod speak;
mod strings;

pub use data::data_block;
pub use environment::{environment, grouped, template_error};
pub use speak::add_strings;
pub use strings::{Bilingual, Sentence, Strings, Word};

/// The style sheet, for light and dark pages.
pub const STYLE: &str = include_str!("../style.css");
/// The part of a page's script that speaks the reader's language. Data are strings in a variable of the same name.
pub const LANGUAGE_SCRIPT: &str = include_str!("../scripts/language.js");
/// The part of a page's script that shows a text coloured by weights; it needs [`LANGUAGE_SCRIPT`].
pub const TEXTS_SCRIPT: &str = include_str!("../scripts/texts.js");
