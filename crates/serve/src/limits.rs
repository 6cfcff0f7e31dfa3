//! What the server accepts, and for how long.

use std::time::Duration;

use anyhow::{Result, ensure};

/// Limits, each with the option that raises it.
#[derive(Clone, Debug, clap::Args)]
pub struct Limits {
    /// Largest body of a request in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 2_000_000)]
    pub max_body: usize,
    /// Most texts of one request
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    pub max_texts: usize,
    /// Longest text in characters, whether or not it is truncated afterwards
    #[arg(long, value_name = "COUNT", default_value_t = 20_000)]
    pub max_characters: usize,
    /// Most texts that wait for the model, and most long texts that wait for the tokenizer; more are refused with status 503
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    pub max_queue: usize,
    /// Most explanations that wait; more are refused with status 503
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    pub max_explanations: usize,
    /// Most tokens that the model computes at a time, padding included
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    pub max_batch_tokens: usize,
    /// Seconds until a request is given up
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub timeout: u64,
    /// Truncates texts that are too long, unless a request says otherwise
    #[arg(long)]
    pub auto_truncate: bool,
}

impl Limits {
    /// Checks that the limits let something through.
    ///
    /// # Errors
    /// When a limit is 0, or a request with the most texts would never fit the queue.
    pub fn check(&self) -> Result<()> {
        let counts = [
            ("--max-body", self.max_body),
            ("--max-texts", self.max_texts),
            ("--max-characters", self.max_characters),
            ("--max-queue", self.max_queue),
            ("--max-explanations", self.max_explanations),
            ("--max-batch-tokens", self.max_batch_tokens),
        ];
        for (option, count) in counts {
            ensure!(count > 0, "{option} is 0; expected at least 1");
        }
        ensure!(self.timeout > 0, "--timeout is 0; expected at least 1 second");
        ensure!(
            self.max_texts <= self.max_queue,
            "--max-texts is {}, more than --max-queue, which is {}; a request's texts wait together, so raise \
             --max-queue",
            self.max_texts,
            self.max_queue
        );
        Ok(())
    }

    /// Time until a request is given up.
    pub fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout)
    }
}
