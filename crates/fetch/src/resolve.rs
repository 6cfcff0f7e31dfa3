//! From a source in the configuration (a path, a URL, a hub id) to a path on this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use midashi_config::{BundledEncoder, Corpus, Model};
use ureq::http::Uri;

use crate::bundled;
use crate::checkpoint::{self, is_plain_file_name};
use crate::client::{Client, RetryPolicy};
use crate::dataset::{DatasetAddress, FORM};
use crate::download::{Download, is_sha256, sha256_of};
use crate::error::{Error, Result};
use crate::hub::{Hub, Snapshot};

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

    /// The file or folder of the corpus.
    ///
    /// # Errors
    /// When no source is named, a path does not exist, or a download fails.
    pub fn corpus(&self, corpus: &Corpus) -> anyhow::Result<FoundCorpus> {
        const EXPECTED: &str = "expected the URL or path of a table (CSV, TSV, JSON Lines, Parquet, Arrow IPC) or of an \
             archive (.tar.gz, .tar.zst, .tar, .zip), a folder with one sub-folder per category or with tables, or \
             hf://datasets/owner/name";
        ensure!(!corpus.source.is_empty(), "nothing is named; {EXPECTED}");
        match self.dataset_of_page(Source::of(&corpus.source)?) {
            Source::Url(url) => {
                Ok(FoundCorpus { path: self.corpus_from(&url, &corpus.sha256)?, commit: None })
            }
            Source::Dataset(address) => self.dataset(&address, &corpus.sha256),
            Source::Path(_) | Source::Hub(_) => {
                let path = PathBuf::from(&corpus.source);
                ensure!(path.exists(), "{} does not exist; {EXPECTED}", path.display());
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
        if model.checkpoint == SCRATCH {
            return Ok(None);
        }
        if let Some(encoder) = BundledEncoder::of(&model.checkpoint).map_err(|message| anyhow!(message))? {
            return Ok(Some(Checkpoint { folder: bundled::checkpoint(&self.cache, encoder)?, commit: None }));
        }
        ensure!(!model.checkpoint.is_empty(), "nothing is named; {EXPECTED}");
        let (folder, commit) = match self.hub_id_of_page(Source::of(&model.checkpoint)?) {
            Source::Url(url) => (self.checkpoint_from(&url)?, None),
            Source::Hub(id) => {
                let Snapshot { folder, commit } = self.checkpoint_of(&id, &model.revision)?;
                (folder, Some(commit))
            }
            Source::Path(path) => {
                ensure!(path.exists(), "{} does not exist; {EXPECTED}", path.display());
                ensure!(path.is_dir(), "{} is a file; {EXPECTED}", path.display());
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
        ensure!(local.iter().count() > 1, "{url} names no file; expected the URL of a table or an archive");
        let path = self.downloads.join(&local);
        if path.exists() {
            if let Some(expected) = expected {
                check_sha256(&path, expected)?;
            }
            return Ok(path);
        }
        self.download(url, &local, expected)
            .map_err(|error| advise(error, &format!("fetch it by hand and put it at {}", path.display())))
    }

    fn checkpoint_from(&self, url: &str) -> anyhow::Result<PathBuf> {
        let url = url.trim_end_matches('/');
        let local = local_path(url)?;
        let folder = self.downloads.join(&local);
        if !checkpoint::is_complete(&folder) {
            checkpoint::fetch(|file| self.download(&format!("{url}/{file}"), &local.join(file), None))
                .map_err(|error| {
                    advise(error, &format!("fetch its files by hand and put them into {}", folder.display()))
                })?;
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
        Download {
            url,
            label: &label,
            destination: &destination,
            lock: Path::new(&lock),
            sha256,
            length: None,
        }
        .run(&self.client)?;
        Ok(destination)
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
            Some(("hf", _)) => {
                Ok(Self::Dataset(DatasetAddress::parse(written).map_err(|reason| anyhow!(reason))?))
            }
            Some((scheme, _)) => {
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
/// users can put a file there by hand.
fn local_path(url: &str) -> Result<PathBuf> {
    let bad = |reason: &str| Error::BadUrl { url: url.to_owned(), reason: reason.to_owned() };
    let uri: Uri = url.parse().map_err(|error: ureq::http::uri::InvalidUri| bad(&error.to_string()))?;
    let host = uri.host().ok_or_else(|| bad("it has no host"))?;
    let port = uri.port_u16().map(|port| format!("_{port}")).unwrap_or_default();
    let path_and_query = uri.path_and_query().map_or("", |path| path.as_str());
    let mut local = PathBuf::from(format!("{}{port}", file_name(host)));
    local.extend(path_and_query.split('/').filter(|segment| !segment.is_empty()).map(file_name));
    Ok(local)
}

/// A segment of a URL as a file name that is valid on any system. A leading dot would hide the file or leave the folder.
fn file_name(segment: &str) -> String {
    let name: String = segment
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "._-%".contains(letter) { letter } else { '_' })
        .collect();
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
        assert_eq!(local("http://a.org/get?file=x"), "a.org/get_file_x");
    }

    #[test]
    fn a_url_cannot_leave_the_downloads() {
        assert_eq!(local_path("http://a.org/../../etc/x").unwrap(), Path::new("a.org/_../_../etc/x"));
    }
}
