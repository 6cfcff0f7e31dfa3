//! The readers of checkpoints for cargo-fuzz (`tests/fuzz`), and tests of them with its seeds.
//!
//! Sizes that a file claims must not be allocated: directories are bounded by the file's length, and a tensor
//! is read only if its bytes exist.

#[path = "../../../../tests/fuzz/reader.rs"]
mod reader;

pub use self::reader::{Counting, Reader};
use super::directory::{Directory, Stored};
use super::{pytorch, safetensors};
use crate::config::EncoderConfig;

/// `pytorch_model.bin`. A byte of a pickle can be an object (32 bytes) and a value on the stack (24), in
/// vectors that double.
pub const PYTORCH: Reader = Reader {
    name: "pytorch",
    bytes_per_byte: 256,
    bytes: 1 << 16,
    read: |input| pytorch::directory(input).is_ok_and(|directory| is_readable(&directory, input)),
};

/// `model.safetensors`, and the index of its shards. A number in a shape takes two bytes of JSON
/// and eight of memory, in vectors that double.
pub const SAFETENSORS: Reader = Reader {
    name: "safetensors",
    bytes_per_byte: 64,
    bytes: 1 << 16,
    read: |input| {
        safetensors::shard_names(input).is_ok()
            || safetensors::directory(input).is_ok_and(|directory| is_readable(&directory, input))
    },
};

/// `config.json`, and the tensors that it implies: sixteen names for each layer. A number takes two bytes of
/// JSON and, because all keys are stored and compared, twice 72 of memory, in vectors that double.
pub const CONFIG: Reader = Reader {
    name: "config",
    bytes_per_byte: 192,
    bytes: 8 << 20,
    read: |input| {
        serde_json::from_slice::<EncoderConfig>(input).is_ok_and(|config| {
            let tensors = config.tensors();
            tensors.iter().all(|(name, shape)| {
                config.architecture().rows_before(name, &config);
                !config.architecture().spellings(name).is_empty() && shape.iter().all(|size| *size > 0)
            })
        })
    },
};

/// Whether the first tensors are within the file and have as many numbers as their shape.
fn is_readable(directory: &Directory, input: &[u8]) -> bool {
    let holds = |stored: &Stored| {
        let array = input.get(stored.bytes.clone()).map(|bytes| stored.read(bytes));
        array.is_some_and(|array| array.is_ok_and(|array| array.shape() == stored.shape))
    };
    directory.values().take(16).all(holds)
}

#[cfg(test)]
mod tests {
    use super::reader::replay::replay;
    use super::*;

    #[global_allocator]
    static MEMORY: Counting = Counting;

    #[test]
    fn damaged_pytorch_files_stay_within_the_bounds() {
        replay(&PYTORCH, 20_000);
    }

    #[test]
    fn damaged_safetensors_files_stay_within_the_bounds() {
        replay(&SAFETENSORS, 20_000);
    }

    #[test]
    fn damaged_configurations_stay_within_the_bounds() {
        replay(&CONFIG, 5_000);
    }

    /// A legacy stream with this program in place of the state dict.
    fn legacy(program: &[u8]) -> Vec<u8> {
        [
            &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."[..],
            b"\x80\x02}U\x0dlittle_endian\x88s.",
            program,
        ]
        .concat()
    }

    #[test]
    fn no_opcode_allocates_much_for_a_byte() {
        let storage = b"((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x00tQK\x00)";
        let tensor = [&b"ctorch._utils\n_rebuild_tensor_v2\nq\x01"[..], storage, b")tq\x02"].concat();
        for start in [b")q\x00", b"]q\x00", b"}q\x00", b"Nq\x00"] {
            for opcode in 0..=u8::MAX {
                let repeated: [&[u8]; 4] =
                    [&[opcode], &[opcode, opcode, 0], &[b'h', 0, opcode], &[b'(', opcode]];
                for repeated in repeated {
                    PYTORCH.run(&legacy(&[start, &*repeated.repeat(10_000)].concat()));
                }
            }
        }
        for repeated in [&b"h\x01h\x02R"[..], b"h\x01h\x02R\x85", b"(h\x01h\x02R"] {
            PYTORCH.run(&legacy(&[&*tensor, &*repeated.repeat(10_000)].concat()));
        }
    }

    #[test]
    fn long_lists_stay_within_the_bound() {
        // One more than a vector holds that has doubled until now.
        let numbers = vec!["0"; (1 << 17) + 1].join(",");
        let seed =
            include_str!("../../../../tests/fuzz/seeds/config/bert.json").trim_start().strip_prefix('{');
        let config = format!(r#"{{"other": [{numbers}], {}"#, seed.unwrap());
        assert!(
            CONFIG.run(config.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1024").as_bytes())
        );

        let header = format!(r#"{{"a":{{"dtype":"F32","shape":[{numbers}],"data_offsets":[0,0]}}}}"#);
        SAFETENSORS.run(&[&header.len().to_le_bytes()[..], header.as_bytes()].concat());
        SAFETENSORS.run(format!(r#"{{"weight_map": {{}}, "other": [{numbers}]}}"#).as_bytes());
    }

    #[test]
    fn a_long_name_that_is_repeated_takes_no_time() {
        let name = [&b"X\x00\x00\x08\x00"[..], &[b'a'; 1 << 19], b"q\x03"].concat();
        let storage = b"((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x00tQK\x00))t";
        let tensor = [b"ctorch._utils\n_rebuild_tensor_v2\n", &storage[..], b"Rq\x04"].concat();
        let entries = b"h\x03h\x04".repeat(100_000);
        let program = [&*name, &*tensor, b"}(", &*entries, b"u.]."].concat();
        let start = std::time::Instant::now();
        assert!(PYTORCH.run(&legacy(&program)));
        // Fifty gigabytes of names would take a minute.
        assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
    }
}
