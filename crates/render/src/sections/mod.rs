//! The report's sections. Each has a file here, with the function `section`, and a template of the same name in
//! `templates/sections/`, which begins with the section's strings. A new section is a line in the lists below.

mod calibration;
pub mod classification;
mod confusion;
mod duplicates;
mod errors;
mod faithfulness;
pub mod run;
mod texts;
mod training;
mod words;

use minijinja::Value;

use crate::artifacts::Artifacts;
use midashi_page::Strings;

/// One section of the report.
pub struct Section {
    /// Its id in the page and the name of its template. The string `<name>.heading` is its heading.
    pub name: &'static str,
    /// The template, which may begin with strings.
    pub template: &'static str,
    /// The value that the template knows as `section.data`; without one the section is left out.
    pub data: fn(&Artifacts, &Strings) -> anyhow::Result<Option<Value>>,
}

macro_rules! section {
    ($name:ident) => {
        Section {
            name: stringify!($name),
            template: include_str!(concat!("../../templates/sections/", stringify!($name), ".html")),
            data: $name::section,
        }
    };
}

/// All sections in the order of the page: the texts first, and last what is needed to repeat the run.
pub const SECTIONS: [Section; 10] = [
    section!(texts),
    section!(errors),
    section!(confusion),
    section!(classification),
    section!(words),
    section!(faithfulness),
    section!(calibration),
    section!(duplicates),
    section!(training),
    section!(run),
];
