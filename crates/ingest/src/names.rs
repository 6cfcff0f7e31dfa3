//! Names of categories in messages.

use midashi_text::shaped;

/// The largest number of names in a message.
const NAMED: usize = 20;

/// The names, or the first of many and the number of the others.
pub fn some_names(names: &[&str]) -> String {
    let some: Vec<String> = names.iter().take(NAMED).map(|name| shaped(name)).collect();
    let more = names.len() - some.len();
    some.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_many_names_are_told_and_the_others_counted() {
        let names: Vec<String> = (0..1000).map(|at| format!("c{at}\u{1b}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        assert!(some_names(&names).ends_with(", c19␛ and 980 more"));
        assert_eq!(some_names(&["a", "b"]), "a, b");
    }
}
