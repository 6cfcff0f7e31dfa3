//! Panics of a foreign library as errors.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether this thread is inside a contained call.
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Calls `call`. A panic in it is returned as its message and printed nowhere.
///
/// This is sound for the library's tokenizers. What a call was making is dropped. What outlives it is a tokenizer behind a shared
/// reference, and the library changes only its caches through one: entries that are complete, in a lock that counts a
/// panic as a miss, or in a cell of the thread that unwinding releases. Unwinding does not catch an exhausted stack, so the
/// file's nesting is bounded before.
pub(crate) fn contained<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    silence_contained_panics();
    let was_inside = IS_INSIDE.replace(true);
    let result = catch_unwind(AssertUnwindSafe(call));
    IS_INSIDE.set(was_inside);
    result.map_err(|panic| match panic.downcast::<Stopped>() {
        Ok(stopped) => stopped.0,
        Err(panic) => format!("the tokenizers library cannot work with this file: {}", message(&*panic)),
    })
}

/// An error of ours on its way through the library.
struct Stopped(String);

/// Ends the contained call with this message. It is for places of which the library drops the errors and goes on.
pub(super) fn stop(message: String) -> ! {
    resume_unwind(Box::new(Stopped(message)))
}

/// Puts a hook before the program's own that says nothing about contained panics. The hook is one for all threads.
fn silence_contained_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_INSIDE.get() {
                usual(panic);
            }
        }));
    });
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("a panic without a message")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_message() {
        assert_eq!(contained(|| 1), Ok(1));
        let message = contained(|| -> u32 { panic!("number {}", 7) }).unwrap_err();
        assert!(message.ends_with("number 7"), "{message}");
        let message = contained(|| -> u32 { panic!("a constant") }).unwrap_err();
        assert!(message.ends_with("a constant"), "{message}");
        assert_eq!(contained(|| -> u32 { stop("too long".to_owned()) }), Err("too long".to_owned()));
        assert!(!IS_INSIDE.get());
        let inner = contained(|| contained(|| -> u32 { panic!("inside") }).is_err() && IS_INSIDE.get());
        assert_eq!(inner, Ok(true));
    }
}
