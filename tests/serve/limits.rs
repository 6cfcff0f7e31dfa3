//! What the server refuses, and that it goes on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Answer, Client};
use crate::server::{Server, invocation};

#[test]
fn every_limit_has_its_message() {
    let server = Server::start(&["--max-body", "2000", "--max-texts", "3", "--max-characters", "100"]);
    let asked = |inputs| server.post("/predict", &json!({"inputs": inputs, "truncate": true}));
    asked(json!([["春"], ["夏"], ["秋"], ["冬"]])).refuses(
        413,
        "Validation",
        &["batch size 4 > maximum allowed batch size 3"],
    );
    let long = &["at most 100 characters", "Given: 101", "--max-characters"];
    asked(json!("春".repeat(101))).refuses(413, "Validation", long);
    assert_eq!(asked(json!("春".repeat(100))).status, 200);
    asked(json!("春".repeat(1000))).refuses(413, "Validation", &["longer than 2000 bytes", "--max-body"]);
    asked(json!("")).refuses(400, "Empty", &["`inputs` cannot be empty"]);
    asked(json!([])).refuses(400, "Empty", &["`inputs` cannot be empty"]);
    asked(json!([["春"], [""]])).refuses(400, "Empty", &["`inputs` cannot be empty"]);
    asked(json!(" \u{3000}")).refuses(422, "Tokenizer", &["finds no tokens", "a text with words"]);
    asked(json!(["春", "夏", "秋"])).refuses(422, "Validation", &["invalid length 3", "a batch of mixed"]);
    asked(json!({"text": "春"})).refuses(422, "Validation", &["expected a string, a pair of strings"]);
    server.post("/predict", &json!({"texts": "春"})).refuses(422, "Validation", &["missing field `inputs`"]);
    let json = ["Content-Type: application/json"];
    server.ask("POST /predict", &json, b"{\"inputs\":").refuses(400, "Validation", &["EOF"]);
    server.ask("POST /predict", &json, b"\xFF").refuses(400, "Validation", &["JSON"]);
    server.ask("POST /predict", &[], b"{}").refuses(415, "Validation", &["Content-Type: application/json"]);
    server.get("/predict").refuses(405, "Validation", &["/predict does not answer GET", "/openapi.json"]);
    server.get("/v1/nothing").refuses(404, "Validation", &["there is no /v1/nothing", "/openapi.json"]);
    assert_eq!(server.get("/health").status, 200, "the server goes on");
}

#[test]
fn an_explanation_that_needs_too_much_memory_is_refused() {
    let server = Server::of(&invocation(&[]).set("evaluate.explain.memory_gib=0.0000001"));
    let explain =
        |method: &str| server.post("/explain", &json!({"inputs": "新しい料理の本", "method": method}));
    for method in ["gradient_x_input", "integrated_gradients"] {
        let parts = &["of attention in memory, more than evaluate.explain.memory_gib = 0.0000001"];
        explain(method).refuses(413, "Validation", parts);
    }
    assert_eq!(explain("rollout").status, 200, "the server goes on");
}

#[test]
fn a_full_queue_answers_503_and_when_to_try_again() {
    let server = Server::slow(16_000, &["--max-explanations", "1", "--max-texts", "1", "--timeout", "600"]);
    thread::scope(|scope| {
        // The first is being computed, the second waits.
        let running = scope.spawn(|| server.ask_slowly("逆転勝利の日本代表"));
        server.wait_for("midashi_explanations_running", || running.is_finished());
        let waiting = scope.spawn(|| server.ask_slowly("週末に観たい映画"));
        server.wait_for("midashi_queue_explanations", || running.is_finished());
        let batch = json!({"inputs": [["春"], ["夏"]], "method": "rollout"});
        let message = &["batch size 2 > maximum allowed batch size 1 of explanations"];
        server.post("/explain", &batch).refuses(413, "Validation", message);
        let refused = server.ask_slowly("新しい料理の本");
        refused.refuses(503, "Overloaded", &["overloaded: 1 texts may wait", "try again later"]);
        assert_eq!(refused.header("retry-after"), Some("1"));
        // Explanations do not hold up predictions.
        assert_eq!(server.post("/predict", &json!({"inputs": "春"})).status, 200);
        assert!(!running.is_finished(), "the explanation runs meanwhile");
        assert_eq!(running.join().unwrap().status, 200);
        assert_eq!(waiting.join().unwrap().status, 200);
    });
}

/// The statuses of the answers to 32 clients that send the same request over and over. `check` sees each answer.
fn under_overload(server: &Server, body: &str, requests: usize, check: impl Fn(&Answer) + Sync) -> Vec<u16> {
    thread::scope(|scope| {
        let clients: Vec<_> = (0..32)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::connect(server.port).unwrap();
                    let mut ask = || {
                        let headers = ["Content-Type: application/json"];
                        let answer = client.ask("POST /predict", &headers, body.as_bytes()).unwrap().unwrap();
                        check(&answer);
                        answer.status
                    };
                    (0..requests).map(|_| ask()).collect::<Vec<u16>>()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    })
}

#[test]
fn under_overload_every_request_is_answered_with_200_or_503() {
    let server = Server::start(&["--max-queue", "1", "--max-texts", "1"]);
    let body =
        json!({"inputs": "逆転勝利の日本代表、監督が語る涙の理由".repeat(20), "truncate": true}).to_string();
    let statuses = under_overload(&server, &body, 50, |_| {});
    let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
    assert_eq!(count(200) + count(503), 32 * 50);
    assert!(count(200) > 0 && count(503) > 0, "{} answered, {} refused", count(200), count(503));
}

#[test]
fn long_texts_that_wait_for_the_tokenizer_are_limited() {
    let server = Server::start(&["--max-queue", "1", "--max-texts", "1"]);
    // Texts that are refused after they were tokenised never wait for the model.
    let body = json!({"inputs": "逆転勝利の日本代表、監督が語る涙の理由".repeat(1000)}).to_string();
    let statuses = under_overload(&server, &body, 10, |answer| match answer.status {
        503 => answer.refuses(503, "Overloaded", &["overloaded: 1 texts may wait"]),
        _ => answer.refuses(413, "Validation", &["must have less than 64 tokens"]),
    });
    let count = |status: u16| statuses.iter().filter(|found| **found == status).count();
    assert!(count(413) > 0 && count(503) > 0, "{} tokenised, {} refused", count(413), count(503));
    assert_eq!(server.metric("midashi_queue_texts"), 0.0);
}

#[test]
fn texts_that_wait_are_computed_together() {
    let server = Server::start(&[]);
    let body = json!({"inputs": "新しい料理の本"}).to_string();
    thread::scope(|scope| {
        for _ in 0..32 {
            scope.spawn(|| {
                let mut client = Client::connect(server.port).unwrap();
                for _ in 0..50 {
                    let headers = ["Content-Type: application/json"];
                    let answer = client.ask("POST /predict", &headers, body.as_bytes()).unwrap().unwrap();
                    assert_eq!(answer.status, 200);
                }
            });
        }
    });
    assert_eq!(server.metric("midashi_batch_texts_sum"), 1600.0);
    let batches = server.metric("midashi_batch_texts_count");
    assert!(batches < 1600.0, "{batches} batches for 1,600 texts of 32 connections");
}

#[test]
fn a_request_is_given_up_after_its_time() {
    let server = Server::slow(400_000, &["--timeout", "1"]);
    let given_up = server.ask_slowly("逆転勝利の日本代表、監督が語る涙の理由".repeat(3).as_str());
    given_up.refuses(503, "Overloaded", &["no answer within 1 s", "--timeout"]);
    assert_eq!(server.post("/predict", &json!({"inputs": "春"})).status, 200, "the server goes on");
}

#[test]
fn a_connection_on_which_nothing_comes_is_closed() {
    let server = Server::start(&["--timeout", "1"]);
    let mut half = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    half.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    half.write_all(b"POST /predict HTTP/1.1\r\nContent-Le").unwrap();
    let mut rest = Vec::new();
    let started = Instant::now();
    assert!(half.read_to_end(&mut rest).is_ok_and(|read| read == 0), "{rest:?}");
    assert!(started.elapsed() > Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(server.get("/health").status, 200);
}
