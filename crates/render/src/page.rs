//! Renders the page: sections, data, style sheet and script put into the template.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use midashi_page::{
    LANGUAGE_SCRIPT, STYLE, TEXTS_SCRIPT, add_strings, data_block, environment, template_error,
};
use minijinja::context;
use minijinja::value::Serde;
use sha2::{Digest, Sha256};

use crate::artifacts::Artifacts;
use crate::explorer::Explorer;
use crate::sections::classification::Verdict;
use crate::sections::{SECTIONS, Section};

/// Templates besides the sections'. The ending of a name switches HTML escaping on.
const TEMPLATES: [(&str, &str); 3] = [
    ("report.html", include_str!("../templates/report.html")),
    ("macros.html", include_str!("../templates/macros.html")),
    ("explorer.html", include_str!("../templates/explorer.html")),
];
/// The parts of the script. They are one script, because the page's policy allows it by its digest. The comments mark
/// it as CDATA, so that the page stays well-formed XML.
const SCRIPT: [&str; 14] = [
    "//<![CDATA[\n\"use strict\";\n",
    LANGUAGE_SCRIPT,
    TEXTS_SCRIPT,
    include_str!("../templates/tables.js"),
    include_str!("../templates/layout.js"),
    include_str!("../templates/explorer/data.js"),
    include_str!("../templates/explorer/view.js"),
    include_str!("../templates/explorer/trust.js"),
    include_str!("../templates/explorer/texts.js"),
    include_str!("../templates/explorer/list.js"),
    include_str!("../templates/explorer/export.js"),
    include_str!("../templates/explorer/heads.js"),
    include_str!("../templates/explorer/explorer.js"),
    "//]]>\n",
];

/// The whole report as one HTML file.
///
/// The page's policy forbids loading anything. It allows the page's own style and script by their digests, so colours
/// are classes and never `style` attributes.
///
/// # Errors
/// When the artifacts do not belong together, or a template fails.
pub fn html(title: &str, run: &str, artifacts: &Artifacts, explorer: &Explorer) -> anyhow::Result<String> {
    let strings = crate::strings::read(SECTIONS.iter().map(|section| section.template))?;
    let mut environment = environment()?;
    add_strings(&mut environment, &strings);
    for (name, template) in TEMPLATES {
        environment.add_template(name, template).map_err(template_error)?;
    }
    let mut sections = Vec::new();
    for Section { name, template, data } in SECTIONS {
        environment.add_template_owned(format!("sections/{name}.html"), template).map_err(template_error)?;
        sections.extend(data(artifacts, &strings)?.map(|data| context! { name, data }));
    }
    let template = environment.get_template("report.html").map_err(template_error)?;
    let script = SCRIPT.concat();
    let values = context! {
        title,
        run,
        metrics => Serde(&artifacts.metrics),
        verdict => Serde(Verdict::of(&artifacts.metrics)),
        sections,
        style => STYLE,
        style_digest => BASE64_STANDARD.encode(Sha256::digest(STYLE)),
        script_digest => BASE64_STANDARD.encode(Sha256::digest(&script)),
        script,
        strings => strings.english(),
        strings_data => data_block(&strings)?,
        explorer_data => data_block(explorer)?,
    };
    template.render(values).map_err(template_error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use midashi_page::Strings;

    use super::*;

    fn strings() -> Strings {
        crate::strings::read(SECTIONS.iter().map(|section| section.template)).unwrap()
    }

    #[test]
    fn every_string_that_the_page_uses_exists() {
        let templates = TEMPLATES.iter().map(|(_, template)| *template);
        let sections = SECTIONS.iter().map(|section| section.template);
        let sources = templates.chain(sections).chain(SCRIPT).collect::<String>();
        let marks = ["say(\"", "data-string=\"", "data-label=\"", "dataset.string = \""];
        let named = marks.iter().flat_map(|mark| sources.split(mark).skip(1));
        // Templates also build keys; only the beginning of such a key is there, and it ends in a dot.
        let keys = named.filter_map(|rest| rest.split('"').next());
        let keys: Vec<&str> = keys.filter(|key| key.contains('.') && !key.ends_with('.')).collect();
        let english = strings().english();
        let missing: Vec<_> = keys.iter().filter(|key| !english.contains_key(**key)).collect();
        assert!(keys.len() > 120 && missing.is_empty(), "{} keys, missing: {missing:?}", keys.len());
    }

    #[test]
    fn every_section_has_a_heading() {
        let english = strings().english();
        for Section { name, .. } in SECTIONS {
            assert!(english.contains_key(&format!("{name}.heading")), "{name}");
        }
    }

    #[test]
    fn every_string_has_the_same_values_in_both_languages() {
        let names = |text: &str| {
            let names = text.split('{').skip(1).filter_map(|rest| rest.split('}').next());
            names.map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
        };
        for (key, text) in strings().0 {
            assert_eq!(names(&text.en), names(&text.ja), "{key}");
            assert_eq!(text.en.matches('`').count() % 2, 0, "{key}");
            assert_eq!(text.ja.matches('`').count() % 2, 0, "{key}");
        }
    }
}
