//! Runs a reader of untrusted bytes within a memory bound, and replays seeds and damaged seeds.
//!
//! The crates with such readers include this file in their `fuzzing.rs`, for cargo-fuzz and for their own tests.
//! Memory is counted per thread, so tests that run at the same time do not disturb the count.
#![allow(unsafe_code, reason = "an allocator that counts; fuzz targets have no lints")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

/// An allocation beyond this fails at once: a reader that believes a length of exabytes must not exhaust the machine.
const MOST: isize = 2 << 30;

thread_local! {
    /// Bytes that this thread has allocated and not freed, and their maximum.
    static LEVEL: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    /// The largest peak of a reader.
    static RECORD: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator with a count. Allocations of C code are not counted.
pub struct Counting;

fn is_granted(bytes: usize) -> bool {
    let level = LEVEL.get().saturating_add_unsigned(bytes);
    if level <= MOST {
        LEVEL.set(level);
        PEAK.set(PEAK.get().max(level));
    }
    level <= MOST
}

fn give_back(bytes: usize) {
    LEVEL.set(LEVEL.get().saturating_sub_unsigned(bytes));
}

// SAFETY: every call goes to the system's allocator as it came, or returns null.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_granted(layout.size()) {
            return ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_granted(layout.size()) {
            return ptr::null_mut();
        }
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        give_back(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }

    /// Both blocks count until the old one is freed: the new one may lie elsewhere.
    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_granted(size) {
            return ptr::null_mut();
        }
        give_back(layout.size());
        // SAFETY: the caller keeps the contract.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// A reader and its memory bound.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The name of its target and of its folder of seeds.
    pub name: &'static str,
    /// Bytes of memory for each byte of input.
    pub bytes_per_byte: usize,
    /// Bytes of memory for any input.
    pub bytes: usize,
    /// Reads the input and returns whether it was accepted. It must not panic.
    pub read: fn(&[u8]) -> bool,
}

impl Reader {
    /// Reads `input` within the bound and returns whether it was accepted.
    ///
    /// # Panics
    /// When the reader panics or exceeds its memory bound.
    #[allow(clippy::print_stderr, reason = "for the person who looks for a leak")]
    pub fn run(&self, input: &[u8]) -> bool {
        let bound = self.bytes + self.bytes_per_byte * input.len();
        let before = LEVEL.get();
        PEAK.set(before);
        let is_sound = (self.read)(input);
        let peak = (PEAK.get() - before).unsigned_abs();
        let (name, length) = (self.name, input.len());
        assert!(peak <= bound, "{name}: {peak} bytes of memory for {length}; the bound is {bound}");
        if peak > RECORD.get() + RECORD.get() / 8 {
            RECORD.set(peak);
            eprintln!("{name}: {peak} bytes of memory for {length}, the bound is {bound}");
        }
        is_sound
    }
}

#[cfg(test)]
pub mod replay {
    //! Replays all seeds, first as they are, then damaged by a generator with a fixed seed.

    use std::path::{Path, PathBuf};

    use super::Reader;

    /// Numbers at which readers break: bounds of integers, and lengths beyond the end.
    const INTERESTING: [u64; 12] =
        [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, i64::MAX as u64, u64::MAX];

    /// SplitMix64 (Steele, Lea and Flood 2014).
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((mixed ^ mixed >> 31) % bound.max(1) as u64) as usize
        }
    }

    /// Changes up to four places of `bytes`.
    fn damage(bytes: &mut Vec<u8>, random: &mut Random) {
        for _ in 0..=random.below(4) {
            let start = random.below(bytes.len());
            let end = (start + 1 + random.below(16)).min(bytes.len());
            match random.below(6) {
                _ if bytes.is_empty() => return,
                0 => bytes[start] ^= 1 << random.below(8),
                1 => bytes.truncate(start),
                2 => drop(bytes.drain(start..end)),
                3 => {
                    let part = bytes[start..end].to_vec();
                    let at = random.below(bytes.len());
                    drop(bytes.splice(at..at, part));
                }
                4 => {
                    let part = bytes[start..end].to_vec();
                    let at = random.below(bytes.len() - part.len() + 1);
                    bytes[at..at + part.len()].copy_from_slice(&part);
                }
                _ => {
                    let number = INTERESTING[random.below(INTERESTING.len())].to_le_bytes();
                    let width = [1, 2, 4, 8][random.below(4)].min(bytes.len() - start);
                    bytes[start..start + width].copy_from_slice(&number[..width]);
                }
            }
        }
    }

    /// Saves the input and prints its path when a reader panics.
    struct Trial<'a> {
        reader: &'a Reader,
        seed: &'a Path,
        input: &'a [u8],
    }

    impl Drop for Trial<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                let copy = std::env::temp_dir().join(format!("{}-finding", self.reader.name));
                let saved = std::fs::write(&copy, self.input);
                eprintln!("damaged from {}; saved as {}: {saved:?}", self.seed.display(), copy.display());
            }
        }
    }

    fn seeds(reader: &Reader) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds").join(reader.name);
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    /// Reads every seed and `damaged` damaged forms of each. Every seed must be accepted, except those whose names begin
    /// with `finding`.
    pub fn replay(reader: &Reader, damaged: u32) {
        let mut refused = 0;
        for seed in &seeds(reader) {
            let sound = std::fs::read(seed).unwrap();
            let is_finding = seed.file_name().unwrap().to_string_lossy().starts_with("finding");
            let run = |input: &[u8]| {
                let _trial = Trial { reader, seed, input };
                reader.run(input)
            };
            assert!(run(&sound) || is_finding, "{} is refused", seed.display());
            let mut random = Random(sound.len() as u64);
            for _ in 0..damaged {
                let mut input = sound.clone();
                damage(&mut input, &mut random);
                refused += u32::from(!run(&input));
            }
        }
        assert!(refused > damaged / 4, "{}: only {refused} damaged inputs were refused", reader.name);
    }
}
