//! Names of categories in a message.

use midashi_text::shaped;

/// The largest number of printed lines of a list. Its length is always printed.
const LISTED: usize = 20;

/// The names, or the first of many and the number of the others.
pub fn some_names(names: &[&str]) -> String {
    let some: Vec<String> = names.iter().take(LISTED).map(|name| shaped(name)).collect();
    let more = names.len() - some.len();
    some.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}
