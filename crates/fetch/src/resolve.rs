//! From a source in the configuration (a path, a URL, a hub id) to a path on this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use midashi_config::{BundledEncoder, Corpus, Model, hide_secrets, query_tag, shown};
use midashi_stage::{Sums, sha256_of, sha256_of_bytes};
use ureq::http::Uri;

use crate::bundled;
use crate::checkpoint::{self, is_plain_file_name};
use crate::client::{Client, RetryPolicy};
use crate::dataset::{DatasetAddress, FORM};
use crate::download::{Download, is_sha256};
use crate::error::{Error, Result};
use crate::first_bytes::{Unrecognised, recognise};
use crate::hub::{Hub, Snapshot};
use crate::kept;
use crate::rules::Rules;

/// Part of every message about a network failure.
const WITHOUT_NETWORK: &str = "`make demo` needs no download but packages";

/// The value of `model.checkpoint` for a model that is trained from scratch.
const SCRATCH: &str = "scratch";

/// Finds sources and downloads those that are not on this machine.
#[derive(Debug)]
pub struct Resolver {
    client: Client,
    hub: Hub,
    cache: PathBuf,
    downloads: PathBuf,
}

/// A checkpoint on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// The folder of its files.
    pub folder: PathBuf,
    /// The commit, if it comes from the hub.
    pub commit: Option<String>,
}

/// A corpus on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundCorpus {
    /// The file or folder.
    pub path: PathBuf,
    /// The commit, if it is a dataset of the hub.
    pub commit: Option<String>,
}

/// The forms of a source.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    Path(PathBuf),
    Url(String),
    Hub(String),
    Dataset(DatasetAddress),
}

impl Resolver {
    /// A resolver that stores downloads in `<cache>/downloads`, except those from the hub.
    pub fn new(cache: &Path, hub: Hub, policy: RetryPolicy) -> Self {
        let client = Client::new(policy, &hub.endpoint, hub.token.clone());
        Self { client, hub, cache: cache.to_owned(), downloads: cache.join("downloads") }
    }

    /// The same resolver with other rules for downloads than the default ones.
    pub fn with_rules(self, rules: Rules) -> Self {
        Self { client: self.client.with_rules(rules), ..self }
    }

    /// The file or folder of the corpus.
    ///
    /// # Errors
    /// When no source is named, a path does not exist, or a download fails.
    pub fn corpus(&self, corpus: &Corpus) -> anyhow::Result<FoundCorpus> {
        const EXPECTED: &str = "expected the URL or path of a table (CSV, TSV, JSON Lines, Parquet, Arrow IPC) or of an \
             archive (.tar.gz, .tar.zst, .tar, .zip), a folder with one sub-folder per category or with tables, or \
             hf://datasets/owner/name";
        ensure!(!corpus.source.is_empty(), "nothing is named; {EXPECTED}");
        match self.dataset_of_page(Source::of(corpus.source.with_secrets())?) {
            Source::Url(url) => {
                Ok(FoundCorpus { path: self.corpus_from(&url, &corpus.sha256)?, commit: None })
            }
            Source::Dataset(address) => self.dataset(&address, &corpus.sha256),
            Source::Path(_) | Source::Hub(_) => {
                let path = PathBuf::from(corpus.source.with_secrets());
                ensure!(path.exists(), "{} does not exist; {EXPECTED}", corpus.source);
                Ok(FoundCorpus { path, commit: None })
            }
        }
    }

    /// The checkpoint; none for `"scratch"`.
    ///
    /// # Errors
    /// When no source is named, a path does not exist or is not a checkpoint, or a download fails.
    pub fn checkpoint(&self, model: &Model) -> anyhow::Result<Option<Checkpoint>> {
        const EXPECTED: &str = "expected a hub id (owner/name), a folder with a checkpoint's files, the \
             URL of one, \"bundled:multilingual-e5-small\", or \"scratch\"";
        let written = model.checkpoint.with_secrets();
        if written == SCRATCH {
            return Ok(None);
        }
        if let Some(encoder) = BundledEncoder::of(written).map_err(|message| anyhow!(message))? {
            return Ok(Some(Checkpoint { folder: bundled::checkpoint(&self.cache, encoder)?, commit: None }));
        }
        ensure!(!model.checkpoint.is_empty(), "nothing is named; {EXPECTED}");
        let (folder, commit) = match self.hub_id_of_page(Source::of(written)?) {
            Source::Url(url) => (self.checkpoint_from(&url)?, None),
            Source::Hub(id) => {
                let Snapshot { folder, commit } = self.checkpoint_of(&id, &model.revision)?;
                (folder, Some(commit))
            }
            Source::Path(path) => {
                ensure!(path.exists(), "{} does not exist; {EXPECTED}", model.checkpoint);
                ensure!(path.is_dir(), "{} is a file; {EXPECTED}", model.checkpoint);
                // That of another run has a list of its files' digests.
                Sums::check_folder(&path)?;
                (path, None)
            }
            Source::Dataset(_) => bail!("{} is a dataset; {EXPECTED}", model.checkpoint),
        };
        checkpoint::check(&folder)?;
        Ok(Some(Checkpoint { folder, commit }))
    }

    fn dataset(&self, address: &DatasetAddress, sha256: &str) -> anyhow::Result<FoundCorpus> {
        let DatasetAddress { id, revision, path } = address;
        let expected = expected_sha256(sha256)?;
        let page = self.hub.page(&format!("datasets/{id}"), revision);
        let advice =
            format!("fetch its files by hand from {page} into a folder and set corpus.source to its path");
        let found = self.hub.dataset(&self.client, id, revision, path);
        let Snapshot { folder: path, commit } = found.map_err(|error| advise(error, &advice))?;
        if let Some(expected) = expected {
            ensure!(
                path.is_file(),
                "corpus.sha256 is of one file, but the dataset has several; remove corpus.sha256"
            );
            check_sha256(&path, expected)?;
        }
        Ok(FoundCorpus { path, commit: Some(commit) })
    }

    fn corpus_from(&self, url: &str, sha256: &str) -> anyhow::Result<PathBuf> {
        let expected = expected_sha256(sha256)?;
        let local = local_path(url)?;
        ensure!(
            local.iter().count() > 1,
            "{} names no file; expected the URL of a table or an archive",
            shown(url)
        );
        let path = self.downloads.join(&local);
        if path.exists() {
            match expected {
                Some(expected) => check_sha256(&path, expected)?,
                None => {
                    check_start(&path)?;
                    kept::check(&path, &self.record(&local))?;
                }
            }
            return Ok(path);
        }
        check_is_whole("corpus.source", url)?;
        self.download(url, &local, expected)
            .map_err(|error| advise(error, &format!("fetch it by hand and put it at {}", path.display())))
    }

    fn checkpoint_from(&self, url: &str) -> anyhow::Result<PathBuf> {
        let local = local_path(url)?;
        let folder = self.downloads.join(&local);
        if !(kept::check_folder(&folder, &self.record(&local))? && checkpoint::is_complete(&folder)) {
            check_is_whole("model.checkpoint", url)?;
            checkpoint::fetch(|file| self.download(&file_in(url, file), &local.join(file), None)).map_err(
                |error| {
                    advise(error, &format!("fetch its files by hand and put them into {}", folder.display()))
                },
            )?;
        }
        Ok(folder)
    }

    fn checkpoint_of(&self, id: &str, revision: &str) -> anyhow::Result<Snapshot> {
        ensure!(!revision.is_empty(), "model.revision is empty; expected a branch, tag or commit, like main");
        ensure!(
            revision.split('/').all(is_plain_file_name),
            "model.revision is {revision:?}; expected a branch, tag or commit, like main"
        );
        let advice = format!(
            "fetch its files by hand from {} into a folder and set model.checkpoint to its path",
            self.hub.page(id, revision)
        );
        self.hub.snapshot(&self.client, id, revision).map_err(|error| advise(error, &advice)).with_context(
            || format!("there is no folder {id} here, so it is read as a hub id, revision {revision}"),
        )
    }

    fn download(&self, url: &str, local: &Path, sha256: Option<&str>) -> Result<PathBuf> {
        let destination = self.downloads.join(local);
        let mut lock = self.downloads.join(".locks").join(local).into_os_string();
        lock.push(".lock");
        let label = local.file_name().unwrap_or_default().to_string_lossy();
        let is_there = destination.exists();
        Download {
            url,
            label: &label,
            destination: &destination,
            lock: Path::new(&lock),
            sha256,
            length: None,
        }
        .run(&self.client)?;
        if !is_there {
            kept::remember(&destination, &self.record(local))?;
        }
        Ok(destination)
    }

    /// The file with the digest of the download at `local`, or the folder of those of a folder.
    fn record(&self, local: &Path) -> PathBuf {
        self.downloads.join(".sha256").join(local)
    }

    /// Turns the URL of a dataset's page on the hub into its address.
    fn dataset_of_page(&self, source: Source) -> Source {
        if let Source::Url(url) = &source
            && let Some(id) = url.strip_prefix(&format!("{}/datasets/", self.hub.endpoint))
            && is_hub_id(id)
        {
            let address =
                DatasetAddress { id: id.to_owned(), revision: "main".to_owned(), path: String::new() };
            return Source::Dataset(address);
        }
        source
    }

    /// Turns the URL of a checkpoint's page on the hub into its id.
    fn hub_id_of_page(&self, source: Source) -> Source {
        if let Source::Url(url) = &source
            && let Some(id) = url.strip_prefix(&format!("{}/", self.hub.endpoint))
            && is_hub_id(id)
        {
            return Source::Hub(id.to_owned());
        }
        source
    }
}

impl Source {
    fn of(written: &str) -> anyhow::Result<Self> {
        match written.split_once("://") {
            Some(("http" | "https", _)) => Ok(Self::Url(written.to_owned())),
            Some(("hf", _)) => Ok(Self::Dataset(
                DatasetAddress::parse(written).map_err(|reason| anyhow!(hide_secrets(&reason)))?,
            )),
            Some((scheme, _)) => {
                let written = shown(written);
                bail!("{written}: {scheme} URLs are not supported; expected http or https, {FORM}, or a path")
            }
            None if is_hub_id(written) && !Path::new(written).exists() => Ok(Self::Hub(written.to_owned())),
            None => Ok(Self::Path(written.into())),
        }
    }
}

fn is_hub_id(written: &str) -> bool {
    matches!(written.split_once('/'), Some((owner, name)) if is_plain_file_name(owner) && is_plain_file_name(name))
}

/// The path of a download below `downloads`: host, then path. So the same file name on two servers gives two files, and
/// users can put a file there by hand. No secret of the URL is part of it, and a URL whose secrets are hidden has the same.
fn local_path(url: &str) -> Result<PathBuf> {
    let bad = |reason: &str| Error::BadUrl { url: url.into(), reason: reason.to_owned() };
    let uri: Uri = url.parse().map_err(|error: ureq::http::uri::InvalidUri| bad(&error.to_string()))?;
    let host = uri.host().ok_or_else(|| bad("it has no host"))?;
    let port = uri.port_u16().map(|port| format!("_{port}")).unwrap_or_default();
    let mut local = PathBuf::from(format!("{}{port}", file_name(host)));
    local.extend(uri.path().split('/').filter(|segment| !segment.is_empty()).map(file_name));
    // In front, because the ending says what the file is.
    let tag = query_tag(url);
    if !tag.is_empty() {
        let name = local.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("{tag}-{name}");
        if local.iter().count() > 1 {
            local.set_file_name(name)
        } else {
            local.push(tag)
        };
    }
    Ok(local)
}

/// Digits of a segment's digest.
const DIGITS: usize = 8;

/// A segment of a URL as a file name that is valid on any system. A leading dot would hide the file or leave the folder.
/// Where a letter is replaced, the start of the segment's digest tells it from others that would look the same.
fn file_name(segment: &str) -> String {
    let name: String = segment
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "._-%".contains(letter) { letter } else { '_' })
        .collect();
    if name != segment {
        return format!("{}-{name}", &sha256_of_bytes(segment.as_bytes())[..DIGITS]);
    }
    if name.starts_with('.') { format!("_{name}") } else { name }
}

/// The expected SHA-256 in the configuration, if there is one.
fn expected_sha256(sha256: &str) -> anyhow::Result<Option<&str>> {
    let expected = is_sha256(sha256).then_some(sha256);
    ensure!(
        sha256.is_empty() || expected.is_some(),
        "corpus.sha256 is {sha256:?}; expected 64 hexadecimal digits, or nothing"
    );
    Ok(expected)
}

fn check_sha256(path: &Path, expected: &str) -> anyhow::Result<()> {
    let found = sha256_of(path)?;
    ensure!(
        found.eq_ignore_ascii_case(expected),
        "{}: SHA-256 is {found}, but corpus.sha256 is {expected}; remove the file to fetch it again, or correct \
         corpus.sha256",
        path.display()
    );
    Ok(())
}

/// Checks that an earlier download, or a file that a person put in its place, is what its name says.
fn check_start(path: &Path) -> anyhow::Result<()> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !path.is_file() {
        return Ok(());
    }
    if let Err(Unrecognised { found, expected }) = recognise(path, &name)? {
        bail!("{}: found {found}; expected {expected}; remove the file to fetch it again", path.display());
    }
    Ok(())
}

/// Checks that a URL has all its parts: those of artifacts and reports are without their secrets.
fn check_is_whole(key: &str, url: &str) -> anyhow::Result<()> {
    ensure!(
        !url.contains("***"),
        "{key} is {url}, whose hidden parts (***) are needed to fetch it; set {key} to the whole address"
    );
    Ok(())
}

/// The URL of a file in the folder at `url`, which may have a query.
fn file_in(url: &str, file: &str) -> String {
    let (folder, query) = url.split_once('?').map_or((url, None), |(folder, query)| (folder, Some(query)));
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{}/{file}{query}", folder.trim_end_matches('/'))
}

/// Adds what to do without the network, if it failed.
fn advise(error: Error, by_hand: &str) -> anyhow::Error {
    match error {
        Error::Offline { .. } => anyhow!("{error}, or {by_hand}; {WITHOUT_NETWORK}"),
        _ if error.is_network_failure() => {
            anyhow!("{error}; run again later to resume, or {by_hand}; {WITHOUT_NETWORK}")
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_source_is_recognised_by_its_form() {
        assert_eq!(Source::of("owner/na.me-1").unwrap(), Source::Hub("owner/na.me-1".into()));
        for path in ["./owner/name", "../name", "/owner/name", "a/b/c", "name", "owner/", "所有/名"] {
            assert_eq!(Source::of(path).unwrap(), Source::Path(path.into()), "{path}");
        }
        assert!(matches!(Source::of("https://host/a").unwrap(), Source::Url(_)));
        assert!(Source::of("ftp://host/a").unwrap_err().to_string().contains("expected http or https"));
        assert!(matches!(Source::of("hf://datasets/a/b@v1/c").unwrap(), Source::Dataset(_)));
        assert!(Source::of("hf://a/b").unwrap_err().to_string().contains("only datasets are a corpus"));
        // Tests run in the crate's folder.
        assert_eq!(Source::of("src/hub.rs").unwrap(), Source::Path("src/hub.rs".into()));
    }

    #[test]
    fn the_same_file_name_on_two_servers_gives_two_files() {
        let local = |url| local_path(url).unwrap().display().to_string();
        assert_eq!(local("https://a.org/x/corpus.tar.gz"), "a.org/x/corpus.tar.gz");
        assert_eq!(local("http://b.org:8080/corpus.tar.gz"), "b.org_8080/corpus.tar.gz");
        assert_ne!(local("http://a.org/get?file=x"), local("http://a.org/get?file=y"));
        assert_eq!(local("http://a.org/get?file=x").len(), "a.org/01234567-get".len());
        assert_eq!(local("http://a.org/?file=x").len(), "a.org/01234567".len());
        let (one, other) = (local("http://a.org/データ/記事.csv"), local("http://a.org/データ/本文.csv"));
        assert_ne!(one, other);
        assert!(one.ends_with("-__.csv") && other.ends_with("-__.csv"), "{one}, {other}");
        assert_ne!(local("http://a.org/a+b.csv"), local("http://a.org/a_b.csv"));
    }

    #[test]
    fn no_secret_is_part_of_a_path_and_a_hidden_one_is_not_needed_for_it() {
        let local = |url: &str| local_path(url).unwrap().display().to_string();
        let url = "https://user:hush@a.org/x/corpus.tar.gz?token=hush";
        assert_eq!(local(url), "a.org/x/corpus.tar.gz");
        assert_eq!(local(&shown(url)), local(url));
        let url = "https://a.org/x/corpus.tar.gz?file=a&token=hush";
        assert!(local(url).ends_with("-corpus.tar.gz"), "{}", local(url));
        assert_eq!(local(&shown(url)), local(url));
        assert!(check_is_whole("corpus.source", &shown(url)).is_err());
        assert!(check_is_whole("corpus.source", url).is_ok());
    }

    #[test]
    fn a_file_in_a_folder_keeps_the_folders_query() {
        assert_eq!(file_in("https://h/m/", "config.json"), "https://h/m/config.json");
        assert_eq!(file_in("https://h/m?token=S", "config.json"), "https://h/m/config.json?token=S");
    }

    #[test]
    fn a_url_cannot_leave_the_downloads() {
        assert_eq!(local_path("http://a.org/../../etc/x").unwrap(), Path::new("a.org/_../_../etc/x"));
    }
}
