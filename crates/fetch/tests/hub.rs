//! A checkpoint from a hub, in the cache that is shared with Python.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use common::{Answer, Request, Server, nobody, quick_retries};
use midashi_fetch::client::Client;
use midashi_fetch::hub::{Hub, Snapshot};
use midashi_fetch::{Error, Result};
use midashi_stage::sha256_of_bytes;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const ID: &str = "owner/name";

/// Responds as the hub does: small files directly, with Git's digest as ETag; weights through a redirect to storage, with
/// SHA-256 and length in the `X-Linked-` headers.
fn start_hub(files: &[(&str, &str)], storage: &Server) -> Server {
    let files: HashMap<String, String> =
        files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
    let storage = storage.url.clone();
    Server::start(move |request: &Request, _| {
        let Some((revision, file)) =
            request.path.strip_prefix("/owner/name/resolve/").and_then(|path| path.split_once('/'))
        else {
            return Answer::status(404);
        };
        let known = ["main", "v%2F1", COMMIT].contains(&revision);
        let Some(text) = files.get(file).filter(|_| known) else {
            return Answer::status(404).header("X-Repo-Commit", COMMIT);
        };
        let answer = if is_weights(file) {
            Answer::status(302)
                .header("Location", &format!("{storage}/{file}"))
                .header("X-Linked-ETag", &format!("\"{}\"", sha256_of_bytes(text.as_bytes())))
                .header("X-Linked-Size", &text.len().to_string())
        } else {
            Answer::of(text.as_bytes()).header("ETag", &format!("W/\"{}\"", git_digest(text)))
        };
        answer.header("X-Repo-Commit", COMMIT)
    })
}

fn is_weights(file: &str) -> bool {
    file.ends_with(".safetensors") || file.ends_with(".bin")
}

/// Forty digits in place of Git's digest, which is not verified.
fn git_digest(text: &str) -> String {
    sha256_of_bytes(text.as_bytes())[..40].to_owned()
}

fn hub_at(endpoint: &str, cache: &Path) -> Hub {
    Hub { endpoint: endpoint.to_owned(), cache: cache.to_owned(), token: None, offline: false }
}

fn snapshot(hub: &Hub, revision: &str) -> Result<std::path::PathBuf> {
    let client = Client::new(quick_retries(), &hub.endpoint, hub.token.clone());
    let Snapshot { folder, commit } = hub.snapshot(&client, ID, revision)?;
    assert_eq!(commit, COMMIT);
    Ok(folder)
}

const SMALL: [(&str, &str); 4] = [
    ("config.json", "{}"),
    ("model.safetensors", "weights"),
    ("tokenizer_config.json", "{\"a\":1}"),
    ("vocab.txt", "[PAD]\n"),
];

fn storage_of(files: &[(&str, &str)]) -> Server {
    let paths: Vec<(String, &[u8])> =
        files.iter().map(|(name, text)| (format!("/{name}"), text.as_bytes())).collect();
    Server::of_files(&paths.iter().map(|(path, body)| (path.as_str(), *body)).collect::<Vec<_>>())
}

#[test]
fn the_cache_has_the_layout_of_python() {
    let storage = storage_of(&SMALL);
    let server = start_hub(&SMALL, &storage);
    let folder = tempfile::tempdir().unwrap();
    let found = snapshot(&hub_at(&server.url, folder.path()), "main").unwrap();

    let repository = folder.path().join("models--owner--name");
    assert_eq!(found, repository.join("snapshots").join(COMMIT));
    assert_eq!(fs::read_to_string(repository.join("refs/main")).unwrap(), COMMIT);
    for (name, text) in SMALL {
        let blob = if is_weights(name) { sha256_of_bytes(text.as_bytes()) } else { git_digest(text) };
        assert_eq!(fs::read_to_string(found.join(name)).unwrap(), text);
        assert_eq!(fs::read_to_string(repository.join("blobs").join(&blob)).unwrap(), text);
        #[cfg(unix)]
        assert_eq!(fs::read_link(found.join(name)).unwrap(), Path::new("../../blobs").join(blob));
    }
    assert_eq!(fs::read_dir(&found).unwrap().count(), SMALL.len(), "files that are not there leave nothing");
    assert_eq!(fs::read_dir(repository.join("blobs")).unwrap().count(), SMALL.len());
    let later: Vec<_> = server.requests()[2..].iter().map(|request| request.path.clone()).collect();
    assert!(later.iter().all(|path| path.contains(COMMIT)), "one commit for all files: {later:?}");
}

#[test]
fn a_snapshot_in_the_cache_needs_no_network() {
    let storage = storage_of(&SMALL);
    let server = start_hub(&SMALL, &storage);
    let folder = tempfile::tempdir().unwrap();
    let first = snapshot(&hub_at(&server.url, folder.path()), "v/1").unwrap();
    let unreachable = hub_at(&nobody(), folder.path());
    assert_eq!(snapshot(&unreachable, "v/1").unwrap(), first, "by its branch");
    assert_eq!(snapshot(&unreachable, COMMIT).unwrap(), first, "by its commit");
    assert!(matches!(snapshot(&unreachable, "main"), Err(Error::Unreachable { .. })), "never seen");
    let offline = Hub { offline: true, ..unreachable };
    assert_eq!(snapshot(&offline, "v/1").unwrap(), first);
    let message = snapshot(&offline, "main").unwrap_err().to_string();
    assert!(message.contains("owner/name at revision main"), "{message}");
    assert!(message.contains("HF_HUB_OFFLINE"), "{message}");
}

#[test]
fn files_that_python_did_not_fetch_are_added() {
    let storage = storage_of(&SMALL);
    let server = start_hub(&SMALL, &storage);
    let folder = tempfile::tempdir().unwrap();
    // `AutoModel.from_pretrained` fetches no tokenizer. The second cache has a vocabulary without settings.
    let repository = folder.path().join("models--owner--name");
    let there = repository.join("snapshots").join(COMMIT);
    fs::create_dir_all(&there).unwrap();
    fs::create_dir_all(repository.join("refs")).unwrap();
    fs::write(repository.join("refs/main"), COMMIT).unwrap();
    fs::write(there.join("config.json"), "{}").unwrap();
    fs::write(there.join("model.safetensors"), "weights").unwrap();

    let offline = Hub { offline: true, ..hub_at(&nobody(), folder.path()) };
    for missing in ["vocab.txt", "tokenizer_config.json"] {
        let _ = fs::remove_file(there.join(missing));
        assert_eq!(snapshot(&offline, "main").unwrap(), there, "offline it has to do");
        assert_eq!(snapshot(&hub_at(&server.url, folder.path()), "main").unwrap(), there);
        assert_eq!(fs::read_to_string(there.join("vocab.txt")).unwrap(), "[PAD]\n");
        assert_eq!(fs::read_to_string(there.join("tokenizer_config.json")).unwrap(), "{\"a\":1}");
    }
    assert_eq!(storage.count("GET"), 0, "the weights are not fetched again");
}

#[test]
fn weights_may_be_in_shards() {
    let index = r#"{"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors", "c": "model-1.safetensors"}}"#;
    let files = [
        ("config.json", "{}"),
        ("model.safetensors.index.json", index),
        ("model-1.safetensors", "one"),
        ("model-2.safetensors", "two"),
        ("pytorch_model.bin", "unwanted"),
        ("tokenizer.json", "{}"),
    ];
    let storage = storage_of(&files);
    let server = start_hub(&files, &storage);
    let folder = tempfile::tempdir().unwrap();
    let hub = hub_at(&server.url, folder.path());
    let found = snapshot(&hub, "main").unwrap();
    assert_eq!(fs::read_to_string(found.join("model-2.safetensors")).unwrap(), "two");
    assert!(!found.join("pytorch_model.bin").exists());
    assert_eq!(storage.count("GET"), 2);

    fs::remove_file(found.join("model-1.safetensors")).unwrap();
    snapshot(&hub, "main").unwrap();
    assert_eq!(fs::read_to_string(found.join("model-1.safetensors")).unwrap(), "one", "completed");
    assert_eq!(storage.count("GET"), 2, "from the blob that was still there");
}

#[test]
fn an_index_cannot_name_files_elsewhere() {
    let files =
        [("config.json", "{}"), ("model.safetensors.index.json", r#"{"weight_map": {"a": "../../evil"}}"#)];
    let storage = storage_of(&files);
    let server = start_hub(&files, &storage);
    let folder = tempfile::tempdir().unwrap();
    let message = snapshot(&hub_at(&server.url, folder.path()), "main").unwrap_err().to_string();
    assert!(message.contains("../../evil") && message.contains("expected a plain file name"), "{message}");
}

#[test]
fn pickled_weights_are_taken_where_there_are_no_others() {
    let files = [("config.json", "{}"), ("pytorch_model.bin", "pickle"), ("vocab.txt", "[PAD]\n")];
    let storage = storage_of(&files);
    let server = start_hub(&files, &storage);
    let folder = tempfile::tempdir().unwrap();
    let found = snapshot(&hub_at(&server.url, folder.path()), "main").unwrap();
    assert_eq!(fs::read_to_string(found.join("pytorch_model.bin")).unwrap(), "pickle");
}

#[test]
fn a_checkpoint_without_weights_or_configuration_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let message = |files: &[(&str, &str)]| {
        let server = start_hub(files, &storage_of(files));
        snapshot(&hub_at(&server.url, folder.path()), "main").unwrap_err().to_string()
    };
    let no_weights = message(&[("config.json", "{}")]);
    assert!(no_weights.contains("pytorch_model.bin is not there"), "{no_weights}");
    assert!(no_weights.contains("model.safetensors"), "{no_weights}");
    let nothing = message(&[]);
    assert!(nothing.contains("owner/name/resolve/main/config.json is not there (404)"), "{nothing}");
}

#[test]
fn weights_that_are_not_what_the_hub_announced_are_refused() {
    let altered = [("model.safetensors", "wEights")];
    let server = start_hub(&SMALL, &storage_of(&altered));
    let folder = tempfile::tempdir().unwrap();
    let error = snapshot(&hub_at(&server.url, folder.path()), "main").unwrap_err();
    assert!(matches!(error, Error::WrongChecksum { .. }), "{error}");
    let blobs = folder.path().join("models--owner--name/blobs");
    let names: Vec<_> = fs::read_dir(blobs).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().len() > 40), "{names:?}");
}

#[test]
#[cfg(unix)]
fn a_file_that_changed_in_the_cache_is_named_and_fetched_again_once_it_is_removed() {
    let storage = storage_of(&SMALL);
    let server = start_hub(&SMALL, &storage);
    let folder = tempfile::tempdir().unwrap();
    let hub = hub_at(&server.url, folder.path());
    let found = snapshot(&hub, "main").unwrap();
    // Also an optional file, without which the checkpoint seems complete.
    for (name, text) in SMALL {
        let blob = found.join(name).canonicalize().unwrap();
        let time = fs::metadata(&blob).unwrap().modified().unwrap();
        let mut bytes = text.as_bytes().to_vec();
        bytes[0] ^= 1;
        fs::write(&blob, &bytes).unwrap();
        fs::File::options().write(true).open(&blob).unwrap().set_modified(time).unwrap();
        for hub in [hub.clone(), Hub { offline: true, ..hub_at(&nobody(), folder.path()) }] {
            let message = snapshot(&hub, "main").unwrap_err().to_string();
            for part in [
                blob.display().to_string(),
                format!("SHA-256 is {}", sha256_of_bytes(&bytes)),
                format!("it was {} when", sha256_of_bytes(text.as_bytes())),
                "remove the file to fetch it again".to_owned(),
            ] {
                assert!(message.contains(&part), "{part}: {message}");
            }
        }
        assert_eq!(fs::read(&blob).unwrap(), bytes, "what is there is the user's to remove");
        fs::remove_file(&blob).unwrap();
        assert_eq!(snapshot(&hub, "main").unwrap(), found);
        assert_eq!(fs::read_to_string(found.join(name)).unwrap(), text, "{name}");
    }
    assert_eq!(storage.count("GET"), 2, "the weights were fetched twice");
}

#[test]
#[cfg(unix)]
fn a_link_that_was_removed_does_not_come_back_to_a_changed_file() {
    let storage = storage_of(&SMALL);
    let server = start_hub(&SMALL, &storage);
    let folder = tempfile::tempdir().unwrap();
    let hub = hub_at(&server.url, folder.path());
    let found = snapshot(&hub, "main").unwrap();
    for name in ["model.safetensors", "vocab.txt"] {
        let blob = found.join(name).canonicalize().unwrap();
        fs::write(&blob, "others").unwrap();
        fs::remove_file(found.join(name)).unwrap();
        let message = snapshot(&hub, "main").unwrap_err().to_string();
        assert!(message.starts_with(&format!("{}: SHA-256 is", blob.display())), "{message}");
        fs::remove_file(&blob).unwrap();
        snapshot(&hub, "main").unwrap();
    }
}

#[test]
#[cfg(unix)]
fn a_small_file_that_its_user_changed_is_used_once_its_record_is_removed() {
    let storage = storage_of(&SMALL);
    let server = start_hub(&SMALL, &storage);
    let folder = tempfile::tempdir().unwrap();
    let hub = hub_at(&server.url, folder.path());
    let found = snapshot(&hub, "main").unwrap();
    fs::write(found.join("config.json").canonicalize().unwrap(), "{\"own\": 1}").unwrap();
    let message = snapshot(&hub, "main").unwrap_err().to_string();
    let (_, record) = message.split_once("if you changed it, remove ").unwrap();
    fs::remove_file(record).unwrap();
    assert_eq!(snapshot(&hub, "main").unwrap(), found);
    assert_eq!(fs::read_to_string(found.join("config.json")).unwrap(), "{\"own\": 1}");
}

#[test]
fn a_gated_checkpoint_is_read_with_the_token() {
    let storage = storage_of(&SMALL);
    let inner = start_hub(&SMALL, &storage);
    let target = inner.url.clone();
    let server = Server::start(move |request, _| match request.header("authorization") {
        Some("Bearer secret") => Answer::status(307).header("Location", &format!("{target}{}", request.path)),
        _ => Answer::status(401),
    });
    let folder = tempfile::tempdir().unwrap();
    let hub = hub_at(&server.url, folder.path());
    let message = snapshot(&hub, "main").unwrap_err().to_string();
    assert!(message.contains("refused (401)") && message.contains("HF_TOKEN"), "{message}");
    let hub = Hub { token: Some("secret".into()), ..hub };
    snapshot(&hub, "main").unwrap();
}

#[test]
fn a_renamed_owner_is_followed() {
    let storage = storage_of(&SMALL);
    let inner = start_hub(&SMALL, &storage);
    let target = inner.url.clone();
    // The hub's redirect is a path without a host.
    let server = Server::start(move |request, _| match request.path.strip_prefix("/new") {
        Some(path) => Answer::status(307).header("Location", &format!("{target}{path}")),
        None => Answer::status(307).header("Location", &format!("/new{}", request.path)),
    });
    let folder = tempfile::tempdir().unwrap();
    let found = snapshot(&hub_at(&server.url, folder.path()), "main").unwrap();
    assert!(found.starts_with(folder.path().join("models--owner--name")));
    assert_eq!(fs::read_to_string(found.join("model.safetensors")).unwrap(), "weights");
}

#[test]
fn a_server_that_is_no_hub_is_named() {
    let server = Server::start(|_, _| Answer::of(b"<html>").header("ETag", "\"../../x\""));
    let folder = tempfile::tempdir().unwrap();
    let message = snapshot(&hub_at(&server.url, folder.path()), "main").unwrap_err().to_string();
    assert!(message.contains("X-Repo-Commit") && message.contains("HF_ENDPOINT"), "{message}");
}
