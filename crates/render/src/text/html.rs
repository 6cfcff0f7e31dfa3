//! One page that asks nothing of the network and runs nothing, in the report's style.

use anyhow::Result;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::explained::Explained;
use super::method::Method;
use crate::page;

const NAME: &str = "text.html";
const TEMPLATE: &str = include_str!("../../templates/text.html");
const STYLE: &str = include_str!("../../templates/text.css");

/// A text and what is said of its weights.
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
    let mut environment = page::environment()?;
    environment.add_template(NAME, TEMPLATE).map_err(page::template_error)?;
    let cards: Vec<Card<'_>> = texts.iter().map(|text| Card { text, notes: text.notes(method) }).collect();
    let style = [page::STYLE, STYLE].concat();
    let template = environment.get_template(NAME).map_err(page::template_error)?;
    let values = context! {
        cards => Serde(cards),
        signed => method.is_signed(),
        style_digest => BASE64_STANDARD.encode(Sha256::digest(&style)),
        style,
    };
    template.render(values).map_err(page::template_error)
}
