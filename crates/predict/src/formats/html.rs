//! HTML output: one page in the style of the report, without scripts, that loads nothing from the network.

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::explained::Explained;
use crate::method::Method;
use midashi_page::{STYLE as PAGE_STYLE, environment, template_error};

const NAME: &str = "page.html";
const TEMPLATE: &str = include_str!("../../templates/page.html");
const STYLE: &str = include_str!("../../templates/page.css");

/// A text and the notes on its weights.
#[derive(Serialize)]
struct Card<'a> {
    text: &'a Explained,
    notes: Vec<String>,
}

/// All texts, one after the other.
///
/// # Errors
/// When the template fails.
pub fn html(texts: &[Explained], method: Method) -> Result<String> {
    let mut environment = environment()?;
    environment.add_template(NAME, TEMPLATE).map_err(template_error)?;
    let cards: Vec<Card<'_>> = texts.iter().map(|text| Card { text, notes: text.notes(method) }).collect();
    let style = [PAGE_STYLE, STYLE].concat();
    let template = environment.get_template(NAME).map_err(template_error)?;
    let values = context! {
        cards => Serde(cards),
        signed => method.is_signed(),
        style_digest => BASE64_STANDARD.encode(Sha256::digest(&style)),
        style,
    };
    template.render(values).map_err(template_error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use roxmltree::{Document, Node, ParsingOptions};

    use super::*;
    use crate::sample::{ATTENTION, HOSTILE, hostile, signed, words};

    fn parsed(page: &str) -> Document<'_> {
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        Document::parse_with_options(page, options).unwrap()
    }

    fn with_class<'a>(document: &'a Document<'_>, class: &str) -> Vec<Node<'a, 'a>> {
        let has = |node: &Node<'_, '_>| {
            node.attribute("class").is_some_and(|classes| classes.split(' ').any(|one| one == class))
        };
        document.descendants().filter(has).collect()
    }

    fn text_of(node: Node<'_, '_>) -> String {
        node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
    }

    #[test]
    fn the_page_allows_its_own_style_and_nothing_else() {
        let page = html(&[words()], ATTENTION).unwrap();
        let document = parsed(&page);
        let element = |name: &str| document.descendants().find(|node| node.has_tag_name(name)).unwrap();
        let digest = BASE64_STANDARD.encode(Sha256::digest(text_of(element("style"))));
        let policy = document.descendants().find(|node| node.attribute("http-equiv").is_some()).unwrap();
        assert_eq!(
            policy.attribute("content").unwrap(),
            format!(
                "default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
            )
        );
        let forbidden =
            |node: &Node<'_, '_>| node.has_tag_name("script") || node.attribute("style").is_some();
        assert!(!document.descendants().any(|node| forbidden(&node)));
        assert!(!page.contains("http://") && !page.contains("https://"));
    }

    #[test]
    fn words_are_coloured_by_strength_and_sign() {
        let page = html(&[words(), signed()], Method::GradientXInput).unwrap();
        let document = parsed(&page);
        let pieces = with_class(&document, "piece");
        let shown: Vec<_> =
            pieces.iter().map(|&piece| (text_of(piece), piece.attribute("class").unwrap())).collect();
        let expected =
            [("モデル", "piece l5"), ("夏", "piece l10"), ("夏", "piece l10"), ("秋", "piece against l5")];
        assert_eq!(shown, expected.map(|(text, class)| (text.to_owned(), class)));
        assert_eq!(text_of(with_class(&document, "tokens")[0]), "モデル 夏");
        let bar = with_class(&document, "below")[0];
        assert_eq!((bar.attribute("x"), bar.attribute("width")), (Some("-50.00"), Some("50.00")));
    }

    #[test]
    fn a_text_is_text_whatever_it_holds() {
        let page = html(&[hostile()], ATTENTION).unwrap();
        let document = parsed(&page);
        assert!(!document.descendants().any(|node| node.has_tag_name("script")));
        assert_eq!(text_of(with_class(&document, "tokens")[0]), midashi_text::shaped(HOSTILE));
        assert!(text_of(document.root_element()).contains("<b>"));
    }
}
