#![no_main]

use midashi_bundled::fuzzing::{Counting, PACKED};

#[global_allocator]
static MEMORY: Counting = Counting;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    PACKED.run(input);
});
