//! What is printed about requests: nothing unless asked.

use std::time::Duration;

use midashi_text::shaped;

/// What is printed about requests.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Log {
    /// Prints a line for each request, without its texts
    #[arg(long)]
    pub log_requests: bool,
    /// Prints a line for each request, with its texts
    #[arg(long)]
    pub log_texts: bool,
}

/// What a request asked of the model, for its line in the log.
#[derive(Clone, Debug, Default)]
pub struct Work {
    /// Its texts; empty unless texts are logged.
    pub texts: Vec<String>,
    /// Number of texts.
    pub count: usize,
    /// Number of tokens, special tokens included.
    pub tokens: usize,
}

impl Log {
    /// Prints the line of a request, if lines are asked for.
    pub fn request(self, method: &str, path: &str, status: u16, time: Duration, work: Option<&Work>) {
        if self.log_requests || self.log_texts {
            say(&self.line(method, path, status, time, work));
        }
    }

    fn line(self, method: &str, path: &str, status: u16, time: Duration, work: Option<&Work>) -> String {
        let milliseconds = 1e3 * time.as_secs_f64();
        let mut line = format!("{} {} {status} {milliseconds:.1} ms", shaped(method), shaped(path));
        if let Some(Work { texts, count, tokens }) = work {
            line += &format!(", {count} text{}, {tokens} tokens", if *count == 1 { "" } else { "s" });
            for text in texts.iter().filter(|_| self.log_texts) {
                line += &format!(" {:?}", shaped(text));
            }
        }
        line
    }
}

/// Prints a line on standard output. A reader that went away does not end the server.
pub fn say(line: &str) {
    midashi_stage::outln!("{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_logged_only_when_they_are_asked_for_and_on_one_line() {
        let work = Work { texts: vec!["秘密\n\u{1B}[31m".into()], count: 1, tokens: 4 };
        let line = |log_texts| {
            let log = Log { log_requests: true, log_texts };
            log.line("POST", "/predict", 200, Duration::from_micros(3210), Some(&work))
        };
        assert_eq!(line(false), "POST /predict 200 3.2 ms, 1 text, 4 tokens");
        let with_text = line(true);
        assert!(with_text.contains("秘密") && !with_text.contains(['\n', '\u{1B}']), "{with_text}");
    }
}
