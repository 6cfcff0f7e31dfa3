#![no_main]

use midashi_tokenizer::fuzzing::{Counting, SETTINGS};

#[global_allocator]
static MEMORY: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    SETTINGS.run(input);
});
