//! The `tokenizers` library behind checks of our own.
//!
//! A `tokenizer.json` comes from outside, and the library trusts it: a file can make it hang, panic or take all memory. So the
//! file is checked before the library sees a part of it ([`loading`]), the parts that run patterns or lengthen texts are ours and
//! have bounds ([`normaliser`], [`pre_tokeniser`], [`pattern`]), and what remains is contained ([`panics`]). Decision 72.

pub(crate) mod bounds;
mod depth;
pub(crate) mod loading;
mod model;
mod normaliser;
pub(crate) mod panics;
mod pattern;
mod post_processor;
mod pre_tokeniser;
mod problem;
mod value;
