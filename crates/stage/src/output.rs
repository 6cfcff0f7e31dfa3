//! Lines on standard output and standard error.
//!
//! `println!` panics if the reader of a pipe, such as `head`, has ended. A stage continues its work then, because only its
//! report is lost.
//!
//! Everything that is printed passes here, and here characters that a terminal would obey become visible: names of categories,
//! titles, members of archives, paths and messages of libraries are from outside, and no caller has to remember it.

use std::fmt::Arguments;
use std::io::{self, Write};

use midashi_text::{shaped, shaped_lines};

/// Prints one line to standard output, if somebody still reads it. A line feed in it becomes visible.
#[macro_export]
macro_rules! outln {
    () => { $crate::write_out(format_args!("\n")) };
    ($($text:tt)*) => { $crate::write_out_line(format_args!($($text)*)) };
}

/// Prints lines to standard output, such as a table, if somebody still reads it. Names from outside must be made one line
/// with [`midashi_text::shaped`] before they are part of it.
#[macro_export]
macro_rules! out {
    ($($text:tt)*) => { $crate::write_out(format_args!($($text)*)) };
}

/// Prints one line to standard error, if somebody still reads it. A line feed in it becomes visible.
#[macro_export]
macro_rules! errln {
    ($($text:tt)*) => { $crate::write_err_line(format_args!($($text)*)) };
}

/// The function behind [`out!`](crate::out).
pub fn write_out(text: Arguments<'_>) {
    write(&mut io::stdout().lock(), &shaped_lines(&text.to_string()));
}

/// The function behind [`outln!`](crate::outln).
pub fn write_out_line(text: Arguments<'_>) {
    write(&mut io::stdout().lock(), &line(text));
}

/// Prints lines to standard error, if somebody still reads it.
pub fn write_err(text: Arguments<'_>) {
    write(&mut io::stderr().lock(), &shaped_lines(&text.to_string()));
}

/// The function behind [`errln!`](crate::errln).
pub fn write_err_line(text: Arguments<'_>) {
    write(&mut io::stderr().lock(), &line(text));
}

fn line(text: Arguments<'_>) -> String {
    shaped(&text.to_string()) + "\n"
}

fn write(output: &mut impl Write, text: &str) {
    let _ = output.write_all(text.as_bytes()).and_then(|()| output.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_outside_neither_commands_the_terminal_nor_ends_the_line() {
        let name = "a\u{1B}]0;title\u{7}\n\u{202E}b";
        assert_eq!(line(format_args!("category {name}")), "category a␛]0;title␇␊<U+202E>b\n");
    }
}
