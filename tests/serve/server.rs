//! A server that tests start on a free port.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use midashi_classifier::{Classifier, Dictionaries, ModelFolder, Options};
use midashi_runtime::{DeviceChoice, Engine};
use midashi_tests::{Invocation, Run, root};
use serde_json::{Value, json};

use crate::client::{Answer, Client};

/// The model of the tests: one layer, nine categories, titles of at most 64 tokens, MeCab.
pub fn model() -> PathBuf {
    root().join("tests/fixtures/model")
}

/// The same model in this process, to compare with.
pub fn with_library<T>(use_it: impl FnOnce(&mut Classifier<'_>) -> T) -> T {
    let cache = root().join("cache");
    let engine = Engine::open(&cache.join("onnxruntime"), DeviceChoice::Cpu, 2).unwrap();
    let options = Options { dictionaries: Dictionaries::below(&cache), ..Options::default() };
    let model = ModelFolder::open(&model()).unwrap();
    use_it(&mut Classifier::with_options(model, &engine, options).unwrap())
}

/// A running server.
pub struct Server {
    process: Child,
    pub port: u16,
    printed: Arc<Mutex<String>>,
    reader: Option<thread::JoinHandle<()>>,
}

/// The program with these options, on a free port.
pub fn invocation(options: &[&str]) -> Invocation {
    let run = Run::sample(root().join("artifacts"), "served").set("evaluate.device=cpu");
    let model = model();
    let defaults = [["--port", "0"], ["--model", model.to_str().unwrap()]];
    let defaults = defaults.iter().filter(|[name, _]| !options.contains(name)).flatten();
    run.stage("serve").arguments(defaults).arguments(options)
}

impl Server {
    pub fn start(options: &[&str]) -> Self {
        Self::of(&invocation(options))
    }

    /// A server whose integrated gradients take long, for tests that need a request to run for a while. A thousand points
    /// take about 0.1 s.
    pub fn slow(points: usize, options: &[&str]) -> Self {
        let set =
            format!("evaluate.explain.integration_points={points} evaluate.explain.integration_error=0");
        Self::of(&invocation(options).set(&set))
    }

    pub fn of(invocation: &Invocation) -> Self {
        let mut process = invocation.starts();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut started = String::new();
        let port = loop {
            if output.read_line(&mut started).unwrap() == 0 {
                panic!("the server ended: {started}");
            }
            if let Some((_, port)) = started.split_once("listening on http://127.0.0.1:") {
                break port.trim().parse().unwrap();
            }
        };
        let printed = Arc::new(Mutex::new(started));
        let reader = thread::spawn({
            let printed = Arc::clone(&printed);
            move || {
                output
                    .lines()
                    .map_while(Result::ok)
                    .for_each(|line| *printed.lock().unwrap() += &(line + "\n"))
            }
        });
        Self { process, port, printed, reader: Some(reader) }
    }

    /// The answer to a request on a connection of its own.
    pub fn ask(&self, line: &str, headers: &[&str], body: &[u8]) -> Answer {
        let answer = Client::connect(self.port).unwrap().ask(line, headers, body).unwrap();
        answer.expect("the server closed the connection")
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask(&format!("GET {path}"), &[], &[])
    }

    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(&format!("POST {path}"), &["Content-Type: application/json"], body.to_string().as_bytes())
    }

    /// The answer to a question that must be answered.
    pub fn answered(&self, path: &str, body: &Value) -> Value {
        let answer = self.post(path, body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Asks for integrated gradients, which a slow server computes for seconds.
    pub fn ask_slowly(&self, text: &str) -> Answer {
        self.post("/explain", &json!({"inputs": text, "method": "integrated_gradients"}))
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> f64 {
        let metrics = self.get("/metrics").body;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {name} in\n{metrics}")).parse().unwrap()
    }

    /// Waits until a metric without labels is 1. `is_over` tells when it can no longer become that.
    pub fn wait_for(&self, name: &str, is_over: impl Fn() -> bool) {
        while self.metric(name) < 1.0 {
            assert!(!is_over(), "{name} did not become 1");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for words on standard output.
    pub fn wait_until_it_says(&self, words: &str) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.printed.lock().unwrap().contains(words) {
            assert!(Instant::now() < deadline, "it does not say {words:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal, such as TERM.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.process.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end; returns its exit code and all that it printed on standard output.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let status = self.process.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status.code(), self.printed.lock().unwrap().clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
