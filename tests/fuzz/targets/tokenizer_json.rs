#![no_main]

use midashi_tokenizer::fuzzing::{Counting, TOKENIZER_JSON};

#[global_allocator]
static MEMORY: Counting = Counting;

// libFuzzer's hook ends the process at every panic, also at those that the tokenizer contains. Without the hook, a panic that
// leaves the tokenizer still ends it.
libfuzzer_sys::fuzz_target!(
    init: drop(std::panic::take_hook()),
    |input: &[u8]| {
        TOKENIZER_JSON.run(input);
    }
);
