//! From the files of a corpus to its articles and categories, with a list of everything that was skipped.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use anyhow::{Result, bail, ensure};
use midashi_artifacts::{Article, CategoryId, Corpus, MAX_CATEGORIES, Split};
use midashi_config::{BadFiles, Compat, CorpusLimits, Layout};
use midashi_table::{Encoding, Format};
use unicode_normalization::UnicodeNormalization;

use crate::labels::{Merged, merge};
use crate::split_names::split_of_name;
use crate::texts::admission::Admission;
use crate::texts::article::{Published, Text};
use crate::texts::corpus_file::{CorpusFile, LICENCE, LinkKind, is_text, text_stem};
use crate::texts::corpus_files::visit_files;
use crate::texts::folder::{FolderLinks, visit_folder};
use crate::texts::layout::Layouts;

/// How text files are read.
#[derive(Clone, Debug)]
pub struct TextOptions {
    /// The layout of a file.
    pub layout: Layout,
    /// The encoding of a file; UTF-8 if it is none.
    pub encoding: Option<&'static Encoding>,
    /// Whether a bad file stops the run.
    pub bad_files: BadFiles,
    /// Whether licences are texts.
    pub compat: Compat,
    /// The bounds of the corpus.
    pub limits: CorpusLimits,
}

/// A corpus that was read.
#[derive(Debug)]
pub struct Reading {
    /// The articles, sorted by category and id. If the corpus gives no splits, all are `train`.
    pub corpus: Corpus,
    /// Whether the corpus gives splits: folders `train` and `test` with category folders.
    pub has_splits: bool,
    /// Categories whose folders have names that look the same.
    pub merged: Vec<Merged>,
    /// Number of skipped notes of each kind.
    pub notes: BTreeMap<&'static str, usize>,
    /// Number of licences among the articles, for `compat.article`.
    pub licences: usize,
    /// Paths of files other than `.txt`.
    pub others: Vec<String>,
    /// Paths of texts that an archive holds again, of which the last one counts.
    pub replaced: Vec<String>,
    /// Text files that were skipped because they are not articles, with the reason.
    pub bad: Vec<Remark>,
    /// Articles whose date cannot be parsed, with the line found.
    pub undated: Vec<Remark>,
}

/// A remark about one file.
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
    split: Option<Split>,
}

/// The path of an article: `<root>/<category>/<id>.txt`, or `.TXT`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    category: String,
    id: String,
    root: String,
    path: String,
}

/// Fails at the first bad file, or collects them.
struct BadList<'s> {
    source: &'s Path,
    policy: BadFiles,
    files: Vec<Remark>,
}

/// The files of a corpus as they come. An archive may hold a path again: the later file replaces the earlier one, as if the
/// archive were unpacked.
struct Files<'s> {
    options: &'s TextOptions,
    /// By path.
    texts: HashMap<String, Text>,
    licences: BTreeMap<String, Vec<u8>>,
    links: Vec<(String, String)>,
    /// Bytes of the texts that links led to.
    linked_bytes: u64,
    notes: BTreeMap<&'static str, usize>,
    others: Vec<String>,
    replaced: Vec<String>,
    bad: BadList<'s>,
}

impl Reading {
    /// Reads the archive or folder `source`.
    ///
    /// # Errors
    /// When `source` is broken or larger than its bounds, when a file is bad and `bad_files` is `error`, when all texts have
    /// another layout, or when there are fewer than two categories.
    pub fn of(source: &Path, options: &TextOptions) -> Result<Self> {
        let mut admission = Admission::new(&options.limits, options.compat.article);
        let bad = BadList { source, policy: options.bad_files, files: Vec::new() };
        let mut files = Files::new(options, bad);
        let replaced = visit_files(source, &mut admission, &mut |file| files.add(file))?;
        files.replaced.extend(replaced);
        files.resolve_links()?;
        let Files { texts, licences: licence_files, mut notes, mut others, mut replaced, mut bad, .. } =
            files;
        let drafts = drafts(texts);
        check_layout(&drafts, options.layout, source)?;
        let mut drafts = in_category_folders(drafts, &mut bad)?;
        let parse = |bytes: &[u8]| options.parse(bytes);
        let (licences, other_licences) = licences_beside(&drafts, licence_files, parse, &mut bad)?;
        if other_licences > 0 {
            *notes.entry(LICENCE).or_default() += other_licences;
        }
        let licence_count = licences.len();
        drafts.extend(licences);
        let has_splits = drafts.iter().any(|draft| draft.split.is_some());
        let merged = merge_categories(&mut drafts);
        let drafts = in_order(drafts, &mut bad)?;
        let undated = drafts.iter().filter_map(Draft::date_remark).collect();
        let corpus = number_categories(drafts);
        others.sort();
        bad.files.sort();
        replaced.sort();
        check_categories(&corpus, source, &Ignored { notes: &notes, others: &others, bad: &bad.files })?;
        Ok(Self {
            corpus,
            has_splits,
            merged,
            notes,
            licences: licence_count,
            others,
            replaced,
            bad: bad.files,
            undated,
        })
    }

    /// Checks the files of the folder `source` without reading them: kinds of files, links, sizes and names.
    ///
    /// # Errors
    /// As [`Reading::of`] for what the names and sizes tell.
    pub fn check_folder(source: &Path, options: &TextOptions) -> Result<FolderLinks> {
        let mut admission = Admission::new(&options.limits, options.compat.article);
        admission.reads = false;
        let mut bad = BadList { source, policy: options.bad_files, files: Vec::new() };
        visit_folder(source, &mut admission, &mut |file| match file {
            CorpusFile::Bad { path, reason } => bad.add(path, reason),
            _ => Ok(()),
        })
    }
}

const OUTSIDE: &str = "lies in no category folder; expected <category>/<id>.txt";

impl TextOptions {
    fn parse(&self, bytes: &[u8]) -> Result<Text, String> {
        Text::parse(bytes, self.layout, self.encoding)
    }
}

impl<'s> Files<'s> {
    fn new(options: &'s TextOptions, bad: BadList<'s>) -> Self {
        Self {
            options,
            texts: HashMap::new(),
            licences: BTreeMap::new(),
            links: Vec::new(),
            linked_bytes: 0,
            notes: BTreeMap::new(),
            others: Vec::new(),
            replaced: Vec::new(),
            bad,
        }
    }

    fn add(&mut self, file: CorpusFile) -> Result<()> {
        match file {
            CorpusFile::Text { path, bytes } => {
                let text = placed(&path).and_then(|()| self.options.parse(&bytes));
                self.put(path, text)?;
            }
            CorpusFile::Note(name) => *self.notes.entry(name).or_default() += 1,
            CorpusFile::Licence { path, bytes } => {
                if self.licences.insert(path.clone(), bytes).is_some() {
                    self.replaced.push(path);
                }
            }
            CorpusFile::Other(path) => self.others.push(path),
            CorpusFile::Link { path, target, kind: LinkKind::Hard } => {
                let text = self.linked(&target)?.ok_or_else(|| {
                    format!("is a hard link to {target}, which is no text before it in the archive")
                });
                self.put(path.clone(), placed(&path).and(text))?;
            }
            CorpusFile::Link { path, target, kind: LinkKind::Symbolic } => self.links.push((path, target)),
            CorpusFile::Bad { path, reason } => self.put(path, Err(reason))?,
        }
        Ok(())
    }

    /// Puts a text in its place; or a bad file, which replaces a text too.
    fn put(&mut self, path: String, text: Result<Text, String>) -> Result<()> {
        let known = match text {
            Ok(text) => self.texts.insert(path.clone(), text),
            Err(reason) => {
                let known = self.texts.remove(&path);
                self.bad.add(path.clone(), reason)?;
                known
            }
        };
        if known.is_some() {
            self.replaced.push(path);
        }
        Ok(())
    }

    /// A copy of the text that a link leads to. A thousand links take a thousand times the memory.
    fn linked(&mut self, target: &str) -> Result<Option<Text>> {
        let Some(text) = self.texts.get(target) else { return Ok(None) };
        self.linked_bytes = self.linked_bytes.saturating_add((text.title.len() + text.body.len()) as u64);
        let most = self.options.limits.total_bytes;
        ensure!(
            self.linked_bytes <= most,
            "{}: the links lead to texts of more than {most} bytes; leave links out, or raise corpus.limits.total_bytes",
            self.bad.source.display()
        );
        Ok(Some(text.clone()))
    }

    /// Gives the symbolic links of an archive the texts that they lead to.
    fn resolve_links(&mut self) -> Result<()> {
        let links = std::mem::take(&mut self.links);
        let folders: HashSet<String> = match links.is_empty() {
            true => HashSet::new(),
            false => self.texts.keys().flat_map(|path| folders_above(path)).map(str::to_owned).collect(),
        };
        for (path, target) in links {
            match self.linked(&target)? {
                Some(text) if is_text(&path) => self.put(path.clone(), placed(&path).map(|()| text))?,
                Some(_) => self.others.push(path),
                None if folders.contains(&target) => {
                    let reason = format!(
                        "is a symbolic link to the folder {target}, whose texts would occur twice; unpack the archive, and \
                         set corpus.source to a folder without the link"
                    );
                    self.put(path, Err(reason))?;
                }
                None if is_text(&path) => {
                    let reason = format!("is a symbolic link to {target}, which is no text of the archive");
                    self.put(path, Err(reason))?;
                }
                None => self.others.push(path),
            }
        }
        Ok(())
    }
}

/// The folders around a path.
fn folders_above(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Checks that a text lies in a category folder.
fn placed(path: &str) -> Result<(), String> {
    Place::of(path).map(|_| ()).ok_or_else(|| OUTSIDE.to_owned())
}

/// Texts with their places, in the order of their paths. A hash table has another order each time.
fn drafts(texts: HashMap<String, Text>) -> Vec<Draft> {
    let draft = |(path, text): (String, Text)| Some(Draft { place: Place::of(&path)?, text, split: None });
    let mut drafts: Vec<Draft> = texts.into_iter().filter_map(draft).collect();
    drafts.sort_by(|left, right| left.place.path.cmp(&right.place.path));
    drafts
}

fn check_layout(drafts: &[Draft], layout: Layout, source: &Path) -> Result<()> {
    let mut layouts = Layouts::default();
    drafts.iter().for_each(|draft| layouts.add(&draft.text, layout));
    match layouts.mismatch(layout) {
        Some(reason) => bail!("{}: {reason}", source.display()),
        None => Ok(()),
    }
}

impl Place {
    /// The folder above the category is compared in normalisation form C, as the category is: systems write か゛ differently.
    fn of(path: &str) -> Option<Self> {
        let (folder, name) = path.rsplit_once('/')?;
        let (root, category) = folder.rsplit_once('/').unwrap_or(("", folder));
        let id = text_stem(name)?;
        Some(Self { category: category.into(), id: id.into(), root: root.nfc().collect(), path: path.into() })
    }

    /// The place of a licence. All licences have the same file name, so the id contains the category.
    fn of_licence(path: &str) -> Option<Self> {
        let place = Self::of(path)?;
        Some(Self { id: format!("{LICENCE}-{}", place.category), ..place })
    }

    /// The category's folder: the folder above it, and its name.
    fn folder(&self) -> (&str, &str) {
        (&self.root, &self.category)
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
                "{}: {path} {reason}; correct it, or set corpus.bad_files=skip to skip such files",
                self.source.display()
            );
        }
        self.files.push(Remark { path, what: reason });
        Ok(())
    }
}

/// Keeps the articles whose category folders are in the folder with the most articles (`text/` in livedoor's archive), or
/// in folders beside each other that are named after splits.
fn in_category_folders(drafts: Vec<Draft>, bad: &mut BadList) -> Result<Vec<Draft>> {
    let mut articles_below = BTreeMap::<&str, usize>::new();
    for draft in &drafts {
        *articles_below.entry(&draft.place.root).or_default() += 1;
    }
    if let Some(splits) = split_folders(&articles_below) {
        return in_split_folders(drafts, &splits, bad);
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

/// The folders of splits, if there are `train` and another one beside it with most of the articles.
fn split_folders(articles_below: &BTreeMap<&str, usize>) -> Option<BTreeMap<String, Split>> {
    let mut beside = BTreeMap::<&str, BTreeMap<&str, Split>>::new();
    for root in articles_below.keys() {
        let (above, name) = root.rsplit_once('/').unwrap_or(("", root));
        if let Some(split) = split_of_name(name) {
            beside.entry(above).or_default().insert(root, split);
        }
    }
    let articles =
        |splits: &BTreeMap<&str, Split>| splits.keys().map(|root| articles_below[root]).sum::<usize>();
    let complete = beside.into_values().filter(|splits| {
        let has_training = splits.values().any(|split| *split == Split::Train);
        has_training && splits.values().any(|split| *split != Split::Train)
    });
    let splits = complete.max_by_key(articles)?;
    let is_most = articles(&splits) * 2 > articles_below.values().sum::<usize>();
    is_most.then(|| splits.into_iter().map(|(root, split)| (root.to_owned(), split)).collect())
}

/// Gives articles the splits of their folders. File names may repeat between splits, so the split is part of the id.
fn in_split_folders(
    drafts: Vec<Draft>,
    splits: &BTreeMap<String, Split>,
    bad: &mut BadList,
) -> Result<Vec<Draft>> {
    let mut inside = Vec::with_capacity(drafts.len());
    for mut draft in drafts {
        let Some(split) = splits.get(&draft.place.root) else {
            let names: Vec<&str> = splits.keys().map(String::as_str).collect();
            let reason =
                format!("lies elsewhere than most articles; expected it below {}", names.join(" or "));
            bad.add(draft.place.path, reason)?;
            continue;
        };
        draft.place.id = format!("{}-{}", split.name(), draft.place.id);
        draft.split = Some(*split);
        inside.push(draft);
    }
    Ok(inside)
}

/// Makes one category of those whose names are equal in Unicode's normalisation form C. Systems write か゛ differently.
fn merge_categories(drafts: &mut [Draft]) -> Vec<Merged> {
    let (names, merged) = merge(drafts.iter().map(|draft| draft.place.category.as_str()));
    if !merged.is_empty() {
        drafts.iter_mut().zip(names).for_each(|(draft, name)| draft.place.category = name);
    }
    merged
}

/// The licences beside articles, as articles of their category without URL and date, and the number of other licences.
fn licences_beside(
    articles: &[Draft],
    files: BTreeMap<String, Vec<u8>>,
    parse: impl Fn(&[u8]) -> Result<Text, String>,
    bad: &mut BadList,
) -> Result<(Vec<Draft>, usize)> {
    let (mut licences, mut others) = (Vec::new(), 0);
    let splits: HashMap<(&str, &str), Option<Split>> =
        articles.iter().map(|article| (article.place.folder(), article.split)).collect();
    for (path, bytes) in files {
        let place = Place::of_licence(&path);
        let split = place.as_ref().and_then(|place| splits.get(&place.folder()).copied());
        let (Some(place), Some(split)) = (place, split) else {
            others += 1;
            continue;
        };
        match parse(&bytes) {
            Ok(text) => {
                let text = Text { url: None, published: Published::Missing, ..text };
                licences.push(Draft { place, text, split });
            }
            Err(reason) => bad.add(path, reason)?,
        }
    }
    Ok((licences, others))
}

/// Sorts by category and id, and keeps the first article with each id.
fn in_order(mut drafts: Vec<Draft>, bad: &mut BadList) -> Result<Vec<Draft>> {
    drafts.sort_by(|left, right| left.place.cmp(&right.place));
    let mut paths = HashMap::<String, String>::new();
    let mut kept = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let path = draft.place.path.clone();
        if let Some(first) = paths.get(&draft.place.id) {
            bad.add(path, format!("has the same id as {first}; expected a unique file name"))?;
        } else {
            paths.insert(draft.place.id.clone(), path);
            kept.push(draft);
        }
    }
    Ok(kept)
}

/// Numbers the categories of the drafts, which are sorted by category.
fn number_categories(drafts: Vec<Draft>) -> Corpus {
    let mut categories = Vec::<String>::new();
    let mut articles = Vec::with_capacity(drafts.len());
    for Draft { place, text, split } in drafts {
        if categories.last() != Some(&place.category) {
            categories.push(place.category);
        }
        articles.push(Article {
            id: place.id,
            category: CategoryId((categories.len() - 1) as u16),
            url: text.url,
            published_at: match text.published {
                Published::At(timestamp) => Some(timestamp),
                Published::Missing | Published::Unreadable(_) => None,
            },
            title: text.title,
            body: text.body,
            split: split.unwrap_or(Split::Train),
        });
    }
    Corpus { categories, articles }
}

/// The files that are no articles.
struct Ignored<'f> {
    notes: &'f BTreeMap<&'static str, usize>,
    others: &'f [String],
    bad: &'f [Remark],
}

impl Ignored<'_> {
    /// What was ignored and why, for a corpus without articles.
    fn described(&self) -> String {
        let mut kinds = Vec::new();
        if !self.others.is_empty() {
            kinds.push(format!("{} are no .txt files: {}", self.others.len(), first(self.others.iter())));
        }
        let notes: usize = self.notes.values().sum();
        if notes > 0 {
            kinds.push(format!("{notes} are notes about a corpus: {}", first(self.notes.keys())));
        }
        if !self.bad.is_empty() {
            let bad = self.bad.iter().map(|Remark { path, what }| format!("{path} {what}"));
            kinds.push(format!("{} cannot be read: {}", self.bad.len(), first(bad)));
        }
        if kinds.is_empty() {
            "there are no files".into()
        } else {
            format!("of the files, {}", kinds.join("; "))
        }
    }
}

/// The first items of a list that may be long.
fn first<T: AsRef<str>>(items: impl ExactSizeIterator<Item = T>) -> String {
    const SHOWN: usize = 3;
    let more = items.len().saturating_sub(SHOWN);
    let shown: Vec<String> = items.take(SHOWN).map(|item| item.as_ref().to_owned()).collect();
    let rest = if more > 0 { format!(" and {more} more") } else { String::new() };
    shown.join(", ") + &rest
}

fn check_categories(corpus: &Corpus, source: &Path, ignored: &Ignored<'_>) -> Result<()> {
    let source = source.display();
    let is_table = |path: &&String| Format::of_path(Path::new(path)).is_some();
    let others = ignored.others;
    match corpus.categories.as_slice() {
        [] if others.iter().any(|path| is_table(&path)) => bail!(
            "{source}: no article found, but {}; unpack the archive and set corpus.source to the table or its folder",
            first(others.iter().filter(is_table).collect::<Vec<_>>().into_iter())
        ),
        [] => bail!(
            "{source}: no article found; {}; expected .txt files in category folders, <category>/<id>.txt",
            ignored.described()
        ),
        [only] => bail!(
            "{source}: all {} articles are of one category, {only:?}; there is nothing to tell apart, \
             expected at least two folders of .txt files",
            corpus.articles.len()
        ),
        many => ensure!(
            many.len() <= MAX_CATEGORIES,
            "{source}: {} categories; expected at most {MAX_CATEGORIES}: the folder of a text is its category",
            many.len()
        ),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::texts::corpus_files::samples::{gzip, tar};

    const OURS: Compat = Compat { article: false };
    const THE_ARTICLES: Compat = Compat { article: true };

    fn livedoor(compat: Compat) -> TextOptions {
        TextOptions {
            layout: Layout::Livedoor,
            encoding: None,
            bad_files: BadFiles::Error,
            compat,
            limits: CorpusLimits::default(),
        }
    }

    fn read_with(files: &[(&str, &str)], bad_files: BadFiles, compat: Compat) -> Result<Reading, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.tar.gz");
        let files: Vec<_> = files.iter().map(|&(path, text)| (path, text.as_bytes())).collect();
        std::fs::write(&path, gzip(&tar(&files))).unwrap();
        let options = TextOptions { layout: Layout::TitleFirst, bad_files, ..livedoor(compat) };
        Reading::of(&path, &options).map_err(|error| format!("{error:#}"))
    }

    fn read_as(files: &[(&str, &str)], bad_files: BadFiles) -> Result<Reading, String> {
        read_with(files, bad_files, OURS)
    }

    fn read(files: &[(&str, &str)]) -> Result<Reading, String> {
        read_as(files, BadFiles::Error)
    }

    /// The bad file is an error by default, and skipped and listed with `skip`.
    fn assert_bad(files: &[(&str, &str)], path: &str, reason: &str) {
        let message = read(files).unwrap_err();
        assert!(message.contains("corpus.tar.gz: "), "{message}");
        assert!(message.contains(&format!("{path} {reason}; correct it")), "{message}");
        assert!(message.contains("corpus.bad_files=skip"), "{message}");
        let reading = read_as(files, BadFiles::Skip).unwrap();
        assert_eq!(reading.bad, [Remark { path: path.into(), what: reason.into() }]);
        assert_eq!(reading.corpus.articles.len(), files.len() - 1);
    }

    fn ids(reading: &Reading) -> Vec<(u16, &str)> {
        reading.corpus.articles.iter().map(|article| (article.category.0, article.id.as_str())).collect()
    }

    #[test]
    fn articles_are_sorted_by_category_and_id() {
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
    fn folders_named_after_splits_give_the_splits() {
        for root in ["", "corpus/"] {
            let files = ["train/a/1.txt", "train/b/2.txt", "test/a/1.txt", "dev/b/3.txt"];
            let paths = files.map(|file| format!("{root}{file}"));
            let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "t")).collect();
            let reading = read(&files).unwrap();
            assert!(reading.has_splits);
            assert_eq!(ids(&reading), [(0, "test-1"), (0, "train-1"), (1, "train-2"), (1, "validation-3")]);
            let splits: Vec<Split> = reading.corpus.articles.iter().map(|article| article.split).collect();
            assert_eq!(splits, [Split::Test, Split::Train, Split::Train, Split::Validation]);
        }
        let categories = read(&[("train/1.txt", "t"), ("test/2.txt", "t")]).unwrap();
        assert_eq!(
            (categories.has_splits, categories.corpus.categories),
            (false, vec!["test".into(), "train".into()])
        );
        assert_bad(
            &[("train/a/1.txt", "t"), ("test/b/1.txt", "t"), ("train/b/2.txt", "t"), ("c/d/3.txt", "t")],
            "c/d/3.txt",
            "lies elsewhere than most articles; expected it below test or train",
        );
    }

    #[test]
    fn folders_with_names_that_look_the_same_are_one_category() {
        let (composed, decomposed) = ("が/1.txt", "か\u{3099}/2.txt");
        let reading = read(&[(decomposed, "t"), ("a/3.txt", "t"), (composed, "t")]).unwrap();
        assert_eq!(reading.corpus.categories, ["a", "が"]);
        assert_eq!(ids(&reading), [(0, "3"), (1, "1"), (1, "2")]);
        assert_eq!(reading.merged, [Merged { name: "が".into(), spellings: 2 }]);
        let alone = read(&[(decomposed, "t"), ("a/3.txt", "t")]).unwrap();
        assert_eq!(alone.corpus.categories, ["a", "か\u{3099}"], "a single spelling stays");
    }

    #[test]
    fn an_archive_of_tables_is_refused_by_name() {
        let message = read(&[("data/train.csv", "text,label\n")]).unwrap_err();
        assert!(message.contains("no article found, but data/train.csv; unpack the archive"), "{message}");
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
    fn ids_are_unique() {
        assert_bad(
            &[("b/1.txt", "t"), ("a/1.txt", "t"), ("b/2.txt", "t")],
            "b/1.txt",
            "has the same id as a/1.txt; expected a unique file name",
        );
        assert_bad(
            &[("b/2.txt", "t"), ("a/1.TXT", "t"), ("a/1.txt", "t")],
            "a/1.txt",
            "has the same id as a/1.TXT; expected a unique file name",
        );
    }

    #[test]
    fn an_invalid_date_is_listed() {
        let folder = tempfile::tempdir().unwrap();
        for (path, date) in [("a/1.txt", "2012-05-04T09:55:00+0900"), ("b/2.txt", "yesterday")] {
            let path = folder.path().join(path);
            std::fs::create_dir(path.parent().unwrap()).unwrap();
            std::fs::write(path, format!("http://a/\n{date}\ntitle\n")).unwrap();
        }
        let reading = Reading::of(folder.path(), &livedoor(OURS)).unwrap();
        assert_eq!(reading.undated, [Remark { path: "b/2.txt".into(), what: "yesterday".into() }]);
        let dated: Vec<_> = reading.corpus.articles.iter().map(|a| a.published_at.is_some()).collect();
        assert_eq!(dated, [true, false]);
    }

    /// A text like the licences of the livedoor corpus: no line is a URL or a date.
    const LICENCE_TEXT: &str = "この場所の記事には\n次の条件があります。\n出所を示すこと。\n\n提供元：";

    #[test]
    fn with_compat_article_the_licences_of_the_categories_are_articles() {
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
        let read = |compat| Reading::of(folder.path(), &livedoor(compat)).unwrap();
        let ours = read(OURS);
        assert_eq!(ids(&ours), [(0, "1"), (1, "2")]);
        assert_eq!((ours.licences, ours.notes), (0, BTreeMap::from([("LICENSE", 4), ("README", 1)])));

        let theirs = read(THE_ARTICLES);
        assert_eq!(ids(&theirs), [(0, "1"), (0, "LICENSE-a"), (1, "2"), (1, "LICENSE-b")]);
        let notes = BTreeMap::from([("LICENSE", 2), ("README", 1)]);
        assert_eq!((theirs.licences, theirs.notes), (2, notes), "licences outside categories stay notes");
        let licence = &theirs.corpus.articles[1];
        assert_eq!((licence.title.as_str(), licence.body.as_str()), ("出所を示すこと。", "\n提供元："));
        assert_eq!(
            (&licence.url, licence.published_at),
            (&None, None),
            "its first lines are neither URL nor date"
        );
        assert_eq!(theirs.undated, [], "its date is not expected");
    }

    #[test]
    fn a_licence_without_text_is_bad() {
        let files = [("a/1.txt", "t"), ("b/2.txt", "t"), ("b/LICENSE.txt", " \n")];
        let message = read_with(&files, BadFiles::Error, THE_ARTICLES).unwrap_err();
        assert!(message.contains("b/LICENSE.txt the title, line 1, is empty; correct it"), "{message}");
        assert_eq!(read(&files).unwrap().corpus.articles.len(), 2);
    }

    #[test]
    fn there_must_be_at_least_two_categories() {
        assert!(read(&[]).unwrap_err().contains("no article found; there are no files; expected .txt files"));
        let message = read(&[("text/a/1.txt", "t"), ("text/a/2.txt", "t")]).unwrap_err();
        assert!(message.contains("all 2 articles are of one category, \"a\""), "{message}");
    }

    #[test]
    fn the_number_of_categories_is_limited_to_int16() {
        let corpus = |categories: usize| Corpus {
            categories: (0..categories).map(|at| at.to_string()).collect(),
            articles: vec![],
        };
        let ignored = Ignored { notes: &BTreeMap::new(), others: &[], bad: &[] };
        let check = |corpus: &Corpus| check_categories(corpus, Path::new("corpus.tar.gz"), &ignored);
        assert!(check(&corpus(32_767)).is_ok());
        let message = check(&corpus(32_768)).unwrap_err().to_string();
        assert_eq!(
            message,
            "corpus.tar.gz: 32768 categories; expected at most 32767: the folder of a text is its category"
        );
    }

    #[test]
    fn a_corpus_without_articles_says_what_was_ignored() {
        let names: Vec<String> = (0..20).map(|at| format!("a/{at:02}.md")).collect();
        let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "t")).collect();
        files.push(("a/README.txt", "t"));
        files.push(("stray.txt", "t"));
        let message = read_as(&files, BadFiles::Skip).unwrap_err();
        assert!(
            message.ends_with(
                "no article found; of the files, 20 are no .txt files: a/00.md, a/01.md, a/02.md and 17 more; 1 are notes about \
                 a corpus: README; 1 cannot be read: stray.txt lies in no category folder; expected <category>/<id>.txt; \
                 expected .txt files in category folders, <category>/<id>.txt"
            ),
            "{message}"
        );
    }

    #[test]
    fn of_a_path_that_occurs_twice_the_last_file_counts_and_it_is_said() {
        let files = [("a/1.txt", "old"), ("b/2.txt", "t"), ("./a/1.txt", "new")];
        let reading = read(&files).unwrap();
        assert_eq!(reading.corpus.articles[0].title, "new");
        assert_eq!(reading.replaced, ["a/1.txt"]);
        let spoiled = [files[0], files[1], ("c/3.txt", "t"), ("a/1.txt", " ")];
        let reading = read_as(&spoiled, BadFiles::Skip).unwrap();
        assert_eq!(ids(&reading), [(0, "2"), (1, "3")], "the last one cannot be read");
        assert_eq!((reading.replaced.len(), reading.bad.len()), (1, 1));
    }

    #[test]
    fn links_of_an_archive_have_the_texts_of_their_targets() {
        let mut builder = tar::Builder::new(Vec::new());
        let file = |builder: &mut tar::Builder<Vec<u8>>, path: &str, text: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            builder.append_data(&mut header, path, text.as_bytes()).unwrap();
        };
        let link = |builder: &mut tar::Builder<Vec<u8>>, kind, path: &str, target: &str| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(0);
            builder.append_link(&mut header, path, target).unwrap();
        };
        link(&mut builder, tar::EntryType::Symlink, "b/4.txt", "3.txt");
        file(&mut builder, "a/1.txt", "one");
        link(&mut builder, tar::EntryType::Link, "a/2.txt", "a/1.txt");
        file(&mut builder, "a/1.txt", "later");
        file(&mut builder, "b/3.txt", "three");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("corpus.tar");
        std::fs::write(&path, builder.into_inner().unwrap()).unwrap();
        let options = TextOptions { layout: Layout::TitleFirst, ..livedoor(OURS) };
        let reading = Reading::of(&path, &options).unwrap();
        let titles =
            reading.corpus.articles.iter().map(|article| (article.id.as_str(), article.title.as_str()));
        assert_eq!(
            titles.collect::<Vec<_>>(),
            [("1", "later"), ("2", "one"), ("3", "three"), ("4", "three")],
            "a hard link keeps what it was made of"
        );
    }
}
