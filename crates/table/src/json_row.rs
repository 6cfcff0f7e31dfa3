//! The rows of JSON Lines: an object a line, with every integer as it is written.

use serde_json::{Map, Value};

use crate::encoding;
use crate::error::Result;
use crate::input::Input;
use crate::lines::{LineEnds, Lines};
use crate::options::ReadOptions;

/// The rows of an input, before anything is known of their columns.
pub(crate) struct JsonLines {
    lines: Lines,
    options: ReadOptions,
    rows: u64,
}

/// A row before it is checked against the columns.
pub(crate) struct JsonRow {
    /// Its number, from 1. Blank lines are no rows.
    pub number: u64,
    /// Its line, from 1.
    pub line: u64,
    /// The length of its line.
    pub bytes: usize,
    /// The object, or the reason why there is none.
    pub value: Result<Map<String, Value>, String>,
}

impl JsonLines {
    pub fn new(input: Input, options: &ReadOptions) -> Result<Self> {
        let lines = Lines::new(input, options, LineEnds::LineFeed)?;
        Ok(Self { lines, options: options.clone(), rows: 0 })
    }

    pub fn name(&self) -> &str {
        self.lines.name()
    }

    /// The next row; none at the end.
    pub fn next(&mut self) -> Result<Option<JsonRow>> {
        while let Some((line, text)) = self.lines.next()? {
            if text.trim_ascii().is_empty() {
                continue;
            }
            self.rows += 1;
            let value = parse(text, &self.options);
            return Ok(Some(JsonRow { number: self.rows, line, bytes: text.len(), value }));
        }
        Ok(None)
    }
}

fn parse(line: &[u8], options: &ReadOptions) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(line).map_err(|error| encoding::explain(line, error, options))?;
    let parsed = serde_json::from_str(text).and_then(|value| match with_quoted_integers(text) {
        Some(quoted) => serde_json::from_str(&quoted),
        None => Ok(value),
    });
    match parsed {
        Ok(Value::Object(row)) => Ok(row),
        Ok(other) => Err(format!("is {}, expected a JSON object", kind_of(&other))),
        // The parser sees one line; its own line number would mislead.
        Err(error) => {
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            Err(format!("is not JSON: {message} at column {}; expected one object a line", error.column()))
        }
    }
}

/// A value in words.
pub(crate) fn kind_of(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(text) if is_beyond_64_bits(text) => format!("the number or text {text}"),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// A line of JSON with quotes around the integers beyond 64 bits, which the parser would round. None if it has none.
fn with_quoted_integers(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut quoted, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b'"' => after_string(bytes, at),
            b'-' | b'0'..=b'9' => {
                at + bytes[at..].iter().take_while(|byte| b"-+.eE0123456789".contains(byte)).count()
            }
            _ => at + 1,
        };
        if end > at + 1 && is_beyond_64_bits(&text[at..end]) {
            quoted.extend([&text[copied..at], "\"", &text[at..end], "\""]);
            copied = end;
        }
        at = end;
    }
    (copied > 0).then(|| quoted + &text[copied..])
}

/// The place after the string that begins at `start`.
fn after_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Whether a text is an integer that neither `i64` nor `u64` holds.
fn is_beyond_64_bits(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.len() >= 19
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<i64>().is_err()
        && text.parse::<u64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_integers_beyond_64_bits_get_quotes() {
        for kept in [
            r#"{"a":18446744073709551615,"b":-9223372036854775808}"#,
            r#"{"a":"18446744073709551616","見\"18446744073709551616":1}"#,
            r#"{"a":18446744073709551616.5,"b":1e300,"c":184467440737095516160e1}"#,
        ] {
            assert_eq!(with_quoted_integers(kept), None, "{kept}");
        }
        assert_eq!(
            with_quoted_integers(r#"{"見":[18446744073709551616,"\\",1],"b":-9223372036854775809}"#).unwrap(),
            r#"{"見":["18446744073709551616","\\",1],"b":"-9223372036854775809"}"#
        );
    }
}
