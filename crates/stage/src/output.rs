//! Lines on standard output and standard error.
//!
//! `println!` panics if the reader of a pipe, such as `head`, has ended. A stage continues its work then, because only its
//! report is lost.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Prints a line to standard output, if somebody still reads it.
#[macro_export]
macro_rules! outln {
    () => { $crate::write_out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::write_out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints text without a line feed to standard output, if somebody still reads it.
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => { $crate::write_out(format_args!($($text)*)) };
}

/// Prints a line to standard error, if somebody still reads it.
#[macro_export]
macro_rules! errln {
    ($($text:tt)*) => { $crate::write_err(format_args!("{}\n", format_args!($($text)*))) };
}

/// The function behind [`outln!`](crate::outln) and [`out!`](crate::out).
pub fn write_out(text: Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_fmt(text).and_then(|()| stdout.flush());
}

/// The function behind [`errln!`](crate::errln).
pub fn write_err(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}
