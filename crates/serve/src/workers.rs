//! The threads that compute.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::app::{App, Shared};

/// Threads that work until the queues of the app are closed.
pub struct Workers {
    app: Shared,
    /// Every thread has a copy until it ends.
    working: Sender<()>,
    ended: Receiver<()>,
}

impl Workers {
    /// None so far.
    pub fn new(app: &Shared) -> Self {
        let (working, ended) = channel();
        Self { app: Arc::clone(app), working, ended }
    }

    /// Starts a thread.
    pub fn start(&self, work: impl FnOnce(&App) + Send + 'static) {
        let (app, working) = (Arc::clone(&self.app), self.working.clone());
        thread::spawn(move || {
            work(&app);
            drop(working);
        });
    }

    /// Refuses further work and waits for the threads, but at most for this `time`: what is still computed then, such as an
    /// explanation that was given up, ends with the process.
    pub fn end(self, time: Duration) {
        self.app.close();
        drop(self.working);
        // Nothing is sent: the channel is closed when the last thread has ended.
        let _ = self.ended.recv_timeout(time);
    }
}
