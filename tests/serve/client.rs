//! HTTP over a plain connection, so that a test knows what was sent and what came back.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A connection that stays open.
pub struct Client(BufReader<TcpStream>);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: String,
}

impl Client {
    pub fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(600)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request with these headers and waits for its answer; none if the server closed the connection before.
    pub fn ask(&mut self, line: &str, headers: &[&str], body: &[u8]) -> io::Result<Option<Answer>> {
        let mut head = format!("{line} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n", body.len());
        headers.iter().for_each(|header| head += &format!("{header}\r\n"));
        let sent = self.0.get_mut().write_all(&[format!("{head}\r\n").as_bytes(), body].concat());
        // A server that refuses a body does not read it to its end.
        match self.answer() {
            Ok(Some(answer)) => Ok(Some(answer)),
            other => sent.and(other),
        }
    }

    fn answer(&mut self) -> io::Result<Option<Answer>> {
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let mut line = String::new();
            assert!(self.0.read_line(&mut line)? > 0, "the answer's head is cut off");
            match line.trim_end().split_once(": ") {
                Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
                None => break,
            }
        }
        let answer = Answer { status, headers, body: String::new() };
        let length = answer.header("content-length").expect("an answer has a length").parse().unwrap();
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("the answer's body is cut off");
        Ok(Some(Answer { body: String::from_utf8(body).unwrap(), ..answer }))
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    /// Asserts that it is an error of this status and kind, whose message has all `parts`.
    pub fn refuses(&self, status: u16, kind: &str, parts: &[&str]) {
        assert_eq!(self.status, status, "{}", self.body);
        let body = self.json();
        assert_eq!(body["error_type"], kind, "{}", self.body);
        assert_eq!(body.as_object().unwrap().len(), 2, "{}", self.body);
        let error = body["error"].as_str().unwrap();
        for part in parts {
            assert!(error.contains(part), "the message does not contain {part:?}: {error}");
        }
    }
}
