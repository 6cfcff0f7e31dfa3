//! Downloads of one file over bad connections, from servers of all kinds.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Answer, PATIENCE, Server, content, nobody, quick_retries};
use midashi_fetch::client::{Client, RetryPolicy};
use midashi_fetch::download::Download;
use midashi_fetch::{Error, Result};
use midashi_stage::sha256_of_bytes;

struct Fetched {
    folder: tempfile::TempDir,
}

impl Fetched {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("file.bin")
    }

    fn part(&self) -> PathBuf {
        self.folder.path().join("file.bin.part")
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn run(&self, url: &str, sha256: Option<&str>) -> Result<()> {
        run(url, &self.path(), sha256, quick_retries())
    }
}

fn run(url: &str, destination: &Path, sha256: Option<&str>, policy: RetryPolicy) -> Result<()> {
    let lock = destination.with_file_name("lock");
    let download = Download { url, label: "file.bin", destination, lock: &lock, sha256, length: None };
    download.run(&Client::new(policy, "http://hub.invalid", None))
}

#[test]
fn a_file_arrives_whole_and_alone() {
    let body = content(300_000);
    let server = Server::of_files(&[("/file.bin", &body)]);
    let fetched = Fetched::new();
    fetched.run(&server.address("/file.bin"), Some(&sha256_of_bytes(&body))).unwrap();
    assert_eq!(fs::read(fetched.path()).unwrap(), body);
    assert_eq!(fetched.names(), ["file.bin", "lock"], "no part is left");
}

#[test]
fn a_file_that_is_there_needs_no_request() {
    let fetched = Fetched::new();
    fs::write(fetched.path(), "there").unwrap();
    fetched.run(&nobody(), None).unwrap();
    assert_eq!(fs::read(fetched.path()).unwrap(), b"there");
}

#[test]
fn a_cut_connection_is_continued_where_it_broke() {
    let body = content(100_000);
    let served = body.clone();
    let server = Server::start(move |request, before| {
        let answer = Answer::of_range(request, &served, "\"v1\"");
        if before < 4 { answer.cut_at(20_000) } else { answer }
    });
    let fetched = Fetched::new();
    // Four breaks are more than two retries, but each attempt received something, which resets the count.
    fetched.run(&server.address("/file.bin"), None).unwrap();
    assert_eq!(fs::read(fetched.path()).unwrap(), body);
    let ranges: Vec<_> = server.requests().iter().map(|r| r.header("range").map(str::to_owned)).collect();
    let expected = [20_000, 40_000, 60_000, 80_000].map(|start| Some(format!("bytes={start}-")));
    assert_eq!(ranges[0], None);
    assert_eq!(ranges[1..], expected);
    assert!(server.requests()[1..].iter().all(|request| request.header("if-range") == Some("\"v1\"")));
}

#[test]
fn a_later_process_continues_what_an_earlier_one_left() {
    let body = content(50_000);
    let served = body.clone();
    let server = Server::start(move |request, before| match before {
        0 => Answer::of_range(request, &served, "\"v1\"").cut_at(30_000),
        1 => Answer::status(503),
        _ => Answer::of_range(request, &served, "\"v1\""),
    });
    let fetched = Fetched::new();
    let once = RetryPolicy { retries: 0, ..quick_retries() };
    let url = server.address("/file.bin");
    let error = run(&url, &fetched.path(), None, once.clone()).unwrap_err();
    assert!(matches!(error, Error::BrokenOff { received: 30_000, .. }), "{error}");
    let error = run(&url, &fetched.path(), None, once).unwrap_err();
    assert!(matches!(error, Error::Status { status: 503, .. }), "{error}");
    assert_eq!(fs::metadata(fetched.part()).unwrap().len(), 30_000, "what came is kept");
    fetched.run(&url, None).unwrap();
    assert_eq!(server.requests()[2].header("range"), Some("bytes=30000-"));
    assert_eq!(fs::read(fetched.path()).unwrap(), body);
}

#[test]
fn a_part_of_an_older_version_is_not_continued() {
    let server = Server::of_files(&[("/file.bin", b"the new version")]);
    let fetched = Fetched::new();
    fs::write(fetched.part(), "the old").unwrap();
    fs::write(fetched.folder.path().join("file.bin.part.version"), "\"v0\"").unwrap();
    fetched.run(&server.address("/file.bin"), None).unwrap();
    assert_eq!(server.requests()[0].header("if-range"), Some("\"v0\""));
    assert_eq!(fs::read(fetched.path()).unwrap(), b"the new version");
}

#[test]
fn a_part_of_unknown_version_is_continued_only_if_the_whole_is_verified() {
    let server = Server::of_files(&[("/file.bin", b"the new version")]);
    for (sha256, range) in [(None, None), (Some(sha256_of_bytes(b"the new version")), Some("bytes=7-"))] {
        let fetched = Fetched::new();
        fs::write(fetched.part(), "the new").unwrap();
        fetched.run(&server.address("/file.bin"), sha256.as_deref()).unwrap();
        assert_eq!(fs::read(fetched.path()).unwrap(), b"the new version");
        assert_eq!(server.requests().last().unwrap().header("range"), range);
    }
}

#[test]
fn a_complete_part_is_only_renamed() {
    let server = Server::of_files(&[("/file.bin", b"whole")]);
    let fetched = Fetched::new();
    fs::write(fetched.part(), "whole").unwrap();
    fetched.run(&server.address("/file.bin"), Some(&sha256_of_bytes(b"whole"))).unwrap();
    assert_eq!(server.count("GET"), 1);
    assert_eq!(fs::read(fetched.path()).unwrap(), b"whole");
}

#[test]
fn a_part_longer_than_the_file_is_fetched_again() {
    let server = Server::of_files(&[("/file.bin", b"short")]);
    let fetched = Fetched::new();
    fs::write(fetched.part(), "much longer").unwrap();
    fetched.run(&server.address("/file.bin"), Some(&sha256_of_bytes(b"short"))).unwrap();
    assert_eq!(fs::read(fetched.path()).unwrap(), b"short");
}

#[test]
fn a_server_without_ranges_is_asked_from_the_start() {
    let body = content(40_000);
    let served = body.clone();
    let server = Server::start(move |_, before| match before {
        0 => Answer::of(&served).cut_at(10_000),
        _ => Answer::of(&served),
    });
    let fetched = Fetched::new();
    fetched.run(&server.address("/file.bin"), None).unwrap();
    assert_eq!(fs::read(fetched.path()).unwrap(), body);
    assert_eq!(server.count("GET"), 2);
}

#[test]
fn a_connection_that_always_breaks_at_the_same_byte_is_given_up() {
    let server = Server::start(|_, _| Answer::of(&content(1000)).cut_at(400));
    let error = Fetched::new().run(&server.address("/file.bin"), None).unwrap_err();
    assert!(matches!(error, Error::BrokenOff { received: 400, .. }), "{error}");
    assert_eq!(server.count("GET"), 3, "the first try and two retries");
}

#[test]
fn a_wrong_checksum_names_both_digests_and_leaves_nothing() {
    let server = Server::of_files(&[("/file.bin", b"something else")]);
    let fetched = Fetched::new();
    let expected = sha256_of_bytes(b"expected");
    let message = fetched.run(&server.address("/file.bin"), Some(&expected)).unwrap_err().to_string();
    assert!(message.contains(&expected), "{message}");
    assert!(message.contains(&sha256_of_bytes(b"something else")), "{message}");
    assert_eq!(fetched.names(), ["lock"]);
}

#[test]
fn refusals_say_what_to_do_and_are_not_repeated() {
    for (status, expected) in [(404, "is not there (404)"), (401, "set HF_TOKEN"), (403, "set HF_TOKEN")] {
        let server = Server::start(move |_, _| Answer::status(status));
        let fetched = Fetched::new();
        let message = fetched.run(&server.address("/file.bin"), None).unwrap_err().to_string();
        assert!(message.contains(expected) && message.contains("/file.bin"), "{message}");
        assert_eq!(server.count("GET"), 1);
        assert_eq!(fetched.names(), ["lock"], "no empty part is left");
    }
}

#[test]
fn a_server_error_is_retried() {
    let server = Server::start(|_, before| if before < 2 { Answer::status(503) } else { Answer::of(b"ok") });
    let fetched = Fetched::new();
    fetched.run(&server.address("/file.bin"), None).unwrap();
    assert_eq!(fs::read(fetched.path()).unwrap(), b"ok");
}

#[test]
fn a_redirect_is_followed_with_its_range() {
    let body = content(10_000);
    let served = body.clone();
    let storage = Server::start(move |request, before| {
        let answer = Answer::of_range(request, &served, "\"v1\"");
        if before == 0 { answer.cut_at(4000) } else { answer }
    });
    let target = storage.address("/stored");
    let front = Server::start(move |_, _| Answer::status(302).header("Location", &target));
    let fetched = Fetched::new();
    fetched.run(&front.address("/file.bin"), None).unwrap();
    assert_eq!(fs::read(fetched.path()).unwrap(), body);
    assert_eq!(storage.requests()[1].header("range"), Some("bytes=4000-"));
}

#[test]
fn the_token_is_sent_to_the_hub_alone() {
    let storage = Server::of_files(&[("/stored", b"weights")]);
    let target = storage.address("/stored");
    let hub = Server::start(move |_, _| Answer::status(302).header("Location", &target));
    let client = Client::new(quick_retries(), &hub.url, Some("secret".into()));
    for url in [hub.address("/a"), storage.address("/stored")] {
        let fetched = Fetched::new();
        let (destination, lock) = (fetched.path(), fetched.folder.path().join("lock"));
        let download = Download {
            url: &url,
            label: "a",
            destination: &destination,
            lock: &lock,
            sha256: None,
            length: None,
        };
        download.run(&client).unwrap();
    }
    assert_eq!(hub.requests()[0].header("authorization"), Some("Bearer secret"));
    assert!(storage.requests().iter().all(|request| request.header("authorization").is_none()));
}

#[test]
fn a_silent_server_is_a_timeout() {
    let server = Server::start(|_, _| Answer { silent_at: Some(100), ..Answer::of(&content(1000)) });
    let fetched = Fetched::new();
    let (started, url) = (Instant::now(), server.address("/file.bin"));
    let impatient = RetryPolicy { read_timeout: Duration::from_millis(300), ..quick_retries() };
    let message = run(&url, &fetched.path(), None, impatient).unwrap_err().to_string();
    assert!(message.contains("silent for 300ms"), "{message}");
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
}

#[test]
fn a_slow_server_is_waited_for() {
    // The whole takes longer than the read timeout, but no single wait does.
    let body = content(5000);
    let served = body.clone();
    let server = Server::start(move |request, _| Answer {
        delay: Duration::from_millis(500),
        ..Answer::of_range(request, &served, "\"v1\"").cut_at(1000)
    });
    let fetched = Fetched::new();
    let policy = RetryPolicy { read_timeout: Duration::from_secs(2), ..quick_retries() };
    run(&server.address("/file.bin"), &fetched.path(), None, policy).unwrap();
    assert_eq!(fs::read(fetched.path()).unwrap(), body);
}

#[test]
fn an_unreachable_server_is_reported_at_once() {
    let url = format!("{}/file.bin", nobody());
    let policy = RetryPolicy { backoff: Duration::from_secs(60), ..quick_retries() };
    let error = run(&url, &Fetched::new().path(), None, policy).unwrap_err();
    assert!(matches!(error, Error::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&url));
}

#[test]
fn two_concurrent_downloads_fetch_the_file_once() {
    let body = content(20_000);
    let served = body.clone();
    let server = Server::start(move |request, _| Answer {
        delay: Duration::from_millis(200),
        ..Answer::of_range(request, &served, "\"v1\"")
    });
    let fetched = Fetched::new();
    let url = server.address("/file.bin");
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| fetched.run(&url, None)));
        for one in both {
            one.join().unwrap().unwrap();
        }
    });
    assert_eq!(fs::read(fetched.path()).unwrap(), body);
    assert_eq!(server.count("GET"), 1);
}
