#![no_main]

#[path = "../texts.rs"]
mod texts;

use texts::fuzzing::{Counting, PAX};

#[global_allocator]
static MEMORY: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    PAX.run(input);
});
