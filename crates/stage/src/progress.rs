//! Progress of long work: a bar with rate and time left on a terminal, plain lines in a log.
//!
//! Work in several parts, such as the epochs of a training, is counted over all of them, so the time left is that of
//! the whole work.

use std::fmt;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use midashi_text::shaped;

/// A log gets a line at most this often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Progress of work, counted in `unit`s.
pub struct Progress {
    label: String,
    unit: &'static str,
    /// None while it is not known.
    total: Option<u64>,
    done: u64,
    /// The part of `done` that an earlier process did: it says nothing about this one's speed.
    inherited: u64,
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
        let label = shaped(&label.into());
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::no_length();
            bar.set_style(style(&format!("  {{prefix}} {{spinner}} {{human_pos}} {unit}  {{speed}}")));
            bar.set_prefix(label.clone());
            bar
        });
        let now = Instant::now();
        Self { label, unit, total: None, done: 0, inherited: 0, started: now, last_line: now, bar }
    }

    /// Sets the expected end, which may be an estimate that gets better.
    pub fn expect(&mut self, total: u64) {
        if let Some(bar) = &self.bar {
            if self.total.is_none() {
                let unit = self.unit;
                bar.set_style(style(&format!(
                    "  {{prefix}} {{wide_bar}} {{human_pos}}/{{human_len}} {unit}  {{speed}}"
                )));
            }
            bar.set_length(total);
        }
        self.total = Some(total);
    }

    /// Names the part of the work that comes next, such as an epoch. The count goes on.
    pub fn relabel(&mut self, label: impl Into<String>) {
        self.label = shaped(&label.into());
        if let Some(bar) = &self.bar {
            bar.set_prefix(self.label.clone());
        }
    }

    /// Counts `count` that are already done, and took no time of this process.
    pub fn inherit(&mut self, count: u64) {
        self.done += count;
        self.inherited += count;
        if let Some(bar) = &self.bar {
            bar.set_position(self.done);
            bar.reset_eta();
        }
    }

    /// Counts `count` more.
    pub fn advance(&mut self, count: u64) {
        self.done += count;
        match &self.bar {
            Some(bar) => bar.set_position(self.done),
            None if self.last_line.elapsed() >= LOG_INTERVAL => {
                self.last_line = Instant::now();
                crate::errln!("  {}", self.line(self.started.elapsed()));
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

    /// A line of a log after `elapsed` time.
    fn line(&self, elapsed: Duration) -> String {
        let Self { label, unit, total, done, .. } = self;
        let per_second = (done - self.inherited) as f64 / elapsed.as_secs_f64().max(1e-9);
        let count = total.map_or(format!("{done}"), |total| format!("{done}/{total}"));
        match speed(per_second, total.map(|total| total.saturating_sub(*done))) {
            speed if speed.is_empty() => format!("{label}: {count} {unit}"),
            speed => format!("{label}: {count} {unit} ({speed})"),
        }
    }
}

/// The rate, and the time that `left` more need; empty while there is no rate.
fn speed(per_second: f64, left: Option<u64>) -> String {
    let Some(rate) = rate(per_second) else { return String::new() };
    match left {
        Some(left) if left > 0 => format!("{rate}, {} left", duration(left as f64 / per_second)),
        _ => rate,
    }
}

/// At least two significant digits, of the first unit of time in which the rate is 1 or more; none for a rate of 0.
fn rate(per_second: f64) -> Option<String> {
    if per_second <= 0.0 || !per_second.is_finite() {
        return None;
    }
    let units = [("s", 1.0), ("min", 60.0), ("h", 3600.0)];
    let (unit, seconds) =
        units.into_iter().find(|(_, seconds)| per_second * seconds >= 1.0).unwrap_or(units[2]);
    let rate = per_second * seconds;
    Some(if rate < 9.95 { format!("{rate:.1}/{unit}") } else { format!("{rate:.0}/{unit}") })
}

/// A duration in its two largest units; a part of a second counts as one.
fn duration(seconds: f64) -> String {
    let seconds = seconds.ceil().max(1.0);
    if seconds < 60.0 {
        return format!("{seconds:.0} s");
    }
    let minutes = (seconds / 60.0).floor();
    if minutes < 60.0 {
        return format!("{minutes:.0} min {:.0} s", seconds - 60.0 * minutes);
    }
    let hours = (minutes / 60.0).floor();
    format!("{hours:.0} h {:.0} min", minutes - 60.0 * hours)
}

fn style(template: &str) -> ProgressStyle {
    let speed = |state: &ProgressState, text: &mut dyn fmt::Write| {
        let left = state.len().map(|total| total.saturating_sub(state.pos()));
        // Work goes on even if the bar cannot be drawn.
        let _ = write!(text, "{}", speed(state.per_sec(), left));
    };
    let style = ProgressStyle::with_template(template);
    style.unwrap_or_else(|_| ProgressStyle::default_bar()).with_key("speed", speed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(progress: &Progress, seconds: f64) -> String {
        progress.line(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn the_time_left_is_that_of_all_parts() {
        // Five epochs of 1,000 texts: after 1,500 texts in 10 s, 3,500 texts remain.
        let mut progress = Progress::new("epoch 1/5", 5_000, "texts");
        progress.advance(1_000);
        progress.relabel("epoch 2/5");
        progress.advance(500);
        assert_eq!(line(&progress, 10.0), "epoch 2/5: 1500/5000 texts (150/s, 24 s left)");
    }

    #[test]
    fn what_an_earlier_process_did_is_no_speed() {
        let mut progress = Progress::new("epoch 3/5", 5_000, "texts");
        progress.inherit(2_500);
        assert_eq!(line(&progress, 0.01), "epoch 3/5: 2500/5000 texts");
        progress.advance(100);
        assert_eq!(line(&progress, 10.0), "epoch 3/5: 2600/5000 texts (10/s, 4 min 0 s left)");
    }

    #[test]
    fn slow_work_has_a_rate_and_unfinished_work_has_time_left() {
        let at = |done, total, seconds| {
            let mut progress = Progress::new("faithfulness", total, "texts");
            progress.advance(done);
            line(&progress, seconds)
        };
        assert_eq!(at(0, 50, 10.0), "faithfulness: 0/50 texts");
        assert_eq!(at(1, 50, 10.0), "faithfulness: 1/50 texts (6.0/min, 8 min 10 s left)");
        assert_eq!(at(1, 50, 300.0), "faithfulness: 1/50 texts (12/h, 4 h 5 min left)");
        assert_eq!(at(30, 50, 12.0), "faithfulness: 30/50 texts (2.5/s, 8 s left)");
        assert_eq!(at(9_999, 10_000, 10.0), "faithfulness: 9999/10000 texts (1000/s, 1 s left)");
        assert_eq!(at(50, 50, 10.0), "faithfulness: 50/50 texts (5.0/s)", "nothing is left");
        let mut unknown = Progress::of_unknown_length("predict", "texts");
        unknown.advance(20);
        assert_eq!(line(&unknown, 40.0), "predict: 20 texts (30/min)");
    }

    #[test]
    fn durations_and_rates_never_round_to_nothing() {
        let zero = |text: &str| text.split([' ', '/']).next() == Some("0") || text.starts_with("0.0");
        for power in -12..12 {
            let number = 3.0 * 10_f64.powi(power);
            assert!(!zero(&duration(number)), "{number}");
            // Below one in an hour's hundredth the rate is not told as zero either.
            if number * 3600.0 >= 0.1 {
                assert!(rate(number).is_some_and(|rate| !zero(&rate)), "{number}");
            }
        }
        assert_eq!(rate(0.0), None);
    }
}
