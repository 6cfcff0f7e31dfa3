//! What the files of a corpus amount to: the articles in their categories, and all that was left out.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Result, bail, ensure};
use midashi_artifacts::{Article, CategoryId, Corpus, Split};
use midashi_config::{BadFiles, Compat, Layout};

use crate::article::{Published, Text};
use crate::corpus_files::{CorpusFile, LICENCE, text_stem, visit_files};

/// The artifacts number the categories with an int16.
const MOST_CATEGORIES: usize = i16::MAX as usize;

/// A corpus as it was read.
#[derive(Debug)]
pub struct Reading {
    /// The articles, sorted by category and id. They have no split yet: all say `train`.
    pub corpus: Corpus,
    /// How many files of each kind of note were left out.
    pub notes: BTreeMap<&'static str, usize>,
    /// How many licences are among the articles, as `compat.article` asks.
    pub licences: usize,
    /// Paths of files that are no `.txt`.
    pub others: Vec<String>,
    /// Files that were left out because they are no articles, and why.
    pub bad: Vec<Remark>,
    /// Articles whose date could not be read, and what stood there.
    pub undated: Vec<Remark>,
}

/// Something to say about one file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// Its path in the corpus.
    pub path: String,
    /// What was found.
    pub what: String,
}

/// An article before its category has a number.
struct Draft {
    place: Place,
    text: Text,
}

/// Where an article lies: `<root>/<category>/<id>.txt`, or `.TXT`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    category: String,
    id: String,
    root: String,
    path: String,
}

/// Stops at the first bad file, or keeps the list of them.
struct BadList<'s> {
    source: &'s Path,
    policy: BadFiles,
    files: Vec<Remark>,
}

impl Reading {
    /// Reads the archive or folder `source`.
    ///
    /// # Errors
    /// When `source` is broken, when a file is bad and `bad_files` says to stop, or when there are
    /// not at least two categories.
    pub fn of(source: &Path, layout: Layout, bad_files: BadFiles, compat: Compat) -> Result<Self> {
        let mut drafts = Vec::new();
        let mut notes = BTreeMap::new();
        let mut licence_files = Vec::new();
        let mut others = Vec::new();
        let mut bad = BadList { source, policy: bad_files, files: Vec::new() };
        visit_files(source, compat.article, &mut |file| {
            match file {
                CorpusFile::Text { path, bytes } => match (Place::of(&path), Text::parse(&bytes, layout)) {
                    (Some(place), Ok(text)) => drafts.push(Draft { place, text }),
                    (None, _) => bad.add(path, OUTSIDE.into())?,
                    (_, Err(reason)) => bad.add(path, reason)?,
                },
                CorpusFile::Note(name) => *notes.entry(name).or_default() += 1,
                CorpusFile::Licence { path, bytes } => licence_files.push((path, bytes)),
                CorpusFile::Other(path) => others.push(path),
                CorpusFile::Bad { path, reason } => bad.add(path, reason)?,
            }
            Ok(())
        })?;
        let mut drafts = in_category_folders(drafts, &mut bad)?;
        let (licences, apart) = licences_beside(&drafts, licence_files, layout, &mut bad)?;
        if apart > 0 {
            *notes.entry(LICENCE).or_default() += apart;
        }
        let licence_count = licences.len();
        drafts.extend(licences);
        let drafts = in_order(drafts, &mut bad)?;
        let undated = drafts.iter().filter_map(Draft::date_remark).collect();
        let corpus = number_categories(drafts);
        check_categories(&corpus, source, bad.files.len())?;
        others.sort();
        bad.files.sort();
        Ok(Self { corpus, notes, licences: licence_count, others, bad: bad.files, undated })
    }
}

const OUTSIDE: &str = "lies in no category folder; expected <category>/<id>.txt";

impl Place {
    fn of(path: &str) -> Option<Self> {
        let (folder, name) = path.rsplit_once('/')?;
        let (root, category) = folder.rsplit_once('/').unwrap_or(("", folder));
        let id = text_stem(name)?;
        Some(Self { category: category.into(), id: id.into(), root: root.into(), path: path.into() })
    }

    /// A licence's place; all have one file name, so the category makes the id.
    fn of_licence(path: &str) -> Option<Self> {
        let place = Self::of(path)?;
        Some(Self { id: format!("{LICENCE}-{}", place.category), ..place })
    }

    /// Whether both lie in one folder.
    fn is_beside(&self, other: &Self) -> bool {
        (&self.root, &self.category) == (&other.root, &other.category)
    }
}

impl Draft {
    fn date_remark(&self) -> Option<Remark> {
        let Published::Unreadable(line) = &self.text.published else { return None };
        Some(Remark { path: self.place.path.clone(), what: line.clone() })
    }
}

impl BadList<'_> {
    fn add(&mut self, path: String, reason: String) -> Result<()> {
        if self.policy == BadFiles::Error {
            bail!(
                "{}: {path} {reason}; mend it, or set corpus.bad_files=skip to leave such files out",
                self.source.display()
            );
        }
        self.files.push(Remark { path, what: reason });
        Ok(())
    }
}

/// Keeps the articles whose category folders lie beside each other: those below the folder (`text/`
/// in livedoor's archive) that most articles have in common.
fn in_category_folders(drafts: Vec<Draft>, bad: &mut BadList) -> Result<Vec<Draft>> {
    let mut articles_below = BTreeMap::<&str, usize>::new();
    for draft in &drafts {
        *articles_below.entry(&draft.place.root).or_default() += 1;
    }
    let root = articles_below.into_iter().max_by_key(|&(_, articles)| articles);
    let root = root.map_or_else(String::new, |(root, _)| root.to_owned());
    let (inside, outside): (Vec<_>, Vec<_>) = drafts.into_iter().partition(|draft| draft.place.root == root);
    let root = if root.is_empty() { root } else { root + "/" };
    for draft in outside {
        let reason = format!("lies elsewhere than most articles; expected {root}<category>/<id>.txt");
        bad.add(draft.place.path, reason)?;
    }
    Ok(inside)
}

/// The licences that lie beside articles, as articles of that category, and how many lie elsewhere.
///
/// What stands where others have a URL and a date is neither.
fn licences_beside(
    articles: &[Draft],
    files: Vec<(String, Vec<u8>)>,
    layout: Layout,
    bad: &mut BadList,
) -> Result<(Vec<Draft>, usize)> {
    let (mut licences, mut apart) = (Vec::new(), 0);
    for (path, bytes) in files {
        let is_beside = |place: &Place| articles.iter().any(|article| article.place.is_beside(place));
        let Some(place) = Place::of_licence(&path).filter(is_beside) else {
            apart += 1;
            continue;
        };
        match Text::parse(&bytes, layout) {
            Ok(text) => {
                licences
                    .push(Draft { place, text: Text { url: None, published: Published::Unsaid, ..text } });
            }
            Err(reason) => bad.add(path, reason)?,
        }
    }
    Ok((licences, apart))
}

/// Sorts by category and id, and keeps the first article of each id.
fn in_order(mut drafts: Vec<Draft>, bad: &mut BadList) -> Result<Vec<Draft>> {
    drafts.sort_by(|left, right| left.place.cmp(&right.place));
    let mut paths = HashMap::<String, String>::new();
    let mut kept = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let path = draft.place.path.clone();
        if let Some(first) = paths.get(&draft.place.id) {
            bad.add(path, format!("has the same id as {first}; expected a file name of its own"))?;
        } else {
            paths.insert(draft.place.id.clone(), path);
            kept.push(draft);
        }
    }
    Ok(kept)
}

/// Gives the categories their numbers; the drafts are sorted by category.
fn number_categories(drafts: Vec<Draft>) -> Corpus {
    let mut categories = Vec::<String>::new();
    let mut articles = Vec::with_capacity(drafts.len());
    for Draft { place, text } in drafts {
        if categories.last() != Some(&place.category) {
            categories.push(place.category);
        }
        articles.push(Article {
            id: place.id,
            category: CategoryId((categories.len() - 1) as u16),
            url: text.url,
            published_at: match text.published {
                Published::At(timestamp) => Some(timestamp),
                Published::Unsaid | Published::Unreadable(_) => None,
            },
            title: text.title,
            body: text.body,
            split: Split::Train,
        });
    }
    Corpus { categories, articles }
}

fn check_categories(corpus: &Corpus, source: &Path, bad: usize) -> Result<()> {
    let source = source.display();
    match corpus.categories.as_slice() {
        [] => bail!("{source}: no article found ({bad} bad files); {OUTSIDE}"),
        [only] => bail!(
            "{source}: all {} articles are of one category, {only:?}; there is nothing to tell apart, \
             expected at least two folders of .txt files",
            corpus.articles.len()
        ),
        many => ensure!(
            many.len() <= MOST_CATEGORIES,
            "{source}: {} categories; expected at most {MOST_CATEGORIES}",
            many.len()
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corpus_files::samples::{gzip, tar};

    const OURS: Compat = Compat { article: false };
    const THE_ARTICLES: Compat = Compat { article: true };

    fn read_with(files: &[(&str, &str)], bad_files: BadFiles, compat: Compat) -> Result<Reading, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.tar.gz");
        let files: Vec<_> = files.iter().map(|&(path, text)| (path, text.as_bytes())).collect();
        std::fs::write(&path, gzip(&tar(&files))).unwrap();
        Reading::of(&path, Layout::TitleFirst, bad_files, compat).map_err(|error| format!("{error:#}"))
    }

    fn read_as(files: &[(&str, &str)], bad_files: BadFiles) -> Result<Reading, String> {
        read_with(files, bad_files, OURS)
    }

    fn read(files: &[(&str, &str)]) -> Result<Reading, String> {
        read_as(files, BadFiles::Error)
    }

    /// The bad file stops the reading, and with `skip` it is left out and listed.
    fn assert_bad(files: &[(&str, &str)], path: &str, reason: &str) {
        let message = read(files).unwrap_err();
        assert!(message.contains("corpus.tar.gz: "), "{message}");
        assert!(message.contains(&format!("{path} {reason}; mend it")), "{message}");
        assert!(message.contains("corpus.bad_files=skip"), "{message}");
        let reading = read_as(files, BadFiles::Skip).unwrap();
        assert_eq!(reading.bad, [Remark { path: path.into(), what: reason.into() }]);
        assert_eq!(reading.corpus.articles.len(), files.len() - 1);
    }

    fn ids(reading: &Reading) -> Vec<(u16, &str)> {
        reading.corpus.articles.iter().map(|article| (article.category.0, article.id.as_str())).collect()
    }

    #[test]
    fn articles_are_sorted_by_category_and_id_whatever_the_order_of_the_archive() {
        let reading = read(&[
            ("text/b/2.txt", "t"),
            ("text/a/9.txt", "t"),
            ("text/b/10.txt", "t"),
            ("text/README", ""),
        ])
        .unwrap();
        assert_eq!(reading.corpus.categories, ["a", "b"]);
        assert_eq!(ids(&reading), [(0, "9"), (1, "10"), (1, "2")]);
        assert_eq!(reading.notes, BTreeMap::from([("README", 1)]));
    }

    #[test]
    fn category_folders_may_lie_at_the_root_or_below_a_leading_folder() {
        for root in ["", "text/", "corpus/v1/text/"] {
            let (one, two) = (format!("{root}a/1.txt"), format!("{root}b/2.txt"));
            let reading = read(&[(&one, "t"), (&two, "t")]).unwrap();
            assert_eq!(ids(&reading), [(0, "1"), (1, "2")], "below {root:?}");
        }
    }

    #[test]
    fn files_outside_the_category_folders_are_bad() {
        let inside = [("text/a/1.txt", "t"), ("text/b/2.txt", "t")];
        assert_bad(&[inside[0], inside[1], ("stray.txt", "t")], "stray.txt", OUTSIDE);
        assert_bad(
            &[inside[0], inside[1], ("text/a/draft/3.txt", "t")],
            "text/a/draft/3.txt",
            "lies elsewhere than most articles; expected text/<category>/<id>.txt",
        );
    }

    #[test]
    fn unreadable_articles_are_bad() {
        assert_bad(
            &[("a/1.txt", "t"), ("b/2.txt", "t"), ("b/3.txt", " \n")],
            "b/3.txt",
            "the title, line 1, is empty",
        );
    }

    #[test]
    fn an_id_is_given_once() {
        assert_bad(
            &[("b/1.txt", "t"), ("a/1.txt", "t"), ("b/2.txt", "t")],
            "b/1.txt",
            "has the same id as a/1.txt; expected a file name of its own",
        );
        assert_bad(
            &[("b/2.txt", "t"), ("a/1.TXT", "t"), ("a/1.txt", "t")],
            "a/1.txt",
            "has the same id as a/1.TXT; expected a file name of its own",
        );
    }

    #[test]
    fn an_unreadable_date_is_remarked() {
        let folder = tempfile::tempdir().unwrap();
        for (path, date) in [("a/1.txt", "2012-05-04T09:55:00+0900"), ("b/2.txt", "yesterday")] {
            let path = folder.path().join(path);
            std::fs::create_dir(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("http://a/\n{date}\ntitle\n")).unwrap();
        }
        let reading = Reading::of(folder.path(), Layout::Livedoor, BadFiles::Error, OURS).unwrap();
        assert_eq!(reading.undated, [Remark { path: "b/2.txt".into(), what: "yesterday".into() }]);
        let dated: Vec<_> = reading.corpus.articles.iter().map(|a| a.published_at.is_some()).collect();
        assert_eq!(dated, [true, false]);
    }

    /// A licence of the livedoor corpus in all but its words: eight lines, none of them a URL or a date.
    const LICENCE_TEXT: &str = "この場所の記事には\n次の条件があります。\n出所を示すこと。\n\n提供元：";

    #[test]
    fn with_the_articles_choices_the_licences_of_the_categories_are_articles() {
        let folder = tempfile::tempdir().unwrap();
        for path in ["text/a/1.txt", "text/b/2.txt"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "http://a/\n2012-05-04T09:55:00+0900\ntitle\n").unwrap();
        }
        for path in
            ["LICENSE.txt", "text/LICENSE.txt", "text/README.txt", "text/a/LICENSE.txt", "text/b/LICENSE.txt"]
        {
            std::fs::write(folder.path().join(path), LICENCE_TEXT).unwrap();
        }
        let read = |compat| Reading::of(folder.path(), Layout::Livedoor, BadFiles::Error, compat).unwrap();
        let ours = read(OURS);
        assert_eq!(ids(&ours), [(0, "1"), (1, "2")]);
        assert_eq!((ours.licences, ours.notes), (0, BTreeMap::from([("LICENSE", 4), ("README", 1)])));

        let theirs = read(THE_ARTICLES);
        assert_eq!(ids(&theirs), [(0, "1"), (0, "LICENSE-a"), (1, "2"), (1, "LICENSE-b")]);
        let notes = BTreeMap::from([("LICENSE", 2), ("README", 1)]);
        assert_eq!((theirs.licences, theirs.notes), (2, notes), "those of no category stay notes");
        let licence = &theirs.corpus.articles[1];
        assert_eq!((licence.title.as_str(), licence.body.as_str()), ("出所を示すこと。", "\n提供元："));
        assert_eq!((&licence.url, licence.published_at), (&None, None), "its first lines are neither");
        assert_eq!(theirs.undated, [], "and nobody expects a date of it");
    }

    #[test]
    fn a_licence_that_is_no_text_is_bad() {
        let files = [("a/1.txt", "t"), ("b/2.txt", "t"), ("b/LICENSE.txt", " \n")];
        let message = read_with(&files, BadFiles::Error, THE_ARTICLES).unwrap_err();
        assert!(message.contains("b/LICENSE.txt the title, line 1, is empty; mend it"), "{message}");
        assert_eq!(read(&files).unwrap().corpus.articles.len(), 2);
    }

    #[test]
    fn there_must_be_at_least_two_categories() {
        assert!(read(&[]).unwrap_err().contains("no article found (0 bad files)"));
        let message = read(&[("text/a/1.txt", "t"), ("text/a/2.txt", "t")]).unwrap_err();
        assert!(message.contains("all 2 articles are of one category, \"a\""), "{message}");
    }

    #[test]
    fn there_can_be_no_more_categories_than_an_int16_counts() {
        let corpus = |categories: usize| Corpus {
            categories: (0..categories).map(|at| at.to_string()).collect(),
            articles: vec![],
        };
        let source = Path::new("corpus.tar.gz");
        assert!(check_categories(&corpus(32_767), source, 0).is_ok());
        let message = check_categories(&corpus(32_768), source, 0).unwrap_err().to_string();
        assert_eq!(message, "corpus.tar.gz: 32768 categories; expected at most 32767");
    }
}
