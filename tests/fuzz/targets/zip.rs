#![no_main]

#[path = "../texts.rs"]
mod texts;

use texts::fuzzing::{Counting, ZIP};

#[global_allocator]
static MEMORY: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    ZIP.run(input);
});
