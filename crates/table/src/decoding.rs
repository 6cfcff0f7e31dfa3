//! Decoders of other crates, which may panic on damaged bytes.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a decoder; a panic becomes an error. After one, the decoder must not be used again: [`crate::Reader`] ends at the
/// first error.
pub(crate) fn guarded<T>(decode: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(decode))
        .unwrap_or_else(|_| Err("its decoder gave up on damaged bytes".to_owned()))
}
