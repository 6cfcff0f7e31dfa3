//! Where the time of the evaluation went.

use std::time::{Duration, Instant};

/// The parts of the evaluation so far, and how long each took.
pub struct Parts {
    last: Instant,
    parts: Vec<(&'static str, Duration)>,
}

impl Parts {
    /// The first part begins now.
    pub fn new() -> Self {
        Self { last: Instant::now(), parts: Vec::new() }
    }

    /// The part `name` ends now, and the next one begins.
    pub fn end(&mut self, name: &'static str) {
        let now = Instant::now();
        self.parts.push((name, now - self.last));
        self.last = now;
    }

    /// One line for the terminal.
    pub fn line(&self) -> String {
        let part = |(name, duration): &(&str, Duration)| format!("{name} {:.1} s", duration.as_secs_f64());
        self.parts.iter().map(part).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_listed_with_their_times() {
        let mut parts = Parts::new();
        parts.last -= Duration::from_millis(1_250);
        parts.end("one");
        parts.end("another");
        let line = parts.line();
        assert!(line.starts_with("one 1.") && line.contains(" s, another "), "{line}");
    }
}
