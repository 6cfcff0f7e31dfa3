//! Parsing the text of one file.

use std::borrow::Cow;

use jiff::fmt::temporal::Pieces;
use midashi_artifacts::Timestamp;
use midashi_config::Layout;
use midashi_table::{Encoding, recognise_encoding};
use midashi_text::cleaned;

/// The fields of an article, for any layout.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    /// Line 1 of the livedoor layout, if it is not empty.
    pub url: Option<String>,
    /// Line 2 of the livedoor layout.
    pub published: Published,
    /// The headline, stripped of white space; never empty.
    pub title: String,
    /// The remaining lines, joined by `\n`, without white space at the end.
    pub body: String,
}

/// The date of an article.
#[derive(Clone, Debug, PartialEq)]
pub enum Published {
    /// There is no date.
    Missing,
    /// Date, time and offset from UTC.
    At(Timestamp),
    /// The line of the date, which cannot be parsed.
    Unreadable(String),
}

impl Text {
    /// Parses the bytes of a file, which is in UTF-8 if `encoding` is none.
    ///
    /// # Errors
    /// The reason why the file is not an article: it is not in the encoding, has too few lines or an empty title.
    pub fn parse(bytes: &[u8], layout: Layout, encoding: Option<&'static Encoding>) -> Result<Self, String> {
        let text = decode(bytes, encoding)?;
        let text = &*cleaned(&text);
        let mut lines = text.lines();
        let (url, published) = match layout {
            Layout::Livedoor => (lines.next(), lines.next().map_or(Published::Missing, Published::parse)),
            Layout::TitleFirst => (None, Published::Missing),
        };
        let title = lines.next().ok_or_else(|| too_few_lines(text, layout))?;
        let title = stripped(title);
        if title.is_empty() {
            let advice = other_layout(text, layout);
            return Err(format!("the title, line {}, is empty{advice}", title_line(layout)));
        }
        let body = lines.collect::<Vec<_>>().join("\n");
        Ok(Self {
            url: url.map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned),
            published,
            title: title.to_owned(),
            body: stripped_at_end(&body).to_owned(),
        })
    }
}

impl Published {
    /// Parses ISO 8601 with an offset, such as `2012-05-04T09:55:00+0900`.
    pub fn parse(line: &str) -> Self {
        let moment = || {
            let pieces = Pieces::parse(line.trim()).ok()?;
            let offset = pieces.to_numeric_offset()?;
            let timestamp = offset.to_timestamp(pieces.date().to_datetime(pieces.time()?)).ok()?;
            Some(Timestamp { seconds: timestamp.as_second(), offset_seconds: offset.seconds() })
        };
        moment().map_or_else(|| Self::Unreadable(line.to_owned()), Self::At)
    }
}

/// The text of a file.
fn decode<'b>(bytes: &'b [u8], encoding: Option<&'static Encoding>) -> Result<Cow<'b, str>, String> {
    if let Some(encoding) = encoding {
        let (text, _, has_errors) = encoding.decode(bytes);
        return if has_errors {
            Err(format!("holds bytes that are not {}", encoding.name()))
        } else {
            Ok(text)
        };
    }
    std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|error| {
        let at = error.valid_up_to();
        let line = 1 + bytes[..at].iter().filter(|&&byte| byte == b'\n').count();
        let found = format!("line {line} is not UTF-8 (byte 0x{:02x} at offset {at})", bytes[at]);
        match recognise_encoding(bytes).map(Encoding::name) {
            Some(name) => {
                let label = name.to_ascii_lowercase();
                format!("{found}; if it is {name}, set corpus.encoding to \"{label}\"")
            }
            None => found,
        }
    })
}

/// A text without white space at both ends, as Python strips it.
pub fn stripped(text: &str) -> &str {
    text.trim_matches(is_python_whitespace)
}

/// A text without white space at its end.
pub fn stripped_at_end(text: &str) -> &str {
    text.trim_end_matches(is_python_whitespace)
}

fn title_line(layout: Layout) -> usize {
    match layout {
        Layout::Livedoor => 3,
        Layout::TitleFirst => 1,
    }
}

fn too_few_lines(text: &str, layout: Layout) -> String {
    let expected = match layout {
        Layout::Livedoor => "URL, date, title and then the body",
        Layout::TitleFirst => "the title and then the body",
    };
    let advice = other_layout(text, layout);
    format!("has too few lines: {}, expected {expected}{advice}", text.lines().count())
}

/// Advice about a text that cannot be read, if its first line is neither a URL nor empty.
fn other_layout(text: &str, layout: Layout) -> &'static str {
    let first = text.lines().next().unwrap_or_default().trim();
    match layout {
        Layout::Livedoor if !first.is_empty() && !is_url(first) => {
            "; if line 1 is the title, set corpus.layout=title-first"
        }
        _ => "",
    }
}

/// Whether a line is the address of a page.
pub fn is_url(line: &str) -> bool {
    let line = line.trim();
    ["http://", "https://"]
        .iter()
        .any(|scheme| line.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme)))
}

/// The characters that Python's `str.strip` removes: Unicode white space and the four information separators.
fn is_python_whitespace(character: char) -> bool {
    character.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&character)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn livedoor(text: &str) -> Result<Text, String> {
        Text::parse(text.as_bytes(), Layout::Livedoor, None)
    }

    #[test]
    fn the_livedoor_layout_is_url_date_title_body() {
        let text =
            livedoor("http://a/1/\n2012-05-04T09:55:00+0900\n　見出し〜！ \n\n一行目 \n二行目\n\n").unwrap();
        assert_eq!(text.url.as_deref(), Some("http://a/1/"));
        // date -d 2012-05-04T09:55:00+0900 +%s
        assert_eq!(
            text.published,
            Published::At(Timestamp { seconds: 1_336_092_900, offset_seconds: 9 * 3600 })
        );
        assert_eq!(text.title, "見出し〜！", "an ideographic space is white space too");
        assert_eq!(text.body, "\n一行目 \n二行目");
    }

    #[test]
    fn the_title_first_layout_has_no_url_and_no_date() {
        let text = Text::parse("見出し\n本文\n".as_bytes(), Layout::TitleFirst, None).unwrap();
        let expected =
            Text {
                url: None, published: Published::Missing, title: "見出し".into(), body: "本文".into()
            };
        assert_eq!(text, expected);
        assert_eq!(Text::parse("見出し".as_bytes(), Layout::TitleFirst, None).unwrap().body, "");
    }

    #[test]
    fn byte_order_marks_and_other_line_ends_make_no_difference() {
        let unix = "http://a/1/\n2012-05-04T09:55:00+0900\n見出し\n一\n二\n";
        let windows = format!("\u{feff}{}", unix.replace('\n', "\r\n"));
        assert_eq!(livedoor(&windows), livedoor(unix));
        let old_macintosh = format!("\u{feff}\u{feff}{}", unix.replace('\n', "\r"));
        assert_eq!(livedoor(&old_macintosh), livedoor(unix));
    }

    #[test]
    fn titles_are_stripped_as_in_python() {
        let title = |line: &str| livedoor(&format!("u\nd\n{line}")).unwrap().title;
        assert_eq!(title("\u{1f}\u{a0}\u{2003}a b\u{1c}\u{3000}"), "a b");
        assert_eq!(title("\u{200b}a"), "\u{200b}a", "a zero width space is not white space");
    }

    #[test]
    fn iso_dates_are_read_with_and_without_colon() {
        let seconds = |line: &str| match Published::parse(line) {
            Published::At(time) => (time.seconds, time.offset_seconds),
            other => panic!("{line}: {other:?}"),
        };
        assert_eq!(seconds("1970-01-02T00:00:00+09:00"), (86_400 - 32_400, 32_400));
        assert_eq!(seconds("1970-01-01T00:00:00Z"), (0, 0));
        assert_eq!(seconds("1969-12-31T19:00:00-0500"), (0, -18_000));
    }

    #[test]
    fn an_invalid_date_is_kept_as_text() {
        for line in ["", "2012-13-04T09:55:00+0900", "2012-05-04T09:55:00", "2012-05-04", "昨日"] {
            assert_eq!(Published::parse(line), Published::Unreadable(line.into()));
        }
    }

    #[test]
    fn errors_name_the_reason() {
        assert_eq!(
            livedoor("http://a/1/\n2012-05-04T09:55:00+0900\n").unwrap_err(),
            "has too few lines: 2, expected URL, date, title and then the body"
        );
        assert_eq!(
            livedoor("u\nd\n　\nbody").unwrap_err(),
            "the title, line 3, is empty; if line 1 is the title, set corpus.layout=title-first"
        );
        assert_eq!(livedoor("\n\n　\nbody").unwrap_err(), "the title, line 3, is empty");
        assert_eq!(
            livedoor("見出し\n本文").unwrap_err(),
            "has too few lines: 2, expected URL, date, title and then the body; if line 1 is the title, set \
             corpus.layout=title-first"
        );
        assert_eq!(
            Text::parse(b"", Layout::TitleFirst, None).unwrap_err(),
            "has too few lines: 0, expected the title and then the body"
        );
        // 見 in Shift_JIS is 0x8c 0xa9.
        assert_eq!(
            Text::parse(b"u\nd\n\x8c\xa9", Layout::Livedoor, None).unwrap_err(),
            "line 3 is not UTF-8 (byte 0x8c at offset 4); if it is Shift_JIS, set corpus.encoding to \"shift_jis\""
        );
        assert_eq!(
            Text::parse(b"u\nd\n\xff", Layout::Livedoor, None).unwrap_err(),
            "line 3 is not UTF-8 (byte 0xff at offset 4)"
        );
    }

    #[test]
    fn a_text_is_converted_from_its_encoding() {
        let shift_jis = Encoding::for_label(b"shift_jis");
        let text = Text::parse(b"\x8c\xa9\n\x96{", Layout::TitleFirst, shift_jis).unwrap();
        assert_eq!((text.title.as_str(), text.body.as_str()), ("見", "本"));
        let reason = Text::parse(b"\xfd\xfd", Layout::TitleFirst, shift_jis).unwrap_err();
        assert_eq!(reason, "holds bytes that are not Shift_JIS");
    }
}
