//! What several of the tests need.

use std::io::Write as _;

/// Prints a line without the test harness, which hides the output of passing tests.
pub fn tell(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
