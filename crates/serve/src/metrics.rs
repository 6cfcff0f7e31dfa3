//! The server's numbers for Prometheus.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// All metrics. Their names begin with `midashi_`.
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    durations: Family<Path, Histogram>,
    failures: Counter,
    queued: Gauge,
    explanations_queued: Gauge,
    explanations_running: Gauge,
    batches: Batches,
}

/// What is measured of the model's batches.
#[derive(Clone)]
pub struct Batches {
    texts: Histogram,
    tokens: Counter,
    padding: Counter,
    seconds: Histogram,
    waits: Histogram,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    path: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Path {
    path: &'static str,
}

/// From half a millisecond to 16 seconds.
fn times() -> Histogram {
    Histogram::new(exponential_buckets(0.0005, 2.0, 16))
}

impl Metrics {
    /// All at 0.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("midashi");
        let requests = Family::default();
        registry.register("requests", "Requests by path and status", requests.clone());
        let durations = Family::new_with_constructor(times as fn() -> Histogram);
        let seconds = Unit::Seconds;
        let what = "Time from a request's head to its answer's head";
        registry.register_with_unit("request_duration", what, seconds.clone(), durations.clone());
        let failures = Counter::default();
        registry.register("model_failures", "Texts that the model could not compute", failures.clone());
        let (queued, explanations_queued) = (Gauge::default(), Gauge::default());
        registry.register("queue_texts", "Texts that wait for the tokenizer or the model", queued.clone());
        let what = "Explanations that wait for the explainer";
        registry.register("queue_explanations", what, explanations_queued.clone());
        let explanations_running = Gauge::default();
        let what = "Explanations that are being computed";
        registry.register("explanations_running", what, explanations_running.clone());
        let batches = Batches {
            texts: Histogram::new(exponential_buckets(1.0, 2.0, 10)),
            tokens: Counter::default(),
            padding: Counter::default(),
            seconds: times(),
            waits: times(),
        };
        registry.register("batch_texts", "Texts of a batch", batches.texts.clone());
        registry.register("tokens", "Tokens that the model read", batches.tokens.clone());
        registry.register("padding_tokens", "Padding that the model read", batches.padding.clone());
        let what = "Time of a batch on the model";
        registry.register_with_unit("batch_duration", what, seconds.clone(), batches.seconds.clone());
        let what = "Time of a text in the queue";
        registry.register_with_unit("queue_duration", what, seconds, batches.waits.clone());
        Self {
            registry,
            requests,
            durations,
            failures,
            queued,
            explanations_queued,
            explanations_running,
            batches,
        }
    }

    /// Counts a request that was answered with `status` after `time`.
    pub fn request(&self, path: &'static str, status: u16, time: Duration) {
        self.requests.get_or_create(&Request { path, status }).inc();
        self.durations.get_or_create(&Path { path }).observe(time.as_secs_f64());
    }

    /// Counts a text that the model could not compute.
    pub fn failure(&self) {
        self.failures.inc();
    }

    /// States whether an explanation is being computed.
    pub fn explaining(&self, is_running: bool) {
        self.explanations_running.set(is_running.into());
    }

    /// What is measured of batches.
    pub fn batches(&self) -> &Batches {
        &self.batches
    }

    /// Everything in OpenMetrics' text format, with the queues' lengths of this moment.
    ///
    /// # Errors
    /// When a metric cannot be written.
    pub fn text(&self, queued: usize, explanations_queued: usize) -> Result<String, std::fmt::Error> {
        self.queued.set(queued as i64);
        self.explanations_queued.set(explanations_queued as i64);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Batches {
    /// Counts a batch of texts of these `lengths`, which took `time`.
    pub fn batch(&self, lengths: &[usize], time: Duration) {
        let tokens: usize = lengths.iter().sum();
        let longest = lengths.iter().copied().max().unwrap_or_default();
        self.texts.observe(lengths.len() as f64);
        self.tokens.inc_by(tokens as u64);
        self.padding.inc_by((longest * lengths.len() - tokens) as u64);
        self.seconds.observe(time.as_secs_f64());
    }

    /// Counts the `time` that a text waited.
    pub fn wait(&self, time: Duration) {
        self.waits.observe(time.as_secs_f64());
    }
}
