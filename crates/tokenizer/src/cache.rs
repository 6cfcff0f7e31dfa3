//! Converted dictionaries on disk: compressed, and quick to load.
//!
//! A file is a sequence of zstd frames, each with its own checksum. So one thread can decompress and check the next
//! frame while Vibrato builds its dictionary from the one before, and still Vibrato, which trusts what it reads, sees
//! no byte that was not checked.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::find_frame_compressed_size;

use crate::error::{Error, Result};

/// Bytes of a frame before compression: small enough for a processor's cache.
const FRAME: usize = 1 << 20;
/// Frames that wait for Vibrato at most.
const WAITING: usize = 4;
/// zstd's own default; a copy is written once, and how fast it can be read hardly depends on the level.
const COMPRESSION_LEVEL: i32 = 3;

/// The dictionary in `file`; none if there is none or it is damaged, for then it is converted anew.
pub(crate) fn load(file: &Path) -> Option<vibrato::Dictionary> {
    let compressed = std::fs::read(file).ok()?;
    let (full, frames) = sync_channel(WAITING);
    let (used, empty) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| decompress(&compressed, full, empty));
        vibrato::Dictionary::read(Frames { frames, used, frame: Vec::new(), read: 0 }).ok()
    })
}

/// Sends the frames one by one, until one is damaged or nobody wants more. Memory that has been read is used again.
fn decompress(mut compressed: &[u8], full: SyncSender<Vec<u8>>, empty: Receiver<Vec<u8>>) {
    let Ok(mut decompressor) = Decompressor::new() else { return };
    while let Ok(length) = find_frame_compressed_size(compressed)
        && let Some((frame, rest)) = compressed.split_at_checked(length)
    {
        let mut bytes = empty.try_recv().unwrap_or_default();
        bytes.clear();
        bytes.reserve(FRAME);
        if decompressor.decompress_to_buffer(frame, &mut bytes).is_err() || full.send(bytes).is_err() {
            return;
        }
        compressed = rest;
    }
}

/// The frames as one stream.
struct Frames {
    frames: Receiver<Vec<u8>>,
    /// Takes the frames that have been read.
    used: Sender<Vec<u8>>,
    frame: Vec<u8>,
    /// How much of `frame` has been read.
    read: usize,
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.read == self.frame.len() {
            let next = self.frames.recv().unwrap_or_default();
            // Nobody takes it any more once all frames are decompressed.
            let _ = self.used.send(std::mem::replace(&mut self.frame, next));
            self.read = 0;
        }
        let count = buffer.len().min(self.frame.len() - self.read);
        buffer[..count].copy_from_slice(&self.frame[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }

    /// Vibrato reads number by number: nearly always the next bytes of the same frame.
    #[inline]
    fn read_exact(&mut self, buffer: &mut [u8]) -> std::io::Result<()> {
        let end = self.read + buffer.len();
        if let Some(bytes) = self.frame.get(self.read..end) {
            buffer.copy_from_slice(bytes);
            self.read = end;
            return Ok(());
        }
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(())
    }
}

/// Writes a dictionary, whole or not at all.
pub(crate) fn save(dictionary: &vibrato::Dictionary, file: &Path) -> Result<()> {
    let failed = |source: std::io::Error| Error::Write { file: file.to_owned(), source };
    let mut bytes = Vec::new();
    dictionary.write(&mut bytes).map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    let mut compressor = Compressor::new(COMPRESSION_LEVEL).map_err(failed)?;
    compressor.include_checksum(true).map_err(failed)?;
    let frames = bytes.chunks(FRAME).map(|frame| compressor.compress(frame));
    let frames: Vec<_> = frames.collect::<std::io::Result<_>>().map_err(failed)?;
    write_atomically(file, &frames.concat()).map_err(failed)
}

/// Writes a file beside its place and moves it there, so that nobody reads half of it.
fn write_atomically(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut temporary = readable_by_all(&mut tempfile::Builder::new()).tempfile_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(file).map(drop).map_err(|error| error.error)
}

/// As the user's mask has it for ordinary files; temporary ones are their owner's alone.
fn readable_by_all<'b, 'p, 's>(
    builder: &'b mut tempfile::Builder<'p, 's>,
) -> &'b mut tempfile::Builder<'p, 's> {
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use vibrato::SystemDictionaryBuilder;

    use super::*;

    /// A dictionary of one word whose connection costs fill several frames.
    fn dictionary() -> vibrato::Dictionary {
        let mut matrix = "1200 1200\n".to_owned();
        for id in 0..1200 {
            matrix += &format!("{id} {id} {}\n", id % 97);
        }
        let categories = "DEFAULT 0 1 0\nSPACE 0 1 0\n0x0020 SPACE\n";
        let unknown = "DEFAULT,0,0,100\nSPACE,0,0,100\n";
        let words = "東京,1,1,10\n";
        SystemDictionaryBuilder::from_readers(
            words.as_bytes(),
            matrix.as_bytes(),
            categories.as_bytes(),
            unknown.as_bytes(),
        )
        .unwrap()
    }

    fn bytes(dictionary: &vibrato::Dictionary) -> Vec<u8> {
        let mut bytes = Vec::new();
        dictionary.write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_dictionary_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("made/on/demand.zst");
        assert!(load(&file).is_none());
        let dictionary = dictionary();
        save(&dictionary, &file).unwrap();
        let written = bytes(&dictionary);
        assert!(written.len() > 2 * FRAME);
        assert_eq!(bytes(&load(&file).unwrap()), written);
    }

    #[test]
    fn a_damaged_file_is_no_other_dictionary() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("copy.zst");
        let dictionary = dictionary();
        save(&dictionary, &file).unwrap();
        let (sound, whole) = (std::fs::read(&file).unwrap(), bytes(&dictionary));
        let read = |bytes: &[u8]| {
            std::fs::write(&file, bytes).unwrap();
            load(&file)
        };
        for at in (0..sound.len()).step_by(sound.len() / 100) {
            let mut damaged = sound.clone();
            damaged[at] ^= 0x40;
            // zstd does not use every bit of a file.
            assert!(read(&damaged).is_none_or(|found| bytes(&found) == whole), "byte {at}");
            assert!(read(&sound[..at]).is_none(), "cut at {at}");
        }
        let first = find_frame_compressed_size(&sound).unwrap();
        assert!(read(&sound[first..]).is_none(), "without its first frame");
        let other = zstd::bulk::compress(b"VibratoTokenizer 0.4\n", COMPRESSION_LEVEL).unwrap();
        assert!(read(&other).is_none(), "of another version");
    }
}
