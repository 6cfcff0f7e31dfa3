#![no_main]

use midashi_tokenizer::fuzzing::{Counting, MECAB};

#[global_allocator]
static MEMORY: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    MECAB.run(input);
});
