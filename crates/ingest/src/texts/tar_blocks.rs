//! The blocks of a tar archive: headers with their checksums, and the bytes between them. Nothing is read into memory whose
//! size was not checked.

use std::io::{self, Read};

use anyhow::{Result, bail, ensure};
use tar::{EntryType, Header};

use crate::texts::metered::{BROKEN, Metered, failed};

/// The length of tar's blocks (POSIX.1-1988, `ustar`).
pub const BLOCK: usize = 512;

/// Where GNU's header tells that more blocks of a sparse file's map follow it, and where each of these does.
const SPARSE_GOES_ON: (usize, usize) = (482, 504);

/// An archive that is read block by block.
pub struct Blocks<R: Read> {
    reader: Metered<R>,
    header_bytes: u64,
}

impl<R: Read> Blocks<R> {
    /// Reads `tar`, of at most `unpacked_bytes`, whose extended headers have at most `header_bytes`.
    pub fn new(tar: R, unpacked_bytes: u64, header_bytes: u64) -> Self {
        Self { reader: Metered::new(tar, unpacked_bytes), header_bytes }
    }

    /// The next header; none at the end of the archive, which is read to the end of the stream.
    ///
    /// # Errors
    /// When it is cut off or has another checksum.
    pub fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? {
            return Ok(None);
        }
        if header.as_bytes().iter().all(|&byte| byte == 0) {
            self.only_zeros()?;
            return Ok(None);
        }
        // The checksum counts itself as spaces.
        let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
        let bytes = header.as_bytes();
        let expected = sum(&bytes[..148]) + 8 * u32::from(b' ') + sum(&bytes[156..]);
        ensure!(header.cksum().map_err(failed)? == expected, "a header has another checksum; {BROKEN}");
        if header.entry_type() == EntryType::GNUSparse {
            self.skip_map(&header)?;
        }
        Ok(Some(header))
    }

    /// The bytes of an extended header, such as a long name.
    ///
    /// # Errors
    /// When they are too many, or cut off.
    pub fn extended(&mut self, size: u64, what: &str) -> Result<Vec<u8>> {
        let most = self.header_bytes;
        ensure!(
            size <= most,
            "an entry has {what} of {size} bytes, expected at most {most} (corpus.limits.header_bytes); {BROKEN}"
        );
        self.bytes(size)
    }

    /// The bytes of an entry, whose size the caller has checked.
    ///
    /// # Errors
    /// When they are cut off.
    pub fn bytes(&mut self, size: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = (&mut self.reader).take(size).read_to_end(&mut bytes).map_err(failed)?;
        ensure!(read as u64 == size, "the archive is cut off; {BROKEN}");
        self.skip_bytes(padding(size))?;
        Ok(bytes)
    }

    /// Skips the bytes of an entry.
    ///
    /// # Errors
    /// When they are cut off.
    pub fn skip(&mut self, size: u64) -> Result<()> {
        self.skip_bytes(size)?;
        self.skip_bytes(padding(size))
    }

    fn skip_bytes(&mut self, size: u64) -> Result<()> {
        let skipped = io::copy(&mut (&mut self.reader).take(size), &mut io::sink()).map_err(failed)?;
        ensure!(skipped == size, "the archive is cut off; {BROKEN}");
        Ok(())
    }

    /// Reads a block; false at the end.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
        let mut length = 0;
        while length < BLOCK {
            match self.reader.read(&mut block[length..]) {
                Ok(0) if length == 0 => return Ok(false),
                Ok(0) => bail!("the archive is cut off; {BROKEN}"),
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(true)
    }

    /// Reads to the end of the stream, behind which the checksum of a compressed one is. Other bytes than zeros may be texts of
    /// a second archive.
    fn only_zeros(&mut self) -> Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match self.reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(failed(error)),
            };
            ensure!(
                buffer[..read].iter().all(|&byte| byte == 0),
                "bytes follow the end of the archive; it may be several archives in one file; unpack them and set \
                 corpus.source to the folder"
            );
        }
    }

    /// Skips the blocks of a sparse file's map behind its header.
    fn skip_map(&mut self, header: &Header) -> Result<()> {
        let mut goes_on = header.as_bytes()[SPARSE_GOES_ON.0] != 0;
        let mut block = [0; BLOCK];
        while goes_on {
            ensure!(self.block(&mut block)?, "the archive is cut off; {BROKEN}");
            goes_on = block[SPARSE_GOES_ON.1] != 0;
        }
        Ok(())
    }
}

/// The zeros behind so many bytes, up to the next block.
fn padding(size: u64) -> u64 {
    let block = BLOCK as u64;
    (block - size % block) % block
}
