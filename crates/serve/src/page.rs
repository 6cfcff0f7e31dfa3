//! The page to try the model: its template filled once, its style sheet and its script.

use anyhow::Result;
use midashi_config::TextChoice;
use midashi_page::{
    LANGUAGE_SCRIPT, STYLE as PAGE_STYLE, Strings, TEXTS_SCRIPT, add_strings, data_block, environment,
    template_error,
};
use minijinja::context;
use serde::Serialize;

use crate::info::{Details, Info};

const NAME: &str = "page.html";
const TEMPLATE: &str = include_str!("../templates/page.html");
const STRINGS: &str = include_str!("../templates/strings.json");

/// The parts of the style sheet.
pub const STYLE: [&str; 2] = [PAGE_STYLE, include_str!("../templates/page.css")];
/// The parts of the script.
pub const SCRIPT: [&str; 4] =
    ["\"use strict\";\n", LANGUAGE_SCRIPT, TEXTS_SCRIPT, include_str!("../templates/page.js")];

/// The page lists the categories of a model with more of them only as far as they are probable.
const LISTED: usize = 20;

/// What the script knows about the model.
#[derive(Serialize)]
struct Known<'i> {
    midashi: &'i Details,
    /// The categories in the model's order; none if there are more than are listed.
    labels: Option<&'i [String]>,
    /// The number of categories.
    categories: usize,
    /// The largest number of categories in an answer.
    listed: usize,
}

/// The page for the model that `info` describes, which has these categories.
///
/// # Errors
/// When the template fails.
pub fn page(info: &Info, labels: &[String]) -> Result<String> {
    let strings = Strings::read(STRINGS, [])?;
    let mut environment = environment()?;
    add_strings(&mut environment, &strings);
    environment.add_template(NAME, TEMPLATE).map_err(template_error)?;
    let template = environment.get_template(NAME).map_err(template_error)?;
    let known = Known {
        midashi: &info.midashi,
        labels: (labels.len() <= LISTED).then_some(labels),
        categories: labels.len(),
        listed: LISTED,
    };
    let values = context! {
        model => &info.model_id,
        pair => info.midashi.text == TextChoice::TitleAndBody,
        max_characters => info.midashi.max_characters,
        strings => data_block(&strings)?,
        known => data_block(&known)?,
    };
    template.render(values).map_err(template_error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_string_that_the_page_uses_exists() {
        let sources = SCRIPT.concat() + TEMPLATE;
        let marks = ["say(\"", "data-string=\"", "data-label=\""];
        let named = marks.iter().flat_map(|mark| sources.split(mark).skip(1));
        let keys: Vec<&str> = named.filter_map(|rest| rest.split('"').next()).collect();
        let built = ["gradient_x_input", "integrated_gradients", "rollout"];
        let built = built.iter().flat_map(|method| [format!("source.{method}"), format!("about.{method}")]);
        let built = built.chain(
            ["about.cls_attention", "about.all_attention", "page.mask", "page.delete"].map(str::to_owned),
        );
        let english = Strings::read(STRINGS, []).unwrap().english();
        let all = keys.iter().filter(|key| !key.ends_with('.')).map(|key| (*key).to_owned()).chain(built);
        let missing: Vec<String> = all.filter(|key| !english.contains_key(key)).collect();
        assert!(keys.len() > 30 && missing.is_empty(), "{} keys, missing: {missing:?}", keys.len());
    }
}
