//! Converted dictionaries on disk: compressed and quick to load.
//!
//! A file is a sequence of zstd frames, each with a checksum. One thread decompresses and checks the next frame while
//! Vibrato reads the one before. Vibrato does not validate its input, so it must only get bytes that were checked.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::find_frame_compressed_size;

use crate::error::{Error, Result};

/// Bytes of a frame before compression: it fits a processor's cache.
const FRAME: usize = 1 << 20;
/// The largest number of frames that wait for Vibrato.
const WAITING: usize = 4;
/// zstd's default. The level hardly affects how fast a copy is read.
const COMPRESSION_LEVEL: i32 = 3;

/// Loads the dictionary in `file`; none if the file is missing or damaged, and must be made again.
pub(crate) fn load(file: &Path) -> Option<vibrato::Dictionary> {
    let compressed = std::fs::read(file).ok()?;
    let (full, frames) = sync_channel(WAITING);
    let (used, empty) = channel();
    std::thread::scope(|scope| {
        scope.spawn(|| decompress(&compressed, full, empty));
        vibrato::Dictionary::read(Frames { frames, used, frame: Vec::new(), read: 0 }).ok()
    })
}

/// Sends the frames one by one, until one is damaged or the receiver is gone. Reuses the memory of frames that were read.
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

/// Reads the frames as one stream.
struct Frames {
    frames: Receiver<Vec<u8>>,
    /// Returns frames that were read, for reuse.
    used: Sender<Vec<u8>>,
    frame: Vec<u8>,
    /// Bytes of `frame` that were read.
    read: usize,
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.read == self.frame.len() {
            let next = self.frames.recv().unwrap_or_default();
            // This fails once all frames are decompressed, when the memory is no longer needed.
            let _ = self.used.send(std::mem::replace(&mut self.frame, next));
            self.read = 0;
        }
        let count = buffer.len().min(self.frame.len() - self.read);
        buffer[..count].copy_from_slice(&self.frame[self.read..self.read + count]);
        self.read += count;
        Ok(count)
    }

    /// Vibrato reads number by number, so the bytes are nearly always in the same frame.
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

/// Writes a dictionary atomically.
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

/// Writes a temporary file in the same folder and renames it, so that no reader sees half of it.
fn write_atomically(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let mut temporary = readable_by_all(&mut tempfile::Builder::new()).tempfile_in(folder)?;
    temporary.write_all(bytes)?;
    temporary.as_file().sync_all()?;
    temporary.persist(file).map(drop).map_err(|error| error.error)
}

/// Gives a file the permissions of ordinary files, as the user's umask sets them. Temporary files are readable only by
/// their owner by default.
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
    fn a_damaged_file_is_never_another_dictionary() {
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
            // A few bits of a zstd file have no effect.
            assert!(read(&damaged).is_none_or(|found| bytes(&found) == whole), "byte {at}");
            assert!(read(&sound[..at]).is_none(), "cut at {at}");
        }
        let first = find_frame_compressed_size(&sound).unwrap();
        assert!(read(&sound[first..]).is_none(), "without its first frame");
        let other = zstd::bulk::compress(b"VibratoTokenizer 0.4\n", COMPRESSION_LEVEL).unwrap();
        assert!(read(&other).is_none(), "of another version");
    }
}
