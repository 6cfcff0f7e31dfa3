//! Progress of long work: a bar with rate and time left on a terminal, plain lines in a log.

use std::fmt;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

/// A log gets a line at most this often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Progress of work, counted in `unit`s.
pub struct Progress {
    label: String,
    unit: &'static str,
    /// None while it is not known.
    total: Option<u64>,
    done: u64,
    started: Instant,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Starts counting to `total`.
    pub fn new(label: impl Into<String>, total: u64, unit: &'static str) -> Self {
        let mut progress = Self::of_unknown_length(label, unit);
        progress.expect(total);
        progress
    }

    /// Starts counting without an end; [`expect`](Self::expect) may set it later.
    pub fn of_unknown_length(label: impl Into<String>, unit: &'static str) -> Self {
        let label = label.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            bar.set_style(style(&format!("  {{prefix}} {{spinner}} {{human_pos}} {unit}  {{rate}}/s")));
            bar.set_prefix(label.clone());
            bar
        });
        let now = Instant::now();
        Self { label, unit, total: None, done: 0, started: now, last_line: now, bar }
    }

    /// Sets the expected end, which may be an estimate that gets better.
    pub fn expect(&mut self, total: u64) {
        if let Some(bar) = &self.bar {
            if self.total.is_none() {
                let unit = self.unit;
                bar.set_style(style(&format!(
                    "  {{prefix}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit}  {{rate}}/s  {{eta}} left"
                )));
            }
            bar.set_length(total);
        }
        self.total = Some(total);
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
        let Self { label, unit, done, .. } = self;
        let Some(total) = self.total else { return format!("{label}: {done} {unit} ({rate:.0}/s)") };
        let left = total.saturating_sub(*done) as f64 / rate.max(1e-9);
        format!("{label}: {done}/{total} {unit} ({rate:.0}/s, {left:.0} s left)")
    }
}

fn style(template: &str) -> ProgressStyle {
    let rate = |state: &ProgressState, text: &mut dyn fmt::Write| {
        // Work goes on even if the bar cannot be drawn.
        let _ = write!(text, "{:.0}", state.per_sec());
    };
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("rate", rate)
}
