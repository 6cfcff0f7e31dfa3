#![no_main]

use midashi_encoder::fuzzing::{CONFIG, Counting};

#[global_allocator]
static MEMORY: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    CONFIG.run(input);
});
