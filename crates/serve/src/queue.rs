//! A bounded queue between requests and the threads that compute.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::batch::next_batch;

/// What waits in a queue.
pub trait Waiting {
    /// Whether nobody waits for the answer any more.
    fn is_cancelled(&self) -> bool;
}

/// Items that wait, oldest first.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    capacity: usize,
}

struct State<T> {
    waiting: VecDeque<T>,
    is_closed: bool,
}

/// Why a queue takes no more items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is no room for all of them.
    Full {
        /// The most items that may wait.
        capacity: usize,
    },
    /// Nobody takes items any more.
    Closed,
}

impl<T: Waiting> Queue<T> {
    /// An empty queue for at most `capacity` items.
    pub fn new(capacity: usize) -> Self {
        let state = State { waiting: VecDeque::new(), is_closed: false };
        Self { state: Mutex::new(state), changed: Condvar::new(), capacity }
    }

    /// Adds all `items` or, if they do not fit, none. Cancelled items make room.
    ///
    /// # Errors
    /// When there is no room or the queue is closed.
    pub fn push(&self, items: Vec<T>) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.is_closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() + items.len() > self.capacity {
            state.waiting.retain(|item| !item.is_cancelled());
        }
        if state.waiting.len() + items.len() > self.capacity {
            return Err(Refused::Full { capacity: self.capacity });
        }
        state.waiting.extend(items);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Waits for items, each of so many `tokens`, and takes those of the next batch ([`next_batch`]); none when the queue is
    /// closed and empty.
    pub fn take(&self, budget: usize, tokens: impl Fn(&T) -> usize) -> Option<Vec<T>> {
        let mut state = self.filled()?;
        let lengths: Vec<usize> = state.waiting.iter().map(tokens).collect();
        Some(remove(&mut state.waiting, next_batch(&lengths, budget)))
    }

    /// Waits for items and takes the oldest; none when the queue is closed and empty.
    pub fn take_one(&self) -> Option<T> {
        self.filled()?.waiting.pop_front()
    }

    /// Refuses further items. Those that wait can still be taken.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    /// Number of items that wait.
    pub fn len(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Whether it takes no more items.
    pub fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Waits for items that are not cancelled; none when the queue is closed and has no such item.
    fn filled(&self) -> Option<MutexGuard<'_, State<T>>> {
        let mut state = self.lock();
        loop {
            state.waiting.retain(|item| !item.is_cancelled());
            if !state.waiting.is_empty() {
                return Some(state);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the items at `places`; the others keep their order.
fn remove<T>(waiting: &mut VecDeque<T>, places: Vec<usize>) -> Vec<T> {
    let mut items: Vec<Option<T>> = std::mem::take(waiting).into_iter().map(Some).collect();
    let taken = places.into_iter().filter_map(|place| items.get_mut(place)?.take()).collect();
    waiting.extend(items.into_iter().flatten());
    taken
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    /// An item with its tokens; a negative one is cancelled.
    #[derive(Debug, PartialEq)]
    struct Item(i32);

    fn tokens(item: &Item) -> usize {
        item.0.unsigned_abs() as usize
    }

    impl Waiting for Item {
        fn is_cancelled(&self) -> bool {
            self.0 < 0
        }
    }

    fn items(tokens: &[i32]) -> Vec<Item> {
        tokens.iter().copied().map(Item).collect()
    }

    #[test]
    fn a_request_waits_as_a_whole_or_not_at_all() {
        let queue = Queue::new(3);
        queue.push(items(&[8, 9])).unwrap();
        assert_eq!(queue.push(items(&[10, 10])), Err(Refused::Full { capacity: 3 }));
        assert_eq!(queue.len(), 2);
        queue.push(items(&[10])).unwrap();
        assert_eq!(queue.take(100, tokens), Some(items(&[8, 9, 10])));
    }

    #[test]
    fn one_item_is_taken_after_the_other() {
        let queue = Queue::new(4);
        queue.push(items(&[9, -1, 8, 9])).unwrap();
        queue.close();
        for expected in [9, 8, 9] {
            assert_eq!(queue.take_one(), Some(Item(expected)));
        }
        assert_eq!(queue.take_one(), None);
    }

    #[test]
    fn what_nobody_waits_for_is_not_computed_and_takes_no_room() {
        let queue = Queue::new(2);
        queue.push(items(&[-1, 2])).unwrap();
        queue.push(items(&[3])).unwrap();
        assert_eq!(queue.take(100, tokens), Some(items(&[2, 3])));
    }

    #[test]
    fn a_closed_queue_is_emptied_and_refuses_more() {
        let queue = Queue::new(8);
        queue.push(items(&[5, 5, 5])).unwrap();
        queue.close();
        assert_eq!(queue.push(items(&[1])), Err(Refused::Closed));
        assert_eq!(queue.take(10, tokens).map(|batch| batch.len()), Some(2));
        assert_eq!(queue.take(10, tokens).map(|batch| batch.len()), Some(1));
        assert_eq!(queue.take(10, tokens), None);
    }

    #[test]
    fn closing_wakes_a_thread_that_waits() {
        let queue = Arc::new(Queue::<Item>::new(1));
        let thread = thread::spawn({
            let queue = Arc::clone(&queue);
            move || queue.take(1, tokens)
        });
        queue.close();
        assert_eq!(thread.join().unwrap(), None);
    }
}
