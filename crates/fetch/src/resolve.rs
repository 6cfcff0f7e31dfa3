//! From what the configuration names (a path, an address, a hub id) to a path on this machine.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail, ensure};
use midashi_config::{Corpus, Model};
use ureq::http::Uri;

use crate::checkpoint::{self, is_plain_file_name};
use crate::client::{Client, Patience};
use crate::download::{Download, sha256_of};
use crate::hub::{Hub, Snapshot};
use crate::{Error, Result};

/// Said with every failure of the network.
const WITHOUT_NETWORK: &str = "`make demo` needs no download";

/// The word for a model that is trained from nothing.
const SCRATCH: &str = "scratch";

/// Finds sources, and brings them where they are not on this machine.
#[derive(Debug)]
pub struct Resolver {
    client: Client,
    hub: Hub,
    downloads: PathBuf,
}

/// A checkpoint on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// Where its files are.
    pub folder: PathBuf,
    /// The commit of one from the hub.
    pub commit: Option<String>,
}

/// The forms in which a source is given.
#[derive(Clone, Debug, PartialEq)]
enum Source {
    Path(PathBuf),
    Url(String),
    Hub(String),
}

impl Resolver {
    /// Downloads that are not the hub's go to `<cache>/downloads`.
    pub fn new(cache: &Path, hub: Hub, patience: Patience) -> Self {
        let client = Client::new(patience, &hub.endpoint, hub.token.clone());
        Self { client, hub, downloads: cache.join("downloads") }
    }

    /// The corpus's archive or folder.
    ///
    /// # Errors
    /// When nothing is named, a path does not exist, or a download fails.
    pub fn corpus(&self, corpus: &Corpus) -> anyhow::Result<PathBuf> {
        const EXPECTED: &str = "expected the URL of a .tar.gz, the path of one, or a folder with one \
             sub-folder per category";
        ensure!(!corpus.source.is_empty(), "nothing is named; {EXPECTED}");
        match Source::of(&corpus.source)? {
            Source::Url(url) => self.corpus_from(&url, &corpus.sha256),
            Source::Path(_) | Source::Hub(_) => {
                let path = PathBuf::from(&corpus.source);
                ensure!(path.exists(), "{} does not exist; {EXPECTED}", path.display());
                Ok(path)
            }
        }
    }

    /// The checkpoint; none for `"scratch"`.
    ///
    /// # Errors
    /// When nothing is named, a path does not exist or is no checkpoint, or a download fails.
    pub fn checkpoint(&self, model: &Model) -> anyhow::Result<Option<Checkpoint>> {
        const EXPECTED: &str = "expected a hub id (owner/name), a folder with a checkpoint's files, the \
             URL of one, or \"scratch\"";
        if model.checkpoint == SCRATCH {
            return Ok(None);
        }
        ensure!(!model.checkpoint.is_empty(), "nothing is named; {EXPECTED}");
        let (folder, commit) = match self.on_the_hub(Source::of(&model.checkpoint)?) {
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
        };
        checkpoint::check(&folder)?;
        Ok(Some(Checkpoint { folder, commit }))
    }

    fn corpus_from(&self, url: &str, sha256: &str) -> anyhow::Result<PathBuf> {
        let is_digest = sha256.len() == 64 && sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        ensure!(
            sha256.is_empty() || is_digest,
            "corpus.sha256 is {sha256:?}; expected 64 hexadecimal digits, or nothing"
        );
        let expected = is_digest.then_some(sha256);
        let place = place_of(url)?;
        ensure!(place.iter().count() > 1, "{url} names no file; expected the URL of a .tar.gz");
        let path = self.downloads.join(&place);
        if path.exists() {
            if let Some(expected) = expected {
                let found = sha256_of(&path)?;
                ensure!(
                    found.eq_ignore_ascii_case(expected),
                    "{}: SHA-256 is {found}, but corpus.sha256 is {expected}; remove the file to fetch it \
                     again, or correct corpus.sha256",
                    path.display()
                );
            }
            return Ok(path);
        }
        self.download(url, &place, expected)
            .map_err(|error| advise(error, &format!("fetch it by hand and put it at {}", path.display())))
    }

    fn checkpoint_from(&self, url: &str) -> anyhow::Result<PathBuf> {
        let url = url.trim_end_matches('/');
        let place = place_of(url)?;
        let folder = self.downloads.join(&place);
        if !checkpoint::is_complete(&folder) {
            checkpoint::bring(|file| self.download(&format!("{url}/{file}"), &place.join(file), None))
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
            || format!("there is no folder {id} here, so it is taken as a hub id, revision {revision}"),
        )
    }

    fn download(&self, url: &str, place: &Path, sha256: Option<&str>) -> Result<PathBuf> {
        let destination = self.downloads.join(place);
        let mut lock = self.downloads.join(".locks").join(place).into_os_string();
        lock.push(".lock");
        let label = place.file_name().unwrap_or_default().to_string_lossy();
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

    /// The address of a checkpoint's page on the hub means the checkpoint.
    fn on_the_hub(&self, source: Source) -> Source {
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
            Some((scheme, _)) => {
                bail!("{written}: {scheme} addresses are not known; expected http or https, or a path")
            }
            None if is_hub_id(written) && !Path::new(written).exists() => Ok(Self::Hub(written.to_owned())),
            None => Ok(Self::Path(written.into())),
        }
    }
}

fn is_hub_id(written: &str) -> bool {
    matches!(written.split_once('/'), Some((owner, name)) if is_plain_file_name(owner) && is_plain_file_name(name))
}

/// Where a download lies below `downloads`: host, then path, so that the same file name on two
/// servers is two files, and a person can put one there by hand.
fn place_of(url: &str) -> Result<PathBuf> {
    let bad = |reason: &str| Error::BadUrl { url: url.to_owned(), reason: reason.to_owned() };
    let uri: Uri = url.parse().map_err(|error: ureq::http::uri::InvalidUri| bad(&error.to_string()))?;
    let host = uri.host().ok_or_else(|| bad("it has no host"))?;
    let port = uri.port_u16().map(|port| format!("_{port}")).unwrap_or_default();
    let path_and_query = uri.path_and_query().map_or("", |path| path.as_str());
    let mut place = PathBuf::from(format!("{}{port}", file_name(host)));
    place.extend(path_and_query.split('/').filter(|segment| !segment.is_empty()).map(file_name));
    Ok(place)
}

/// A segment of an address as a file name on any system; a leading dot would hide it or lead out.
fn file_name(segment: &str) -> String {
    let name: String = segment
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "._-%".contains(letter) { letter } else { '_' })
        .collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

/// Adds what to do without the network, if that is the trouble.
fn advise(error: Error, by_hand: &str) -> anyhow::Error {
    match error {
        Error::Offline { .. } => anyhow!("{error}, or {by_hand}; {WITHOUT_NETWORK}"),
        _ if error.is_of_the_network() => {
            anyhow!("{error}; run again later to go on from here, or {by_hand}; {WITHOUT_NETWORK}")
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_source_is_known_by_its_form() {
        assert_eq!(Source::of("owner/na.me-1").unwrap(), Source::Hub("owner/na.me-1".into()));
        for path in ["./owner/name", "../name", "/owner/name", "a/b/c", "name", "owner/", "所有/名"] {
            assert_eq!(Source::of(path).unwrap(), Source::Path(path.into()), "{path}");
        }
        assert!(matches!(Source::of("https://host/a").unwrap(), Source::Url(_)));
        assert!(Source::of("ftp://host/a").unwrap_err().to_string().contains("expected http or https"));
        // Tests run in the package's folder.
        assert_eq!(Source::of("src/hub.rs").unwrap(), Source::Path("src/hub.rs".into()));
    }

    #[test]
    fn two_servers_files_of_one_name_are_two_files() {
        let place = |url| place_of(url).unwrap().display().to_string();
        assert_eq!(place("https://a.org/x/corpus.tar.gz"), "a.org/x/corpus.tar.gz");
        assert_eq!(place("http://b.org:8080/corpus.tar.gz"), "b.org_8080/corpus.tar.gz");
        assert_eq!(place("http://a.org/get?file=x"), "a.org/get_file_x");
    }

    #[test]
    fn an_address_cannot_lead_out_of_the_downloads() {
        assert_eq!(place_of("http://a.org/../../etc/x").unwrap(), Path::new("a.org/_../_../etc/x"));
    }
}
