//! The files of a folder. Symbolic links are followed as long as they stay in it.

use std::collections::BTreeMap;
use std::fs::{self, File, FileType};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::texts::admission::Admission;
use crate::texts::corpus_file::{CorpusFile, NAME_NOT_UTF8, Visit, classify, is_of_program, read_at_most};

/// The paths of links to folders in the corpus, each with the folder below the corpus that it leads to.
pub type FolderLinks = BTreeMap<String, String>;

/// A walk through a folder.
struct Walk<'w, 'l, 'v> {
    /// The corpus, without links in its path.
    root: PathBuf,
    /// The folders around the one that is visited, without links in their paths.
    above: Vec<PathBuf>,
    links: FolderLinks,
    admission: &'w mut Admission<'l>,
    visit: &'w mut Visit<'v>,
}

/// Calls `visit` with every file of the folder `source`, sorted by name. Returns the links to folders that were followed.
///
/// # Errors
/// When the folder cannot be read, the corpus is larger than its bounds, or `visit` fails.
pub fn visit_folder(
    source: &Path,
    admission: &mut Admission<'_>,
    visit: &mut Visit<'_>,
) -> Result<FolderLinks> {
    let root = fs::canonicalize(source).with_context(|| format!("cannot read {}", source.display()))?;
    let mut walk =
        Walk { root: root.clone(), above: Vec::new(), links: FolderLinks::new(), admission, visit };
    let entries = entries(&root).with_context(|| format!("cannot list {}", source.display()))?;
    walk.folder(&root, "", entries)?;
    Ok(walk.links)
}

impl Walk<'_, '_, '_> {
    /// Visits the entries of `folder`, whose path has no links. `inside` is its path in the corpus: empty, or with a trailing
    /// `/`.
    fn folder(&mut self, folder: &Path, inside: &str, entries: Vec<fs::DirEntry>) -> Result<()> {
        self.above.push(folder.to_owned());
        for entry in entries {
            self.entry(&entry, inside)?;
        }
        self.above.pop();
        Ok(())
    }

    fn entry(&mut self, entry: &fs::DirEntry, inside: &str) -> Result<()> {
        let (path, name) = (entry.path(), entry.file_name());
        let inner = format!("{inside}{}", name.to_string_lossy());
        if name.to_str().is_none() {
            return self.bad(inner, NAME_NOT_UTF8);
        }
        let kind = entry.file_type().with_context(|| format!("cannot read {}", path.display()))?;
        if kind.is_symlink() {
            return self.link(&path, inner);
        }
        if kind.is_dir() {
            return self.inner_folder(&path, inner);
        }
        self.file(&path, inner, kind)
    }

    /// Visits a folder in the corpus. It is counted, because links can give a few folders any number of paths.
    fn inner_folder(&mut self, path: &Path, inner: String) -> Result<()> {
        self.admission.file()?;
        let name = inner.rsplit('/').next().unwrap_or(&inner);
        if is_of_program(name) {
            return (self.visit)(CorpusFile::Other(inner));
        }
        let most = self.admission.limits().depth;
        if self.above.len() as u64 > most {
            let reason = format!("lies deeper than {most} folders (corpus.limits.depth)");
            return self.bad(inner, &reason);
        }
        match entries(path) {
            Ok(entries) => self.folder(path, &(inner + "/"), entries),
            Err(error) => self.unreadable(path, inner, error),
        }
    }

    fn file(&mut self, path: &Path, inner: String, kind: FileType) -> Result<()> {
        if !kind.is_file() {
            return self.bad(inner, &format!("is {}, not a plain file", kind_name(kind)));
        }
        self.admission.file()?;
        let size = match fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) => return self.unreadable(path, inner, error),
        };
        let most = self.admission.limits().text_bytes;
        let mut refused = None;
        let found = classify(inner.clone(), size, self.admission, || {
            match File::open(path).and_then(|file| read_at_most(file, most)) {
                Err(error) if is_of_file(&error) => {
                    refused = Some(error);
                    Ok(Vec::new())
                }
                read => read.with_context(|| format!("cannot read {}", path.display())),
            }
        })?;
        match refused {
            Some(error) => self.unreadable(path, inner, error),
            None => (self.visit)(found),
        }
    }

    /// Follows a link that stays in the corpus and does not lead back.
    fn link(&mut self, path: &Path, inner: String) -> Result<()> {
        let shown =
            fs::read_link(path).map_or_else(|_| "nothing".into(), |target| target.display().to_string());
        let target = match fs::canonicalize(path) {
            Ok(target) => target,
            Err(error) => {
                return self
                    .bad(inner, &format!("is a symbolic link to {shown}, which leads nowhere ({error})"));
            }
        };
        let Ok(below) = target.strip_prefix(&self.root) else {
            let reason = format!(
                "is a symbolic link to {shown}, which is outside the corpus; put the files there instead of the link, or \
                 set corpus.source to a folder that holds both"
            );
            return self.bad(inner, &reason);
        };
        let kind =
            fs::metadata(&target).with_context(|| format!("cannot read {}", path.display()))?.file_type();
        if !kind.is_dir() {
            return self.file(&target, inner, kind);
        }
        if self.above.contains(&target) {
            return self.bad(inner, &format!("is a symbolic link to {shown}, a folder that holds the link"));
        }
        self.links.insert(inner.clone(), below.to_string_lossy().into_owned());
        self.inner_folder(&target, inner)
    }

    fn bad(&mut self, path: String, reason: &str) -> Result<()> {
        self.admission.file()?;
        (self.visit)(CorpusFile::Bad { path, reason: reason.to_owned() })
    }

    /// A file or folder that cannot be read is a bad file, unless the cause lies elsewhere.
    fn unreadable(&mut self, path: &Path, inner: String, error: io::Error) -> Result<()> {
        if !is_of_file(&error) {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
        self.bad(inner, &format!("cannot be read ({error})"))
    }
}

/// The entries of a folder, sorted by name.
fn entries(folder: &Path) -> io::Result<Vec<fs::DirEntry>> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    Ok(entries)
}

/// Whether one file cannot be read although others can: it is forbidden, or it vanished.
fn is_of_file(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound)
}

#[cfg(unix)]
fn kind_name(kind: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;

    match kind {
        kind if kind.is_fifo() => "a FIFO",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }
}

#[cfg(not(unix))]
fn kind_name(_: FileType) -> &'static str {
    "a device"
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

    use std::os::unix::fs::symlink;

    use midashi_config::CorpusLimits;

    use super::*;

    /// The files of a folder as `path: text` or `path reason`.
    fn files(folder: &Path, limits: &CorpusLimits) -> (Vec<String>, FolderLinks) {
        let mut files = Vec::new();
        let mut admission = Admission::new(limits, false);
        let links = visit_folder(folder, &mut admission, &mut |file| {
            files.push(match file {
                CorpusFile::Text { path, bytes } => format!("{path}: {}", String::from_utf8(bytes).unwrap()),
                CorpusFile::Bad { path, reason } => format!("{path} {reason}"),
                other => format!("{other:?}"),
            });
            Ok(())
        })
        .unwrap();
        (files, links)
    }

    #[test]
    fn links_are_followed_inside_the_corpus_and_refused_outside() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("1.txt"), "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["store/a", "text/b"] {
            fs::create_dir_all(path(name)).unwrap();
        }
        fs::write(path("store/a/1.txt"), "one").unwrap();
        fs::write(path("text/b/2.txt"), "two").unwrap();
        symlink("../store/a", path("text/a")).unwrap();
        symlink("2.txt", path("text/b/3.txt")).unwrap();
        symlink("../b", path("text/b/back")).unwrap();
        symlink("nothing", path("text/b/no.txt")).unwrap();
        symlink("round.txt", path("text/b/round.txt")).unwrap();
        symlink(outside.path(), path("text/c")).unwrap();
        symlink(outside.path().join("1.txt"), path("text/b/out.txt")).unwrap();
        let (files, links) = files(folder.path(), &CorpusLimits::default());
        let of =
            |start: &str| files.iter().filter(|file| file.starts_with(start)).cloned().collect::<Vec<_>>();
        assert_eq!(of("store"), ["store/a/1.txt: one"]);
        assert_eq!(of("text/a"), ["text/a/1.txt: one"]);
        assert_eq!(of("text/b/3"), ["text/b/3.txt: two"]);
        assert_eq!(
            of("text/b/back"),
            ["text/b/back is a symbolic link to ../b, a folder that holds the link"]
        );
        assert!(of("text/b/no")[0].contains("to nothing, which leads nowhere"));
        assert!(of("text/b/round")[0].contains("to round.txt, which leads nowhere"));
        for refused in [of("text/c"), of("text/b/out")] {
            assert!(refused.len() == 1 && refused[0].contains("which is outside the corpus"), "{refused:?}");
        }
        assert_eq!(links, FolderLinks::from([("text/a".into(), "store/a".into())]));
    }

    #[test]
    fn links_that_multiply_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        const FOLDERS: usize = 12;
        for at in 0..FOLDERS {
            let inner = folder.path().join(format!("d{at}"));
            fs::create_dir(&inner).unwrap();
            if at + 1 < FOLDERS {
                symlink(format!("../d{}", at + 1), inner.join("a")).unwrap();
                symlink(format!("../d{}", at + 1), inner.join("b")).unwrap();
            }
        }
        // From the last folder to the first: 1, 1 + 2, 1 + 2 + 4, … paths.
        let paths: u64 = (1..=FOLDERS).map(|number| (1 << number) - 1).sum();
        let visit = |files| {
            let limits = CorpusLimits { files, ..CorpusLimits::default() };
            visit_folder(folder.path(), &mut Admission::new(&limits, false), &mut |_| Ok(()))
        };
        assert_eq!(visit(paths).unwrap().len() as u64, paths - FOLDERS as u64);
        let message = visit(paths - 1).unwrap_err().to_string();
        assert!(message.contains(&format!("more than {} files and folders", paths - 1)), "{message}");
        assert!(message.ends_with("raise corpus.limits.files"), "{message}");
    }

    #[test]
    fn folders_have_a_depth_and_other_kinds_of_files_are_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("a/b/c")).unwrap();
        fs::write(folder.path().join("a/b/c/1.txt"), "deep").unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("s.txt")).unwrap();
        let limits = CorpusLimits { depth: 2, ..CorpusLimits::default() };
        let (files, _) = files(folder.path(), &limits);
        assert_eq!(
            files,
            ["a/b/c lies deeper than 2 folders (corpus.limits.depth)", "s.txt is a socket, not a plain file"]
        );
    }
}
