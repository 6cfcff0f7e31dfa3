//! Progress of long work: a bar with rate and time left on a terminal, plain lines in a log.

use std::fmt;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// A log gets a line at most this often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Progress of work of known length, counted in `unit`s.
pub struct Progress {
    label: String,
    unit: &'static str,
    total: u64,
    done: u64,
    started: Instant,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts counting to `total`.
    pub fn new(label: impl Into<String>, total: u64, unit: &'static str) -> Self {
        let label = label.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(total);
            let template = format!(
                "  {{prefix}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit}  {{rate}}/s  {{eta}} left"
            );
            if let Ok(style) = ProgressStyle::with_template(&template) {
                let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
                    // Work goes on even if the bar cannot be drawn.
                    let _ = write!(text, "{:.0}", state.per_sec());
                };
                bar.set_style(style.with_key("rate", rate));
            }
            bar.set_prefix(label.clone());
            bar
        });
        let now = Instant::now();
        Self { label, unit, total, done: 0, started: now, last_line: now, bar }
    }

    /// Counts `count` more.
    pub fn advance(&mut self, count: u64) {
        self.done += count;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if self.last_line.elapsed() >= LOG_INTERVAL => {
                self.last_line = Instant::now();
                crate::errln!("  {}", self.line());
            }
            None => {}
        }
    }

    /// Prints a line above the bar.
    pub fn println(&self, line: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| crate::outln!("{line}")),
            None => crate::outln!("{line}"),
        }
    }

    /// Ends the work and removes the bar.
    pub fn finish(self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let rate = self.done as f64 / seconds.max(1e-9);
        let left = self.total.saturating_sub(self.done) as f64 / rate.max(1e-9);
        format!("{}: {}/{} {} ({rate:.0}/s, {left:.0} s left)", self.label, self.done, self.total, self.unit)
    }
}
