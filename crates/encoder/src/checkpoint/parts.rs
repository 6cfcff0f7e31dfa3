//! The files that hold a checkpoint's tensors, and the names that the tensors have in them.

use std::path::PathBuf;

use super::tensor_file::TensorFile;
use crate::config::EncoderConfig;
use crate::error::Result;

/// Prefixes that programs put before all names: none, and those of `DataParallel` and of classes that hold the model in a field.
const WRAPPERS: [&str; 5] = ["", "module.", "model.", "module.model.", "model.module."];

/// How many names a message lists.
const LISTED: usize = 5;

/// The open files of a checkpoint.
pub struct Parts {
    files: Vec<TensorFile>,
    /// What precedes every name.
    wrapper: &'static str,
}

impl Parts {
    /// Opens the files. The word embeddings, which every encoder has, say what precedes the names.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn open(paths: &[PathBuf], config: &EncoderConfig) -> Result<Self> {
        let files = paths.iter().map(|path| TensorFile::open(path)).collect::<Result<Vec<_>>>()?;
        let mut parts = Self { files, wrapper: "" };
        let words = config.word_embeddings();
        let found = WRAPPERS.into_iter().find(|wrapper| parts.find_below(wrapper, config, &words).is_some());
        parts.wrapper = found.unwrap_or_default();
        Ok(parts)
    }

    /// The files.
    pub fn files(&self) -> &[TensorFile] {
        &self.files
    }

    /// The file that holds the tensor `name`, and the tensor's name there.
    pub fn find(&self, config: &EncoderConfig, name: &str) -> Option<(&TensorFile, String)> {
        self.find_below(self.wrapper, config, name)
    }

    fn find_below(&self, wrapper: &str, config: &EncoderConfig, name: &str) -> Option<(&TensorFile, String)> {
        config.architecture().spellings(name).into_iter().find_map(|spelled| {
            let spelled = format!("{wrapper}{spelled}");
            let file = self.files.iter().find(|file| file.tensors().contains_key(&spelled))?;
            Some((file, spelled))
        })
    }

    /// How many tensors the files hold, and the first names, for messages.
    pub fn summary(&self) -> String {
        let mut names: Vec<&str> =
            self.files.iter().flat_map(|file| file.tensors().keys().map(String::as_str)).collect();
        names.sort_unstable();
        let count = names.len();
        let listed: Vec<String> = names.iter().take(LISTED).map(|name| start_of(name)).collect();
        let more = if count > LISTED { ", …" } else { "" };
        match count {
            0 => "no tensors".to_owned(),
            1 => format!("one tensor, {}", listed.join("")),
            _ => format!("{count} tensors, {}{more}", listed.join(", ")),
        }
    }
}

/// The first characters of a name, which a file may make as long as it likes.
fn start_of(name: &str) -> String {
    const LONGEST: usize = 60;
    let start: String = name.chars().take(LONGEST).collect();
    let more = if name.chars().nth(LONGEST).is_some() { "…" } else { "" };
    format!("{}{more}", start.escape_debug())
}
