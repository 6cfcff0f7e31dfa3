//! Notices that the texts have another layout than the configured one. Every text can be read in either layout, as other lines.

use midashi_config::Layout;

use crate::texts::article::{Published, Text, is_url};

/// Counts texts that look as the configured layout, and those that look as the other one.
#[derive(Debug, Default)]
pub struct Layouts {
    texts: u64,
    others: u64,
}

impl Layouts {
    /// Adds a text that was read in `layout`.
    pub fn add(&mut self, text: &Text, layout: Layout) {
        self.texts += 1;
        self.others += u64::from(match layout {
            Layout::Livedoor => has_neither_url_nor_date(text),
            Layout::TitleFirst => begins_with_url_and_date(text),
        });
    }

    /// Why all texts seem to have another layout than `layout`, and what to set; none if some seem to have this one.
    pub fn mismatch(&self, layout: Layout) -> Option<String> {
        if self.texts == 0 || self.others < self.texts {
            return None;
        }
        let texts = self.texts;
        Some(match layout {
            Layout::Livedoor => format!(
                "none of the {texts} texts begins with a URL and a date, as corpus.layout=livedoor expects, so that line 3 \
                 would be the title; if line 1 is the title, set corpus.layout=title-first"
            ),
            Layout::TitleFirst => format!(
                "each of the {texts} texts begins with a URL and a date, so that the URL would be the title; set \
                 corpus.layout=livedoor, which reads line 3 as the title"
            ),
        })
    }
}

/// Empty lines are the lines of a URL and a date that are not known.
fn has_neither_url_nor_date(text: &Text) -> bool {
    let is_no_url = text.url.as_ref().is_some_and(|line| !is_url(line));
    is_no_url && matches!(&text.published, Published::Unreadable(line) if !line.trim().is_empty())
}

fn begins_with_url_and_date(text: &Text) -> bool {
    let second = text.body.lines().next().unwrap_or_default();
    is_url(&text.title) && matches!(Published::parse(second), Published::At(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mismatch(texts: &[&str], layout: Layout) -> Option<String> {
        let mut layouts = Layouts::default();
        for text in texts {
            layouts.add(&Text::parse(text.as_bytes(), layout, None).unwrap(), layout);
        }
        layouts.mismatch(layout)
    }

    const LIVEDOOR: &str = "http://a/1/\n2012-05-04T09:55:00+0900\n見出し\n本文";
    const TITLE_FIRST: &str = "見出し\n本文の一行目\n二行目\n三行目";

    #[test]
    fn a_corpus_in_the_other_layout_is_noticed() {
        let advice = mismatch(&[TITLE_FIRST, TITLE_FIRST], Layout::Livedoor).unwrap();
        assert!(advice.contains("2 texts") && advice.ends_with("set corpus.layout=title-first"), "{advice}");
        let advice = mismatch(&[LIVEDOOR], Layout::TitleFirst).unwrap();
        assert!(advice.contains("set corpus.layout=livedoor"), "{advice}");
    }

    #[test]
    fn one_text_of_the_configured_layout_is_enough() {
        for (texts, layout) in [
            (&[LIVEDOOR, TITLE_FIRST][..], Layout::Livedoor),
            (&[TITLE_FIRST, LIVEDOOR], Layout::TitleFirst),
            (&["\n\n見出し", "\n\n見出し"], Layout::Livedoor),
            (&["HTTPS://a/\nyesterday\n見出し"], Layout::Livedoor),
            (&["no URL\n2012-05-04T09:55:00+0900\n見出し"], Layout::Livedoor),
            (&["http://a/ は何か\n本文"], Layout::TitleFirst),
        ] {
            assert_eq!(mismatch(texts, layout), None, "{texts:?}");
        }
    }
}
