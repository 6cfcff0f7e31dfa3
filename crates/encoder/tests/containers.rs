//! The same BERT in every container of checkpoints, and damaged or hostile containers.
//!
//! `tests/parity/container_reference.py` writes the files of `tests/fixtures/containers` with `torch.save` and
//! safetensors.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests say what they expect by failing")]

use std::fs;
use std::path::{Path, PathBuf};

use midashi_encoder::{Checkpoint, Error, Weights};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/containers").join(name)
}

/// A folder with the fixture's `config.json` and no weights.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::copy(fixture("config.json"), folder.path().join("config.json")).unwrap();
    folder
}

/// A folder with the fixture's `config.json` and this `pytorch_model.bin`.
fn folder_with(pickle: &[u8]) -> TempDir {
    let folder = folder();
    fs::write(folder.path().join("pytorch_model.bin"), pickle).unwrap();
    folder
}

fn load(folder: &Path) -> Result<Weights, Error> {
    Checkpoint::open(folder)?.encoder()
}

fn load_pickle(pickle: &[u8]) -> Result<Weights, Error> {
    load(folder_with(pickle).path())
}

/// The message with which a `pytorch_model.bin` is refused.
fn refusal(pickle: &[u8]) -> String {
    let message = load_pickle(pickle).err().unwrap().to_string();
    assert!(message.contains("pytorch_model.bin: "), "{message}");
    message
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "{message:?} does not contain {part:?}");
    }
}

fn truth() -> Weights {
    load(&fixture("")).unwrap()
}

#[track_caller]
fn assert_same(found: &Weights) {
    let truth = truth();
    assert_eq!(found.iter().count(), truth.iter().count());
    for ((name, found), (expected_name, expected)) in found.iter().zip(truth.iter()) {
        assert_eq!(name, expected_name);
        assert_eq!(found, expected, "{name}");
        assert!(found.is_standard_layout(), "{name}");
    }
}

fn copy_shards(folder: &Path) {
    for entry in fs::read_dir(fixture("sharded")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.join(path.file_name().unwrap())).unwrap();
    }
}

#[test]
fn every_pytorch_file_gives_the_weights_of_the_safetensors_file() {
    for name in [
        "zip.bin",
        "zip_plain_float16.bin",
        "zip_module_float16.bin",
        "zip_state_dict_float16.bin",
        "legacy_gamma.bin",
        "legacy_bfloat16.bin",
        "legacy_views.bin",
    ] {
        println!("{name}");
        let folder = folder_with(&fs::read(fixture(name)).unwrap());
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        assert_same(&checkpoint.encoder().unwrap());
        let files = ["config.json", "pytorch_model.bin"].map(|name| folder.path().join(name));
        assert_eq!(checkpoint.files(), files);
    }
}

#[test]
fn tensors_in_place_are_those_that_are_read() {
    let checkpoint = Checkpoint::open(&fixture("")).unwrap();
    let (weights, in_place) = (checkpoint.encoder().unwrap(), checkpoint.in_place().unwrap());
    let bytes = fs::read(fixture("model.safetensors")).unwrap();
    assert_eq!(in_place.len(), weights.iter().count());
    for (name, tensor) in weights.iter() {
        let range = &in_place[name];
        let found = &bytes[range.clone()];
        let expected: Vec<u8> = tensor.iter().flat_map(|number| number.to_le_bytes()).collect();
        assert!(found == expected, "{name}");
    }
    // Fewer words are other rows, and other containers have another order of bytes or several files.
    let fewer = Checkpoint::open(&fixture("")).unwrap().with_words((0..8).collect()).unwrap();
    assert_eq!(fewer.in_place().unwrap().len(), in_place.len() - 1);
    let folder = folder();
    copy_shards(folder.path());
    assert!(Checkpoint::open(folder.path()).unwrap().in_place().unwrap().is_empty());
}

#[test]
fn shards_give_the_weights_of_the_whole_file() {
    let folder = folder();
    copy_shards(folder.path());
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    assert_same(&checkpoint.encoder().unwrap());
    let files = [
        "config.json",
        "model.safetensors.index.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ];
    assert_eq!(checkpoint.files(), files.map(|name| folder.path().join(name)));
}

#[test]
fn safetensors_is_preferred_to_shards_and_shards_to_pickle() {
    let folder = folder_with(b"never read");
    copy_shards(folder.path());
    assert_same(&load(folder.path()).unwrap());

    fs::copy(fixture("model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    fs::write(folder.path().join("model.safetensors.index.json"), "never read").unwrap();
    assert_same(&load(folder.path()).unwrap());
}

#[test]
fn a_folder_without_weights_is_refused_with_the_expected_names() {
    let message = load(folder().path()).err().unwrap().to_string();
    assert_says(&message, &["model.safetensors,", "model.safetensors.index.json", "pytorch_model.bin"]);
}

#[test]
fn a_shard_that_is_missing_or_in_another_folder_is_named() {
    let folder = folder();
    copy_shards(folder.path());
    let index = folder.path().join("model.safetensors.index.json");
    let text = fs::read_to_string(&index).unwrap();
    fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let message = load(folder.path()).err().unwrap().to_string();
    assert_says(&message, &["index.json", "model-00002-of-00002.safetensors is missing"]);

    for name in ["../secret", "/etc/passwd", "..", "", "a/b"] {
        fs::write(&index, text.replace("model-00001-of-00002.safetensors", name)).unwrap();
        let message = load(folder.path()).err().unwrap().to_string();
        assert_says(&message, &["index.json", &format!("{name:?}"), "plain file names"]);
    }

    fs::write(&index, "{}").unwrap();
    assert_says(&load(folder.path()).err().unwrap().to_string(), &["index.json", "weight_map"]);
}

#[test]
fn a_missing_tensor_and_a_wrong_shape_are_named_in_every_container() {
    let shards = folder();
    copy_shards(shards.path());
    let whole = folder();
    fs::copy(fixture("model.safetensors"), whole.path().join("model.safetensors")).unwrap();
    let zip = folder_with(&fs::read(fixture("zip.bin")).unwrap());
    let legacy = folder_with(&fs::read(fixture("legacy_views.bin")).unwrap());
    let cases = [
        (whole, "model.safetensors: ", "model.safetensors: "),
        (shards, "model.safetensors.index.json: ", "-of-00002.safetensors: "),
        (zip, "pytorch_model.bin: ", "pytorch_model.bin: "),
        (legacy, "pytorch_model.bin: ", "pytorch_model.bin: "),
    ];
    for (folder, missing_from, wrong_in) in cases {
        let config = folder.path().join("config.json");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, text.replace("\"num_hidden_layers\": 2", "\"num_hidden_layers\": 3")).unwrap();
        let message = load(folder.path()).err().unwrap().to_string();
        assert_says(&message, &[missing_from, "no tensor bert.encoder.layer.2."]);

        fs::write(&config, text.replace("\"vocab_size\": 12", "\"vocab_size\": 13")).unwrap();
        let message = load(folder.path()).err().unwrap().to_string();
        assert_says(&message, &[wrong_in, "word_embeddings.weight", "[12, 16]", "[13, 16]"]);
    }
}

/// The safetensors fixture with other names, and with `number` at one place of the tensor `changed`.
fn safetensors(prefix: &str, changed: &str, number: f32) -> TempDir {
    let (folder, truth) = (folder(), truth());
    let mut tensors: Vec<(String, Vec<usize>, Vec<u8>)> = Vec::new();
    for (name, tensor) in truth.iter() {
        let mut numbers: Vec<f32> = tensor.iter().copied().collect();
        if name == changed {
            numbers[5] = number;
        }
        let bytes = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        tensors.push((format!("{prefix}{name}"), tensor.shape().to_vec(), bytes));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        (
            name,
            safetensors::tensor::TensorView::new(safetensors::tensor::Dtype::F32, shape.clone(), bytes)
                .unwrap(),
        )
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
    folder
}

#[test]
fn names_may_have_the_prefix_of_a_training_program() {
    for prefix in ["", "module.", "model.", "module.model."] {
        let folder = safetensors(prefix, "", 0.0);
        let checkpoint = Checkpoint::open(folder.path()).unwrap();
        assert_same(&checkpoint.encoder().unwrap());
        assert!(checkpoint.unused(&checkpoint.encoder().unwrap()).unwrap().is_empty(), "{prefix}");
    }
}

#[test]
fn the_names_that_were_found_are_listed_beside_the_expected_one() {
    let folder = safetensors("net.", "", 0.0);
    let message = load(folder.path()).err().unwrap().to_string();
    assert_says(
        &message,
        &["no tensor bert.embeddings.", "found 37 tensors, net.bert.embeddings.LayerNorm.bias, ", ", …"],
    );
}

#[test]
fn a_number_that_is_not_finite_is_named_with_its_tensor_and_file() {
    let name = "bert.encoder.layer.1.output.dense.weight";
    for (number, written) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let folder = safetensors("", name, number);
        let message = load(folder.path()).err().unwrap().to_string();
        assert_says(
            &message,
            &["model.safetensors: tensor ", name, &format!("has {written} as its number 5 "), "[16, 20]"],
        );
    }
    // An infinity of float16 in a pickle.
    let mut pickle = fs::read(fixture("zip_plain_float16.bin")).unwrap();

    let words = truth().get("bert.embeddings.word_embeddings.weight").unwrap().clone();
    let bytes: Vec<u8> = words.iter().flat_map(|number| half::f16::from_f32(*number).to_le_bytes()).collect();
    let at = pickle.windows(bytes.len()).position(|window| window == bytes).unwrap();
    pickle[at..at + 2].copy_from_slice(&half::f16::INFINITY.to_le_bytes());
    // The reader does not compare checksums of the archive.
    assert_says(&refusal(&pickle), &["word_embeddings.weight has inf as its number 0"]);
}

#[cfg(unix)]
#[test]
fn a_fifo_is_not_waited_for() {
    for name in ["config.json", "model.safetensors"] {
        let folder = folder();
        let path = folder.path().join(name);
        let _ = fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || sender.send(load(folder.path()).is_err()));
        assert_eq!(receiver.recv_timeout(std::time::Duration::from_secs(20)), Ok(true), "{name}");
    }
}

#[test]
fn float64_is_refused_by_name() {
    let message = refusal(&fs::read(fixture("zip_float64.bin")).unwrap());
    assert_says(&message, &["bert.embeddings.word_embeddings.weight", "F64", "expected F32, F16 or BF16"]);
}

#[test]
fn a_file_of_another_format_is_refused() {
    let pointer = refusal(b"version https://git-lfs.github.com/spec/v1\n");
    assert_says(&pointer, &["Git LFS pointer", "git lfs pull"]);
    let folder = folder();
    fs::write(folder.path().join("model.safetensors"), "version https://git-lfs.github.com/spec/v1\n")
        .unwrap();
    assert_says(&load(folder.path()).err().unwrap().to_string(), &["model.safetensors: ", "Git LFS pointer"]);
    assert_says(&refusal(b""), &["expected a PyTorch checkpoint"]);
    assert_says(&refusal(b"PK\x03\x04"), &["not a whole zip archive"]);
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    for name in ["zip.bin", "legacy_gamma.bin"] {
        let whole = fs::read(fixture(name)).unwrap();
        let folder = folder_with(b"");
        let path = folder.path().join("pytorch_model.bin");
        for length in (0..whole.len()).step_by(29).chain([whole.len() - 1]) {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(load(folder.path()).is_err(), "{name} cut after {length} bytes");
        }
    }
}

#[test]
fn a_damaged_byte_never_causes_a_panic() {
    for name in ["zip_plain_float16.bin", "legacy_views.bin", "model.safetensors"] {
        let whole = fs::read(fixture(name)).unwrap();
        let folder = folder();
        let pickled = name.ends_with(".bin");
        let path = folder.path().join(if pickled { "pytorch_model.bin" } else { name });
        let mut refused = 0;
        // Headers are at the start and, in a zip archive, also at the end.
        for at in (0..6000).chain(whole.len() - 6000..whole.len()).step_by(19) {
            let mut damaged = whole.clone();
            damaged[at] = damaged[at].wrapping_add(1 + (at % 255) as u8);
            fs::write(&path, damaged).unwrap();
            refused += usize::from(load(folder.path()).is_err());
        }
        assert!(refused > 100, "{name}: {refused} refused");
    }
}

/// A legacy stream of this state dict and these storages.
fn legacy(state: &[u8], keys: &[u8], storages: &[u8]) -> Vec<u8> {
    [
        &b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."[..],
        b"\x80\x02M\xe9\x03.",
        b"\x80\x02}U\x0dlittle_endian\x88s.",
        b"\x80\x02",
        state,
        b".\x80\x02",
        keys,
        b".",
        storages,
    ]
    .concat()
}

/// A state dict of the word embeddings alone: a storage of `count` elements, and the view's offset, sizes and
/// strides as pickled.
fn embeddings(count: &[u8], view: &[u8]) -> Vec<u8> {
    [
        &b"}U\x26bert.embeddings.word_embeddings.weightctorch._utils\n_rebuild_tensor_v2\n"[..],
        b"((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpu",
        count,
        b"NtQ",
        view,
        b"\x89}tRs",
    ]
    .concat()
}

/// A storage: its number of elements, then zeros.
fn storage(count: i64, bytes: usize) -> Vec<u8> {
    [&count.to_le_bytes()[..], &vec![0; bytes]].concat()
}

/// The pickled list of the one storage's key.
const KEYS: &[u8] = b"]U\x010a";
const NO_KEYS: &[u8] = b"]";
/// 192 elements: all of the word embeddings, `[12, 16]`.
const COUNT: &[u8] = b"K\xc0";
const VIEW: &[u8] = b"K\x00K\x0cK\x10\x86K\x10K\x01\x86";

#[test]
fn a_handmade_stream_is_read_up_to_its_missing_tensor() {
    // Proves that the refusals below are caused by their changes to this stream.
    let pickle = legacy(&embeddings(COUNT, VIEW), KEYS, &storage(192, 768));
    assert_says(&refusal(&pickle), &["no tensor bert.embeddings.position_embeddings.weight"]);
}

#[test]
fn a_global_that_runs_code_is_refused_by_its_name() {
    let call = |global: &str| [b"c", global.as_bytes(), b"(U\x04truetR"].concat();
    for (global, name) in [
        ("os\nsystem\n", "os.system"),
        ("posix\nsystem\n", "posix.system"),
        ("builtins\neval\n", "builtins.eval"),
        ("torch\nload\n", "torch.load"),
        ("torch._utils\n_rebuild_sparse_tensor\n", "torch._utils._rebuild_sparse_tensor"),
    ] {
        let message = refusal(&legacy(&call(global), KEYS, &[]));
        assert_says(&message, &["refused", &format!("{name},"), "byte "]);
    }
}

#[test]
fn views_outside_of_their_storage_are_refused() {
    let outside: [&[u8]; 5] = [
        b"K\x01K\x0cK\x10\x86K\x10K\x01\x86", // begins one element too late
        b"K\x00K\x0cK\x10\x86K\x11K\x01\x86", // rows too far apart
        b"K\x00K\x0cK\x10\x86J\xff\xff\xff\x7fK\x01\x86", // rows much too far apart
        b"K\x00K\x0cK\x10\x86\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x01\x86", // i64::MAX
        b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7fK\x0cK\x10\x86K\x10K\x01\x86",
    ];
    for view in outside {
        let message = refusal(&legacy(&embeddings(COUNT, view), KEYS, &storage(192, 768)));
        assert_says(&message, &["word_embeddings.weight", "outside of its storage 0"]);
    }
    let negative = b"K\x00K\x0cK\x10\x86J\xff\xff\xff\xffK\x01\x86";
    let message = refusal(&legacy(&embeddings(COUNT, negative), KEYS, &storage(192, 768)));
    assert_says(&message, &["Integer(-1)", "not negative"]);
    let repeated = b"K\x00K\x0cK\x10\x86K\x00K\x01\x86";
    let message = refusal(&legacy(&embeddings(COUNT, repeated), KEYS, &storage(192, 768)));
    assert_says(&message, &["word_embeddings.weight", "strides [0, 1]"]);
}

#[test]
fn counts_beyond_the_file_are_refused() {
    let huge = b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f";
    let message = refusal(&legacy(&embeddings(huge, VIEW), KEYS, &storage(i64::MAX, 768)));
    assert_says(&message, &["ends within storage 0"]);
    let message = refusal(&legacy(&embeddings(COUNT, VIEW), KEYS, &storage(193, 772)));
    assert_says(&message, &["storage 0 has 193 elements", "192"]);
    let message = refusal(&legacy(&embeddings(COUNT, VIEW), NO_KEYS, &[]));
    assert_says(&message, &["storage 0", "is missing"]);
    let text = refusal(&legacy(b"X\xff\xff\xff\xff", KEYS, &[]));
    assert_says(&text, &["4294967295 bytes expected"]);
}

#[test]
fn programs_that_do_not_make_a_state_dict_are_refused() {
    for (program, reason) in [
        (&b"K\x01"[..], "no dict of tensors"),
        (b"0", "opcode 0x30"),
        (b"t", "no mark"),
        (b"N((NNNttt", "no mark"),
        (b"N(Nu", "no value"),
        (b"NR", "the stack is empty"),
        (b"N)R", "is called with"),
        (b"N(NR", "expected a tuple"),
        (b"}U\x01as", "has no parts"),
        (b"N(NNu", "has no parts"),
        (b"h\x07", "nothing was kept as 7"),
        (b"NQ", "expected a tuple"),
        (b")Q", "persistent id of 0 parts"),
        (b"\x8a\x09123456789", "integer of 9 bytes"),
    ] {
        assert_says(&refusal(&legacy(program, NO_KEYS, &[])), &[reason]);
    }
}

#[test]
fn depth_cycles_and_length_cost_no_stack() {
    let deep = [&b")"[..], &b"\x85".repeat(1_000_000)].concat();
    assert_says(&refusal(&legacy(&deep, NO_KEYS, &[])), &["no dict of tensors"]);
    let cyclic = b"]q\x00h\x00a";
    assert_says(&refusal(&legacy(cyclic, NO_KEYS, &[])), &["no dict of tensors"]);
    let marks = b"(".repeat(1_000_000);
    assert_says(&refusal(&legacy(&marks, NO_KEYS, &[])), &["the stack is empty"]);
    let endless = b"N".repeat(5_000_000);
    assert_says(&refusal(&legacy(&endless, NO_KEYS, &[])), &["more than 4194304 steps"]);
    let dimensions = [&b"K\x00("[..], &b"K\x01".repeat(100), b"tq\x00h\x00"].concat();
    assert_says(&refusal(&legacy(&embeddings(COUNT, &dimensions), NO_KEYS, &[])), &["100 dimensions"]);
}
