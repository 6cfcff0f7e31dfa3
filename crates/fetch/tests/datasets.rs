//! A corpus from a hub: the list of a dataset's files, the cache that is shared with Python, and what is refused.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Answer, Request, Server, nobody, quick_retries};
use midashi_fetch::client::Client;
use midashi_fetch::hub::{Hub, Snapshot};
use midashi_fetch::{Error, Result};
use midashi_stage::sha256_of_bytes;
use serde_json::json;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const ID: &str = "owner/name";

const FILES: [(&str, &str); 5] = [
    (".gitattributes", "*.parquet filter=lfs"),
    ("README.md", "# 見出し"),
    ("code/load.py", "print()"),
    ("data/test-00000-of-00001.csv", "text,label\na,b\n"),
    ("data/学習 train-00000-of-00001.csv", "text,label\nc,d\n"),
];

/// Responds as the hub does, with two entries of the list on a page.
fn start_hub(files: &[(&str, &str)]) -> Server {
    let files: BTreeMap<String, String> =
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    Server::start(move |request: &Request, _| {
        let host = request.header("host").unwrap_or_default().to_owned();
        respond(&files, &host, &request.path).unwrap_or_else(|| Answer::status(404))
    })
}

fn respond(files: &BTreeMap<String, String>, host: &str, path: &str) -> Option<Answer> {
    const PAGE: usize = 2;
    if let Some(revision) = path.strip_prefix(&format!("/api/datasets/{ID}/revision/")) {
        let known = ["main", "refs%2Fconvert%2Fparquet", COMMIT].contains(&revision);
        return known.then(|| Answer::of(json!({"id": ID, "sha": COMMIT}).to_string().as_bytes()));
    }
    if let Some(query) = path.strip_prefix(&format!("/api/datasets/{ID}/tree/{COMMIT}?recursive=true")) {
        let start = query.strip_prefix("&cursor=").map_or(0, |cursor| cursor.parse().unwrap());
        let folder = json!({"type": "directory", "oid": "0", "size": 0, "path": "data"});
        let entry =
            |(path, text): (&String, &String)| json!({"type": "file", "size": text.len(), "path": path});
        let entries: Vec<_> = std::iter::once(folder).chain(files.iter().map(entry)).collect();
        let end = (start + PAGE).min(entries.len());
        let answer = Answer::of(json!(entries[start..end]).to_string().as_bytes());
        let next = format!(
            "<http://{host}/api/datasets/{ID}/tree/{COMMIT}?recursive=true&cursor={end}>; rel=\"next\""
        );
        return Some(if end < entries.len() { answer.header("Link", &next) } else { answer });
    }
    let file = path.strip_prefix(&format!("/datasets/{ID}/resolve/{COMMIT}/"))?;
    let name = files.keys().find(|name| encoded(name) == file)?;
    let text = &files[name];
    let etag = &sha256_of_bytes(text.as_bytes())[..40];
    Some(Answer::of(text.as_bytes()).header("ETag", &format!("\"{etag}\"")).header("X-Repo-Commit", COMMIT))
}

/// A path as a URL has it.
fn encoded(path: &str) -> String {
    let byte = |byte: u8| match byte {
        b'/' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    path.bytes().map(byte).collect()
}

fn hub_at(endpoint: &str, cache: &Path) -> Hub {
    Hub { endpoint: endpoint.to_owned(), cache: cache.to_owned(), token: None, offline: false }
}

fn dataset(hub: &Hub, revision: &str, path: &str) -> Result<PathBuf> {
    let client = Client::new(quick_retries(), &hub.endpoint, hub.token.clone());
    let Snapshot { folder, commit } = hub.dataset(&client, ID, revision, path)?;
    assert_eq!(commit, COMMIT);
    Ok(folder)
}

#[test]
fn tables_are_fetched_into_the_cache_of_python() {
    let server = start_hub(&FILES);
    let folder = tempfile::tempdir().unwrap();
    let found = dataset(&hub_at(&server.url, folder.path()), "main", "").unwrap();

    let repository = folder.path().join("datasets--owner--name");
    assert_eq!(found, repository.join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
    for (name, text) in [FILES[1], FILES[3], FILES[4]] {
        assert_eq!(fs::read_to_string(found.join(name)).unwrap(), text);
        let blob = &sha256_of_bytes(text.as_bytes())[..40];
        assert_eq!(fs::read_to_string(repository.join("blobs").join(blob)).unwrap(), text);
        #[cfg(unix)]
        {
            let up = if name.contains('/') { "../../../blobs" } else { "../../blobs" };
            assert_eq!(fs::read_link(found.join(name)).unwrap(), Path::new(up).join(blob));
        }
    }
    assert!(!found.join("code").exists() && !found.join(".gitattributes").exists(), "no code is fetched");
}

#[test]
fn a_dataset_in_the_cache_needs_no_network() {
    let server = start_hub(&FILES);
    let folder = tempfile::tempdir().unwrap();
    let first = dataset(&hub_at(&server.url, folder.path()), "main", "").unwrap();
    let unreachable = hub_at(&nobody(), folder.path());
    assert_eq!(dataset(&unreachable, "main", "").unwrap(), first);
    assert_eq!(dataset(&unreachable, COMMIT, "").unwrap(), first);
    assert!(matches!(dataset(&unreachable, "main", "data"), Err(Error::Unreachable { .. })), "another part");
    assert!(matches!(dataset(&unreachable, "v2", ""), Err(Error::Unreachable { .. })), "never seen");

    fs::remove_file(first.join("data/test-00000-of-00001.csv")).unwrap();
    assert!(matches!(dataset(&unreachable, "main", ""), Err(Error::Unreachable { .. })), "a file is missing");
    let before = server.count("GET");
    dataset(&hub_at(&server.url, folder.path()), "main", "").unwrap();
    assert!(first.join("data/test-00000-of-00001.csv").is_file(), "completed");
    let requests = server.requests();
    let mut gets = requests.iter().filter(|request| request.method == "GET").skip(before);
    assert!(gets.all(|request| request.path.starts_with("/api/")), "from the blob that was still there");
}

#[test]
#[cfg(unix)]
fn a_table_that_changed_in_the_cache_is_named() {
    let server = start_hub(&FILES);
    let folder = tempfile::tempdir().unwrap();
    let hub = hub_at(&server.url, folder.path());
    let found = dataset(&hub, "main", "").unwrap();
    let table = found.join("data/test-00000-of-00001.csv");
    let (blob, whole) = (table.canonicalize().unwrap(), fs::read(&table).unwrap());
    fs::write(&blob, b"text,label\n").unwrap();
    for hub in [hub.clone(), Hub { offline: true, ..hub.clone() }] {
        let message = dataset(&hub, "main", "").unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}: SHA-256 is", blob.display())), "{message}");
    }
    fs::remove_file(&blob).unwrap();
    assert_eq!(dataset(&hub, "main", "").unwrap(), found);
    assert_eq!(fs::read(&table).unwrap(), whole);
}

#[test]
#[cfg(unix)]
fn a_table_that_another_program_fetched_is_checked_at_its_first_use() {
    let server = start_hub(&FILES);
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("datasets--owner--name");
    // Large files are named by their SHA-256; this one has another content.
    let (name, blob) = (FILES[3].0, repository.join("blobs").join(sha256_of_bytes(FILES[3].1.as_bytes())));
    let link = repository.join("snapshots").join(COMMIT).join(name);
    fs::create_dir_all(blob.parent().unwrap()).unwrap();
    fs::create_dir_all(link.parent().unwrap()).unwrap();
    fs::write(&blob, "text,label\na,c\n").unwrap();
    std::os::unix::fs::symlink(&blob, &link).unwrap();
    let hub = hub_at(&server.url, folder.path());
    let message = dataset(&hub, "main", "").unwrap_err().to_string();
    assert!(message.starts_with(&format!("{}: SHA-256 is", blob.display())), "{message}");
    fs::write(&blob, FILES[3].1).unwrap();
    assert_eq!(fs::read_to_string(dataset(&hub, "main", "").unwrap().join(name)).unwrap(), FILES[3].1);
}

#[test]
fn offline_a_dataset_that_python_fetched_suffices() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = folder.path().join("datasets--owner--name/snapshots").join(COMMIT);
    let hub = Hub { offline: true, ..hub_at(&nobody(), folder.path()) };
    let message = dataset(&hub, COMMIT, "").unwrap_err().to_string();
    assert!(message.contains("owner/name at revision") && message.contains("HF_HUB_OFFLINE"), "{message}");
    fs::create_dir_all(snapshot.join("ja")).unwrap();
    fs::write(snapshot.join("ja/train.csv"), "text,label\n").unwrap();
    assert_eq!(dataset(&hub, COMMIT, "").unwrap(), snapshot.join("ja"));
    assert_eq!(dataset(&hub, COMMIT, "ja/train.csv").unwrap(), snapshot.join("ja/train.csv"));
}

#[test]
fn one_file_or_another_revision_may_be_named() {
    let server = start_hub(&FILES);
    let folder = tempfile::tempdir().unwrap();
    let hub = hub_at(&server.url, folder.path());
    let file = dataset(&hub, "refs/convert/parquet", "data/test-00000-of-00001.csv").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), FILES[3].1);
    assert!(!file.with_file_name("学習 train-00000-of-00001.csv").exists(), "only the named file");
    let reference = folder.path().join("datasets--owner--name/refs/refs/convert/parquet");
    assert_eq!(fs::read_to_string(reference).unwrap(), COMMIT);
    let message = dataset(&hub, "main", "nowhere").unwrap_err().to_string();
    assert!(message.starts_with("owner/name at revision main: there is nothing at \"nowhere\""), "{message}");
}

#[test]
fn a_dataset_that_is_not_there_or_private_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = start_hub(&FILES);
    let message = dataset(&hub_at(&missing.url, folder.path()), "v9", "").unwrap_err().to_string();
    assert!(message.contains("/api/datasets/owner/name/revision/v9 is not there (404)"), "{message}");
    let inner = start_hub(&FILES).url;
    let private = Server::start(move |request, _| match request.header("authorization") {
        Some("Bearer secret") => Answer::status(307).header("Location", &format!("{inner}{}", request.path)),
        _ => Answer::status(401),
    });
    let hub = hub_at(&private.url, folder.path());
    let message = dataset(&hub, "main", "").unwrap_err().to_string();
    assert!(message.contains("refused (401)") && message.contains("HF_TOKEN"), "{message}");
}

#[test]
fn a_list_that_goes_on_at_another_host_is_refused() {
    let server = Server::start(|request, _| {
        if request.path.contains("/revision/") {
            return Answer::of(json!({"sha": COMMIT}).to_string().as_bytes());
        }
        Answer::of(b"[]").header("Link", "<http://elsewhere.example/steal>; rel=\"next\"")
    });
    let folder = tempfile::tempdir().unwrap();
    let hub = Hub { token: Some("secret".into()), ..hub_at(&server.url, folder.path()) };
    let message = dataset(&hub, "main", "").unwrap_err().to_string();
    assert!(message.contains("the list of files goes on at another host"), "{message}");
    let no_hub = Server::start(|_, _| Answer::of(b"<html>"));
    let message = dataset(&hub_at(&no_hub.url, folder.path()), "main", "").unwrap_err().to_string();
    assert!(message.contains("expected a Hugging Face hub"), "{message}");
}
