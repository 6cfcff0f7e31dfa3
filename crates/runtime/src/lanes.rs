//! Batches side by side: each thread computes a batch of its own.
//!
//! ONNX Runtime can also divide every node of a graph among threads. They then wait for each other at every node, and each
//! reads what the other has just written. Batches side by side have neither.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::device::Device;
use crate::session::Session;

/// Sessions of one model that compute different batches at the same time.
pub struct Lanes {
    sessions: Vec<Session>,
    device: Device,
}

/// A thread of a CPU computes this share of the tokens that a setting allows a batch: their activations stay in the core's
/// cache.
const SHARE_OF_A_THREAD: usize = 4;

/// Batches whose activations need more bytes together are not computed at the same time.
const MOST_BYTES: u64 = 8 << 30;

impl Lanes {
    /// Most batches at a time. Every session takes a tenth of a second to open, and memory for its activations.
    pub const MOST: usize = 8;

    /// Batches at a time that `threads` threads of a CPU compute. With more than [`Lanes::MOST`] threads, it is the number
    /// that leaves the fewest idle.
    pub fn count_for(threads: usize) -> usize {
        if threads <= Self::MOST {
            return threads.max(1);
        }
        (Self::MOST / 2..=Self::MOST).max_by_key(|count| threads / count * count).unwrap_or(Self::MOST)
    }

    pub(crate) fn new(sessions: Vec<Session>, device: Device) -> Self {
        Self { sessions, device }
    }

    /// Batches at a time.
    pub fn count(&self) -> usize {
        self.sessions.len()
    }

    /// Tokens of one batch, where a setting allows a batch `budget` tokens.
    pub fn tokens(&self, budget: usize) -> usize {
        match self.device {
            Device::Cpu => (budget / SHARE_OF_A_THREAD).max(1),
            Device::Cuda => budget,
        }
    }

    /// Calls `compute` for each of the batches `0..count`, in several threads, and `take` with the results, in the calling
    /// thread and in the order of the batches. Of batches that may need so many `bytes` each, as many are computed at a time as
    /// need 8 GiB, and at least one. Results wait in memory for those before them; batches of about the same size
    /// leave few of them waiting.
    ///
    /// # Errors
    /// The first error in the order of the batches. The batches after it are not begun, or their results are dropped.
    ///
    /// # Panics
    /// When `compute` panics, or the system starts no further thread.
    pub fn run_each<T: Send, E: Send>(
        &mut self,
        count: usize,
        bytes: u64,
        compute: impl Fn(&mut Session, usize) -> Result<T, E> + Sync,
        mut take: impl FnMut(usize, T) -> Result<(), E>,
    ) -> Result<(), E> {
        let at_once = usize::try_from(MOST_BYTES / bytes.max(1)).unwrap_or(usize::MAX);
        let at_once = at_once.clamp(1, self.sessions.len());
        let sessions = &mut self.sessions[..at_once];
        if let ([session], _) | ([session, ..], 0..=1) = (&mut *sessions, count) {
            return (0..count).try_for_each(|batch| take(batch, compute(session, batch)?));
        }
        let (next, compute) = (AtomicUsize::new(0), &compute);
        thread::scope(|scope| {
            let (sender, results) = sync_channel(at_once);
            for session in sessions {
                let (sender, next) = (sender.clone(), &next);
                scope.spawn(move || {
                    let _stop = StopOnPanic { next, count };
                    loop {
                        let batch = next.fetch_add(1, Ordering::Relaxed);
                        // Nobody receives after an error.
                        if batch >= count || sender.send((batch, compute(session, batch))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(sender);
            let (mut waiting, mut turn) = (BTreeMap::new(), 0);
            for (batch, result) in results {
                waiting.insert(batch, result);
                while let Some(result) = waiting.remove(&turn) {
                    take(turn, result?)?;
                    turn += 1;
                }
            }
            Ok(())
        })
    }
}

/// After a panic in one thread, the others begin no further batch: nobody takes their results.
struct StopOnPanic<'a> {
    next: &'a AtomicUsize,
    count: usize,
}

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.next.store(self.count, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_threads_are_idle() {
        let found: Vec<usize> = [0, 1, 2, 7, 8, 9, 10, 11, 12, 15, 16, 64, 256].map(Lanes::count_for).into();
        assert_eq!(found, [1, 1, 2, 7, 8, 8, 5, 5, 6, 5, 8, 8, 8]);
    }
}
