#![no_main]

#[path = "../texts.rs"]
mod texts;

use texts::fuzzing::{Counting, TAR};

#[global_allocator]
static MEMORY: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    TAR.run(input);
});
