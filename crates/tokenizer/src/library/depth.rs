//! How deeply a JSON text is nested, found before it is parsed: parsers of nested parts take stack for each level.

use super::bounds;
use super::problem::Problem;

/// Checks that lists and objects are nested no deeper than the bound.
pub(super) fn check(json: &str) -> Result<(), Problem> {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    for (at, byte) in json.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            _ if is_text => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > bounds::DEPTH {
                    let expected = format!("{} at most", bounds::DEPTH);
                    return Err(Problem::new(&format!("byte {at}"), format!("{depth} levels"), expected));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_texts_do_not_count() {
        let texts = format!(r#"["{}", "\"{}"]"#, "[".repeat(100), "{".repeat(100));
        assert!(check(&texts).is_ok());
        assert!(check(&"[]".repeat(100)).is_ok());
        assert!(check(&format!("{}{}", "[".repeat(32), "]".repeat(32))).is_ok());
        assert!(check(&"[".repeat(33)).is_err());
    }
}
