#![doc = include_str!("../README.md")]

mod clean;
mod encoding;
mod parts;
mod printable;
mod unit;
mod window_rows;
mod windows;

pub use clean::cleaned;
pub use encoding::{Encoding, PAIR_SEPARATOR};
pub use parts::{Error, Part, Piece, SpecialToken, parts, special_tokens};
pub use printable::{is_invisible, is_shapeless, lines, printable, shaped, shaped_lines, spelled, visible};
pub use unit::Unit;
pub use window_rows::WindowRows;
pub use windows::{TextWindow, Windowing};
