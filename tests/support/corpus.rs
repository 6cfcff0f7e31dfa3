//! Corpora that tests write.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::environment::root;

/// A corpus on its way to the disk: a folder a category, a file a text.
#[derive(Default)]
pub struct Corpus {
    /// By path below the corpus's folder.
    files: BTreeMap<String, Vec<u8>>,
    articles: BTreeMap<String, usize>,
    title_first: bool,
}

impl Corpus {
    /// An empty corpus in the layout of livedoor: URL, date, title, body.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty corpus in the layout `title-first`: title, body.
    pub fn title_first() -> Self {
        Self { title_first: true, ..Self::default() }
    }

    /// The sample corpus of the repository.
    pub fn sample() -> Self {
        let mut corpus = Self::new();
        let folder = root().join("data/sample/text");
        for category in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            for file in fs::read_dir(category.path()).unwrap().map(Result::unwrap) {
                let name = format!("{}/{}", category.file_name().display(), file.file_name().display());
                corpus = corpus.file(&name, &fs::read(file.path()).unwrap());
            }
        }
        corpus
    }

    /// The first `number` texts of each category of the sample corpus.
    pub fn few_of_the_sample(number: usize) -> Self {
        let mut corpus = Self::sample();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        corpus.files.retain(|name, _| {
            let category = name.split('/').next().unwrap_or_default();
            let count = seen.entry(category.to_owned()).or_default();
            *count += 1;
            *count <= number
        });
        corpus
    }

    /// Adds an article; its file is named after the category and the number of articles that it has already.
    #[must_use]
    pub fn article(mut self, category: &str, title: &str, body: &str) -> Self {
        let number = self.articles.entry(category.to_owned()).or_default();
        let name = format!("{category}/{category}{number}.txt");
        *number += 1;
        let head = if self.title_first { "" } else { "http://a/\n2012-05-04T09:55:00+0900\n" };
        self.file(&name, format!("{head}{title}\n{body}").as_bytes())
    }

    /// Adds the licence of a category, which is no article.
    #[must_use]
    pub fn licence(self, category: &str, text: &str) -> Self {
        self.file(&format!("{category}/LICENSE.txt"), text.as_bytes())
    }

    /// Adds a file as it is.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: &[u8]) -> Self {
        self.files.insert(name.to_owned(), bytes.to_owned());
        self
    }

    /// Gives articles other titles: those for which `title` returns one, by their number within the category, in the
    /// order of their names.
    #[must_use]
    pub fn titles(mut self, title: impl Fn(usize) -> Option<&'static str>) -> Self {
        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        for (name, bytes) in &mut self.files {
            let category = name.split('/').next().unwrap_or_default().to_owned();
            let number = numbers.entry(category).or_default();
            let text = String::from_utf8(std::mem::take(bytes)).unwrap();
            let mut lines: Vec<&str> = text.lines().collect();
            if let (Some(title), Some(line)) = (title(*number), lines.get_mut(2)) {
                *line = title;
            }
            *number += 1;
            *bytes = lines.join("\n").into_bytes();
        }
        self
    }

    /// Writes everything below `folder` and returns that folder.
    pub fn write(&self, folder: impl AsRef<Path>) -> PathBuf {
        let folder = folder.as_ref().to_owned();
        for (name, bytes) in &self.files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }
}
