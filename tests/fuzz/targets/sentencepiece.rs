#![no_main]

use midashi_tokenizer::fuzzing::{Counting, SENTENCEPIECE};

#[global_allocator]
static MEMORY: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    SENTENCEPIECE.run(input);
});
