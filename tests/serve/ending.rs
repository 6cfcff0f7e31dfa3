//! How the server ends: requests that have begun are answered.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Client;
use crate::server::Server;

#[test]
fn a_request_that_has_begun_is_answered_after_the_signal() {
    for signal in ["TERM", "INT"] {
        let server = Server::slow(32_000, &["--timeout", "600"]);
        let answer = thread::scope(|scope| {
            let running = scope.spawn(|| server.ask_slowly("逆転勝利の日本代表"));
            server.wait_for("midashi_explanations_running", || running.is_finished());
            server.signal(signal);
            while Client::connect(server.port).is_ok() {
                assert!(!running.is_finished(), "new requests begin until the answer");
                thread::sleep(Duration::from_millis(5));
            }
            assert!(
                !running.is_finished(),
                "the test is of no use if the request is answered before the signal"
            );
            running.join().unwrap()
        });
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.json()["method"], "integrated_gradients");
        let (code, printed) = server.ended();
        assert_eq!(code, Some(0), "{printed}");
        assert!(
            printed.contains(&format!("SIG{signal}: ending after the requests that have begun")),
            "{printed}"
        );
    }
}

#[test]
fn a_second_signal_ends_the_server_at_once() {
    for (first, second) in [("TERM", "INT"), ("INT", "TERM"), ("TERM", "TERM")] {
        let server = Server::slow(400_000, &["--timeout", "600"]);
        let port = server.port;
        let running = thread::spawn(move || {
            let body = json!({"inputs": "逆転勝利の日本代表", "method": "integrated_gradients"}).to_string();
            let headers = ["Content-Type: application/json"];
            Client::connect(port).unwrap().ask("POST /explain", &headers, body.as_bytes())
        });
        server.wait_for("midashi_explanations_running", || running.is_finished());
        server.signal(first);
        // Two signals of one kind that arrive together are one.
        server.wait_until_it_says("ending after the requests");
        assert!(!running.is_finished(), "the first signal waits");
        let signalled = Instant::now();
        server.signal(second);
        let (code, printed) = server.ended();
        assert_eq!(code, Some(130), "{printed}");
        assert!(!printed.contains("ended"), "{printed}");
        assert!(signalled.elapsed() < Duration::from_secs(10), "{:?}", signalled.elapsed());
        assert!(!matches!(running.join().unwrap(), Ok(Some(_))), "the request was given up");
    }
}

#[test]
fn an_explanation_that_was_given_up_does_not_hold_the_server() {
    let server = Server::slow(400_000, &["--timeout", "1"]);
    server.ask_slowly("逆転勝利の日本代表").refuses(503, "Overloaded", &["no answer within 1 s"]);
    assert_eq!(server.metric("midashi_explanations_running"), 1.0, "it is still computed");
    let signalled = Instant::now();
    server.signal("TERM");
    let (code, printed) = server.ended();
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.trim_end().ends_with("ended"), "{printed}");
    assert!(signalled.elapsed() < Duration::from_secs(10), "{:?}", signalled.elapsed());
}

#[test]
fn a_signal_under_load_loses_no_answer_and_gives_no_error() {
    let server = Server::start(&[]);
    let (answered, signalled) = (AtomicUsize::new(0), AtomicBool::new(false));
    let body = json!({"inputs": [["新しい料理の本"], ["週末に観たい映画の予告編が公開"]]}).to_string();
    let counted = thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut count = 0;
                    while let Ok(mut client) = Client::connect(server.port) {
                        let headers = ["Content-Type: application/json"];
                        // A half answer fails in the client. None means that the request has not begun.
                        while let Ok(Some(answer)) = client.ask("POST /predict", &headers, body.as_bytes()) {
                            assert_eq!(answer.status, 200, "{}", answer.body);
                            assert_eq!(answer.json().as_array().unwrap().len(), 2);
                            count += 1;
                            answered.fetch_add(1, Ordering::Relaxed);
                        }
                        assert!(
                            signalled.load(Ordering::Relaxed),
                            "a connection was closed before the signal"
                        );
                    }
                    count
                })
            })
            .collect();
        while answered.load(Ordering::Relaxed) < 500 && !clients.iter().all(|client| client.is_finished()) {
            thread::sleep(Duration::from_millis(1));
        }
        signalled.store(true, Ordering::Relaxed);
        server.signal("TERM");
        clients.into_iter().map(|client| client.join().unwrap()).sum::<usize>()
    });
    assert!(counted >= 500);
    let (code, printed) = server.ended();
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.trim_end().ends_with("ended"), "{printed}");
}

#[test]
fn half_a_request_does_not_hold_the_server() {
    let server = Server::start(&["--timeout", "1"]);
    let mut half = std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    std::io::Write::write_all(&mut half, b"POST /predict HTTP/1.1\r\nContent-Le").unwrap();
    thread::sleep(Duration::from_millis(200));
    server.signal("TERM");
    let (code, printed) = server.ended();
    assert_eq!(code, Some(0), "{printed}");
    assert!(printed.trim_end().ends_with("ended"), "{printed}");
    drop(half);
}
