//! A web server for the tests, which determine each response.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use midashi_fetch::client::RetryPolicy;

/// A received request.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
}

/// A response.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The connection is closed after so many bytes of the body.
    pub cut_at: Option<usize>,
    /// The server goes silent after so many bytes of the body.
    pub silent_at: Option<usize>,
    /// The delay of the response.
    pub delay: Duration,
}

/// Serves until the test's process ends.
pub struct Server {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Responds to each request with `answer(request, number of earlier requests with this method and path)`.
    pub fn start(answer: impl Fn(&Request, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (answer, log) = (Arc::new(answer), Arc::clone(&requests));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                std::thread::spawn(move || serve(stream, &*answer, &log));
            }
        });
        Self { url, requests }
    }

    /// Serves these files with ETag and ranges, and nothing else.
    pub fn of_files(files: &[(&str, &[u8])]) -> Self {
        let files: HashMap<String, Vec<u8>> =
            files.iter().map(|(path, body)| ((*path).to_owned(), body.to_vec())).collect();
        Self::start(move |request, _| match files.get(&request.path) {
            Some(body) => Answer::of_range(request, body, "\"v1\""),
            None => Answer::status(404),
        })
    }

    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub fn count(&self, method: &str) -> usize {
        self.requests().iter().filter(|request| request.method == method).count()
    }
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        let first = lines.next()?;
        let mut words = first.split(' ');
        let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
        let headers = lines
            .take_while(|line| !line.is_empty())
            .filter_map(|line| {
                line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()))
            })
            .collect();
        Some(Self { method, path, headers })
    }
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub fn of(body: &[u8]) -> Self {
        Self { status: 200, body: body.to_vec(), ..Self::default() }
    }

    /// The requested range, unless `If-Range` names another version (RFC 9110).
    pub fn of_range(request: &Request, body: &[u8], etag: &str) -> Self {
        let start = request
            .header("range")
            .filter(|_| request.header("if-range").is_none_or(|version| version == etag))
            .map(|range| range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap());
        let answer = match start {
            None => Self::of(body),
            Some(start) if start < body.len() => {
                let range = format!("bytes {start}-{}/{}", body.len() - 1, body.len());
                Self { status: 206, ..Self::of(&body[start..]) }.header("Content-Range", &range)
            }
            Some(_) => Self::status(416).header("Content-Range", &format!("bytes */{}", body.len())),
        };
        answer.header("ETag", etag)
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn cut_at(mut self, bytes: usize) -> Self {
        self.cut_at = Some(bytes);
        self
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &(dyn Fn(&Request, usize) -> Answer + Send + Sync),
    log: &Mutex<Vec<Request>>,
) {
    let Some(request) = Request::read(&stream) else { return };
    let before = {
        let mut log = log.lock().unwrap();
        let is_same = |other: &&Request| other.method == request.method && other.path == request.path;
        let before = log.iter().filter(is_same).count();
        log.push(request.clone());
        before
    };
    let answer = answer(&request, before);
    std::thread::sleep(answer.delay);
    let mut head = format!("HTTP/1.1 {} x\r\nConnection: close\r\n", answer.status);
    head.push_str(&format!("Content-Length: {}\r\n", answer.body.len()));
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let body = if request.method == "HEAD" { &[] } else { &answer.body[..] };
    let end = answer.cut_at.or(answer.silent_at).unwrap_or(body.len()).min(body.len());
    // In some tests the client has closed the connection.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body[..end]));
    if answer.silent_at.is_some() {
        std::thread::sleep(Duration::from_secs(60));
    }
}

/// Bytes that differ by position, so that a wrong offset shows.
pub fn content(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index * 31 + index / 251) as u8).collect()
}

/// How long a silent server is waited for. Only tests of that wait less than a busy machine may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Retries that do not wait.
pub fn quick_retries() -> RetryPolicy {
    RetryPolicy {
        connect_timeout: Duration::from_secs(5),
        read_timeout: PATIENCE,
        retries: 2,
        backoff: Duration::from_millis(5),
    }
}

/// A URL without a server.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}
