#![no_main]

use midashi_encoder::fuzzing::{Counting, SAFETENSORS};

#[global_allocator]
static MEMORY: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    SAFETENSORS.run(input);
});
