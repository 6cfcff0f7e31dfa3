//! The Hugging Face hub: its URLs, its environment variables and its cache.
//!
//! The cache has the layout of `huggingface_hub` and is shared with Python:
//!
//! ```text
//! models--owner--name/, datasets--owner--name/
//!   blobs/<etag>                      content, named by its SHA-256 or Git digest
//!   refs/<revision>                   the commit of a branch or tag when it was fetched
//!   snapshots/<commit>/<file>         a link to the blob
//! .locks/models--owner--name/<etag>.lock
//! ```
//!
//! Two kinds of files more than Python's are kept. For a dataset, `.midashi/<commit>/<path>.json` lists the files that were
//! fetched, so that a complete dataset needs no network. `.midashi/sha256/<etag>` is the SHA-256 of a fetched blob that has the
//! name of its Git digest.

use std::fs;
use std::path::{Path, PathBuf};

use midashi_config::shown;
use midashi_stage::{Error as FileError, atomic};
use ureq::Body;
use ureq::http::Response;

use crate::api;
use crate::checkpoint::{self, is_plain_file_name};
use crate::client::{Client, header, status_error};
use crate::dataset::Selection;
use crate::download::{Download, create_parent, is_sha256};
use crate::error::{Error, Result};
use crate::kept;
use crate::redirect::joined;
use crate::repository::{Repository, percent_encoded};

/// The largest number of redirects between the hub's own URLs, such as for a renamed owner and for its file cache.
const MAX_REDIRECTS: usize = 5;

/// A hub and its cache on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Hub {
    /// `HF_ENDPOINT`, without a trailing slash.
    pub endpoint: String,
    /// `HF_HUB_CACHE`, or its former name `HUGGINGFACE_HUB_CACHE`, or `hub` in `HF_HOME`.
    pub cache: PathBuf,
    /// `HF_TOKEN`, or the file `token` in `HF_HOME`.
    pub token: Option<String>,
    /// `HF_HUB_OFFLINE`, or `TRANSFORMERS_OFFLINE` without it.
    pub offline: bool,
}

/// One version of a checkpoint or a dataset in the cache.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The folder of its files; of a dataset, the part that was asked for.
    pub folder: PathBuf,
    /// The commit of the revision.
    pub commit: String,
}

/// The hub's metadata of a file.
struct Metadata {
    /// The file's URL, after redirects between the hub's own URLs.
    url: String,
    commit: String,
    etag: String,
    length: Option<u64>,
}

impl Hub {
    /// Reads the environment variables of `huggingface_hub`, with its defaults. `variable` looks up a variable.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        // As in Python, `~` and `$NAME` may stand in paths.
        let folder = |name: &str| variable(name).map(|path| expanded(&path, variable));
        let home = folder("HF_HOME").unwrap_or_else(|| {
            let user = folder("HOME").or_else(|| folder("USERPROFILE")).unwrap_or_default();
            folder("XDG_CACHE_HOME").unwrap_or_else(|| user.join(".cache")).join("huggingface")
        });
        let token_file = folder("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        let token = variable("HF_TOKEN")
            .or_else(|| variable("HUGGING_FACE_HUB_TOKEN"))
            .or_else(|| fs::read_to_string(token_file).ok());
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let offline = variable("HF_HUB_OFFLINE").or_else(|| variable("TRANSFORMERS_OFFLINE"));
        let offline = offline.unwrap_or_default().to_uppercase();
        let cache = folder("HF_HUB_CACHE").or_else(|| folder("HUGGINGFACE_HUB_CACHE"));
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache: cache.unwrap_or_else(|| home.join("hub")),
            token: token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
            offline: ["1", "ON", "YES", "TRUE"].contains(&offline.as_str()),
        }
    }

    /// The checkpoint `id` at `revision`, fetched unless the cache holds it completely.
    ///
    /// # Errors
    /// When it is not in the cache and cannot be fetched.
    pub fn snapshot(&self, client: &Client, id: &str, revision: &str) -> Result<Snapshot> {
        let model = Repository::model(id);
        let repository = self.folder_of(&model);
        let cached = cached_snapshot(&repository, revision);
        let is_whole = match &cached {
            Some(Snapshot { folder, .. }) => {
                kept::check_snapshot(&repository, folder, checkpoint::files(folder)?)?
                    && checkpoint::is_complete(folder)
            }
            None => false,
        };
        match cached {
            Some(snapshot) if is_whole => return Ok(snapshot),
            // Offline, a snapshot from which the model can be loaded has to suffice.
            Some(snapshot) if self.offline && checkpoint::check(&snapshot.folder).is_ok() => {
                return Ok(snapshot);
            }
            _ if self.offline => {
                let (id, revision) = (id.to_owned(), revision.to_owned());
                return Err(Error::Offline { id, revision, cache: self.cache.clone() });
            }
            _ => {}
        }
        // The first file's metadata hold the commit. The other files are requested at that commit, so that a push in between
        // cannot mix two versions.
        let mut commit = revision.to_owned();
        checkpoint::fetch(|file| {
            let metadata = client.with_retries(|| self.metadata(client, &model, &commit, file))?;
            commit.clone_from(&metadata.commit);
            self.file(client, &model, file, &metadata)
        })?;
        remember_revision(&repository, revision, &commit)?;
        Ok(Snapshot { folder: repository.join("snapshots").join(&commit), commit })
    }

    /// The part `path` (a file, a folder, or empty) of the dataset `id` at `revision`, fetched unless the cache holds it
    /// completely. Only tables, archives and their descriptions are fetched.
    ///
    /// # Errors
    /// When it is not in the cache and cannot be fetched, or when no table is there.
    pub fn dataset(&self, client: &Client, id: &str, revision: &str, path: &str) -> Result<Snapshot> {
        let dataset = Repository::dataset(id);
        let repository = self.folder_of(&dataset);
        let name = || format!("{id} at revision {revision}");
        if let Some(Snapshot { folder, commit }) = cached_snapshot(&repository, revision) {
            if let Some(selection) = remembered_selection(&repository, &commit, path)
                && kept::check_snapshot(&repository, &folder, &selection.files)?
                && selection.files.iter().all(|file| folder.join(file).is_file())
            {
                return Ok(Snapshot { folder: folder.join(selection.base), commit });
            }
            // Offline, what another program fetched has to suffice.
            if self.offline {
                let selection = Selection::of(&files_below(&folder)?, path, &name())?;
                kept::check_snapshot(&repository, &folder, &selection.files)?;
                return Ok(Snapshot { folder: folder.join(selection.base), commit });
            }
        }
        if self.offline {
            let (id, revision) = (id.to_owned(), revision.to_owned());
            return Err(Error::Offline { id, revision, cache: self.cache.clone() });
        }
        // The list and all files are requested at one commit, so that a push in between cannot mix two versions.
        let commit = api::commit(client, &self.endpoint, id, revision)?;
        let selection = Selection::of(&api::files(client, &self.endpoint, id, &commit)?, path, &name())?;
        for file in &selection.files {
            let metadata = client.with_retries(|| self.metadata(client, &dataset, &commit, file))?;
            self.file(client, &dataset, file, &metadata)?;
        }
        remember_revision(&repository, revision, &commit)?;
        let memory = selection_memory(&repository, &commit, path);
        create_parent(&memory)?;
        let text = serde_json::to_vec(&selection).map_err(FileError::encode(&memory))?;
        atomic::write_bytes(&memory, &text)?;
        Ok(Snapshot { folder: repository.join("snapshots").join(&commit).join(selection.base), commit })
    }

    /// The URL of the page of a repository, such as `owner/name` or `datasets/owner/name`, for messages.
    pub fn page(&self, repository: &str, revision: &str) -> String {
        format!("{}/{repository}/tree/{}", shown(&self.endpoint), percent_encoded(revision))
    }

    fn folder_of(&self, repository: &Repository) -> PathBuf {
        self.cache.join(repository.folder_name())
    }

    fn url(&self, repository: &Repository, revision: &str, file: &str) -> String {
        let file: Vec<String> = file.split('/').map(percent_encoded).collect();
        let revision = percent_encoded(revision);
        format!("{}/{}/resolve/{revision}/{}", self.endpoint, repository.url_path(), file.join("/"))
    }

    /// Requests a file's metadata. For a large file, the hub's response is a redirect to its storage, and the redirect's
    /// headers hold commit, SHA-256 and length.
    fn metadata(
        &self,
        client: &Client,
        repository: &Repository,
        revision: &str,
        file: &str,
    ) -> Result<Metadata> {
        let mut url = self.url(repository, revision, file);
        for _ in 0..=MAX_REDIRECTS {
            let response = client.head(&url)?;
            if let Some(error) = status_error(&url, response.status().as_u16()) {
                return Err(error);
            }
            match header(&response, "location") {
                Some(target) if header(&response, "x-linked-etag").is_none() => url = joined(&url, target),
                _ => return Metadata::read(&url, &response),
            }
        }
        Err(Error::BadUrl { url: (&url).into(), reason: "too many redirects".to_owned() })
    }

    fn file(
        &self,
        client: &Client,
        repository: &Repository,
        file: &str,
        metadata: &Metadata,
    ) -> Result<PathBuf> {
        let folder = self.folder_of(repository);
        let snapshot = folder.join("snapshots").join(&metadata.commit);
        let path = snapshot.join(file);
        if path.is_file() {
            kept::check_snapshot(&folder, &snapshot, [file])?;
            return Ok(path);
        }
        let etag = &metadata.etag;
        let blob = folder.join("blobs").join(etag);
        let lock = self.cache.join(".locks").join(repository.folder_name()).join(format!("{etag}.lock"));
        let is_there = blob.exists();
        if is_there {
            kept::check_blob(&folder, &blob)?;
        }
        Download {
            url: &metadata.url,
            label: file,
            destination: &blob,
            lock: &lock,
            // The ETag of a small file is Git's SHA-1, which is not checked. Its own SHA-256 is recorded instead.
            sha256: is_sha256(etag).then_some(etag.as_str()),
            length: metadata.length,
        }
        .run(client)?;
        if !is_there && !is_sha256(etag) {
            kept::remember(&blob, &kept::record_of(&folder, etag))?;
        }
        let up = "../".repeat(2 + file.matches('/').count());
        link(&blob, Path::new(&format!("{up}blobs/{etag}")), &path, symlink)?;
        Ok(path)
    }
}

impl Metadata {
    fn read(url: &str, response: &Response<Body>) -> Result<Self> {
        // Commit and ETag become file names.
        let name = |header_name: &'static str, value: Option<&str>| match value {
            Some(value) if is_plain_file_name(value) => Ok(value.to_owned()),
            _ => Err(Error::NotAHub { url: url.into(), header: header_name }),
        };
        let etag = header(response, "x-linked-etag").or_else(|| header(response, "etag"));
        let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
        // The Content-Length of a redirect is its own.
        let own_length = || header(response, "content-length").filter(|_| response.status().as_u16() == 200);
        Ok(Self {
            url: url.to_owned(),
            commit: name("X-Repo-Commit", header(response, "x-repo-commit"))?,
            etag: name("ETag", etag)?,
            length: header(response, "x-linked-size").or_else(own_length).and_then(|size| size.parse().ok()),
        })
    }
}

/// A path of the environment as Python's `os.path.expanduser` and `os.path.expandvars` read it: `~` is the user's folder, `$NAME`
/// and `${NAME}` are variables. Unknown ones stay as they are.
fn expanded(path: &str, variable: impl Fn(&str) -> Option<String>) -> PathBuf {
    let user = || variable("HOME").or_else(|| variable("USERPROFILE"));
    let of_user = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let path = match of_user.zip(user()) {
        Some((rest, user)) => format!("{}{rest}", user.trim_end_matches('/')),
        None => path.to_owned(),
    };
    let (mut whole, mut rest) = (String::new(), path.as_str());
    while let Some((before, after)) = rest.split_once('$') {
        whole.push_str(before);
        let is_name = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let length = after.find(|character| !is_name(character)).unwrap_or(after.len());
        let braced = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        let (name, after_name) = braced.or_else(|| after.split_at_checked(length)).unwrap_or_default();
        match variable(name).filter(|_| !name.is_empty()) {
            Some(value) => {
                whole.push_str(&value);
                rest = after_name;
            }
            None => {
                whole.push('$');
                rest = after;
            }
        }
    }
    whole.push_str(rest);
    whole.into()
}

/// The cached snapshot of `revision`: a commit, or a branch or tag that was fetched before.
fn cached_snapshot(repository: &Path, revision: &str) -> Option<Snapshot> {
    let commit = fs::read_to_string(repository.join("refs").join(revision));
    let commit = commit.unwrap_or_else(|_| revision.to_owned()).trim().to_owned();
    let folder = repository.join("snapshots").join(&commit);
    folder.is_dir().then_some(Snapshot { folder, commit })
}

/// Remembers the commit of a branch or tag.
fn remember_revision(repository: &Path, revision: &str, commit: &str) -> Result<()> {
    if commit != revision {
        let reference = repository.join("refs").join(revision);
        atomic::write_bytes(&reference, commit.as_bytes())?;
    }
    Ok(())
}

fn remembered_selection(repository: &Path, commit: &str, path: &str) -> Option<Selection> {
    let text = fs::read(selection_memory(repository, commit, path)).ok()?;
    serde_json::from_slice(&text).ok()
}

fn selection_memory(repository: &Path, commit: &str, path: &str) -> PathBuf {
    let name = if path.is_empty() { "all".to_owned() } else { percent_encoded(path) };
    repository.join(".midashi").join(commit).join(format!("{name}.json"))
}

/// The paths of all files below a folder, relative to it.
fn files_below(folder: &Path) -> Result<Vec<String>> {
    let mut files = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(inside) = folders.pop() {
        let path = folder.join(&inside);
        let entries = fs::read_dir(&path).map_err(FileError::io("list", &path))?;
        for entry in entries {
            let entry = entry.map_err(FileError::io("list", &path))?;
            let name = format!("{inside}{}", entry.file_name().to_string_lossy());
            if entry.file_type().map_err(FileError::io("list", &path))?.is_dir() {
                folders.push(name + "/");
            } else {
                files.push(name);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Links a blob into its snapshot: by a relative symbolic link, so that the cache can be moved, or else by a hard link, or
/// else by a copy.
fn link(
    blob: &Path,
    relative: &Path,
    path: &Path,
    symlink: impl Fn(&Path, &Path) -> std::io::Result<()>,
) -> Result<()> {
    create_parent(path)?;
    let linked = symlink(relative, path).or_else(|_| fs::hard_link(blob, path));
    if linked.is_err() && !path.is_file() {
        fs::copy(blob, path).map_err(FileError::io("write", path))?;
    }
    Ok(())
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &Path, path: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn hub(variables: &[(&str, &str)]) -> Hub {
        Hub::from_environment(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_cache_is_the_one_of_python() {
        let cache = |variables: &[(&str, &str)]| hub(variables).cache;
        assert_eq!(cache(&[("HOME", "/u")]), Path::new("/u/.cache/huggingface/hub"));
        assert_eq!(cache(&[("HOME", "/u"), ("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        assert_eq!(cache(&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Path::new("/h/hub"));
        assert_eq!(cache(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/h")]), Path::new("/c"));
    }

    /// The expected paths are those of `huggingface_hub.constants` under these variables.
    #[test]
    fn paths_of_the_environment_are_expanded_as_in_python() {
        let cache = |variables: &[(&str, &str)]| hub(variables).cache;
        for (value, expected) in [
            ("~/hf", "/u/hf/hub"),
            ("~", "/u/hub"),
            ("$HOME/hf", "/u/hf/hub"),
            ("${HOME}/hf", "/u/hf/hub"),
            ("/a/$USER-${USER}/$NONE/${NONE}/$", "/a/me-me/$NONE/${NONE}/$/hub"),
            ("~other/hf", "~other/hf/hub"),
        ] {
            let found = cache(&[("HOME", "/u"), ("USER", "me"), ("HF_HOME", value)]);
            assert_eq!(found, Path::new(expected), "{value}");
        }
        assert_eq!(cache(&[("HOME", "/u"), ("HUGGINGFACE_HUB_CACHE", "~/old")]), Path::new("/u/old"));
        let both = [("HF_HUB_CACHE", "/new"), ("HUGGINGFACE_HUB_CACHE", "/old")];
        assert_eq!(cache(&both), Path::new("/new"));
    }

    #[test]
    fn the_token_comes_from_the_variable_or_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        assert_eq!(hub(&[("HF_HOME", home)]).token, None);
        fs::write(folder.path().join("token"), "from-file\n").unwrap();
        assert_eq!(hub(&[("HF_HOME", home)]).token.unwrap(), "from-file");
        assert_eq!(hub(&[("HF_HOME", home), ("HF_TOKEN", "own")]).token.unwrap(), "own");
        assert_eq!(hub(&[("HF_HOME", home), ("HUGGING_FACE_HUB_TOKEN", "old")]).token.unwrap(), "old");
    }

    #[test]
    fn offline_mode_accepts_the_values_of_python() {
        for (value, expected) in [("1", true), ("yes", true), ("True", true), ("0", false), ("", false)] {
            assert_eq!(hub(&[("HF_HUB_OFFLINE", value)]).offline, expected, "{value:?}");
            assert_eq!(hub(&[("TRANSFORMERS_OFFLINE", value)]).offline, expected, "{value:?}");
        }
        assert!(
            !hub(&[("HF_HUB_OFFLINE", "0"), ("TRANSFORMERS_OFFLINE", "1")]).offline,
            "the newer name wins"
        );
    }

    #[test]
    fn without_symbolic_links_the_snapshot_holds_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let blob = folder.path().join("blobs/abc");
        let path = folder.path().join("snapshots/commit/config.json");
        create_parent(&blob).unwrap();
        fs::write(&blob, "{}").unwrap();
        let none = |_: &Path, _: &Path| Err(std::io::ErrorKind::Unsupported.into());
        link(&blob, Path::new("../../blobs/abc"), &path, none).unwrap();
        assert!(!path.is_symlink());
        assert_eq!(fs::read_to_string(path).unwrap(), "{}");
    }
}
