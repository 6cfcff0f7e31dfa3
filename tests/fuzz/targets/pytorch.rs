#![no_main]

use midashi_encoder::fuzzing::{Counting, PYTORCH};

#[global_allocator]
static MEMORY: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    PYTORCH.run(input);
});
