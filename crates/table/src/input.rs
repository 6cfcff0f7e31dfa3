//! The bytes of an input: decompressed, with their beginning known.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::members::{Container, Members};

/// The length of the beginning from which delimiter and encoding are recognised.
const HEAD: usize = 256 << 10;

/// The least beginning of a stream. More is taken if it is there, but not waited for.
const LEAST_HEAD: usize = 64;

/// An input after decompression.
pub(crate) struct Input {
    /// Its name in messages.
    pub name: String,
    /// Its beginning.
    pub head: Vec<u8>,
    rest: Box<dyn Read + Send>,
    /// The file, if it is a plain one without compression.
    file: Option<File>,
    /// The bytes read before decompression.
    pub read: Arc<AtomicU64>,
    /// The bytes of the file before decompression, if they are known.
    pub size: Option<u64>,
}

impl Input {
    /// Opens a file.
    pub fn of_file(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let cannot = |doing| Error::io(&name, doing);
        let file = File::open(path).map_err(cannot("open"))?;
        let metadata = file.metadata().map_err(cannot("read"))?;
        if metadata.is_dir() {
            return Err(Error::content(&name, "is a folder; expected a file"));
        }
        let plain = metadata.is_file().then(|| file.try_clone()).transpose().map_err(cannot("open"))?;
        let least = if metadata.is_file() { HEAD } else { LEAST_HEAD };
        let size = metadata.is_file().then_some(metadata.len());
        Self::of(Box::new(file), &name, least, plain, size)
    }

    /// Takes a stream.
    pub fn of_stream(stream: Box<dyn Read + Send>, name: &str) -> Result<Self> {
        Self::of(stream, name, LEAST_HEAD, None, None)
    }

    fn of(
        raw: Box<dyn Read + Send>,
        name: &str,
        least: usize,
        file: Option<File>,
        size: Option<u64>,
    ) -> Result<Self> {
        let read = Arc::new(AtomicU64::new(0));
        let mut raw = Counted { inner: raw, read: read.clone() };
        let cannot_read = || Error::io(name, "read");
        let head = beginning(&mut raw, least).map_err(cannot_read())?;
        let (head, rest, file) = if let Some(container) = Container::of(&head) {
            let all = BufReader::with_capacity(128 << 10, Cursor::new(head).chain(raw));
            let mut rest = Members::new(container, all);
            let head = beginning(&mut rest, least).map_err(Error::io(name, "decompress"))?;
            (head, Box::new(rest) as Box<dyn Read + Send>, None)
        } else {
            (head, Box::new(raw) as Box<dyn Read + Send>, file)
        };
        Ok(Self { name: name.to_owned(), head, rest, file, read, size })
    }

    /// All bytes from the start.
    pub fn into_reader(self) -> Box<dyn Read + Send> {
        Box::new(Cursor::new(self.head).chain(self.rest))
    }

    /// A file with all bytes, for formats that are read from their end. A stream is copied to an unnamed file.
    pub fn into_file(self) -> Result<File> {
        let name = self.name.clone();
        let mut file = match self.file {
            Some(file) => file,
            None => {
                let mut copy = tempfile::tempfile().map_err(Error::io(&name, "make a temporary file for"))?;
                io::copy(&mut self.into_reader(), &mut copy).map_err(Error::io(&name, "read"))?;
                copy
            }
        };
        file.seek(SeekFrom::Start(0)).map_err(Error::io(&name, "read"))?;
        Ok(file)
    }
}

/// At least `least` bytes if there are so many, and what came with them.
fn beginning(reader: &mut impl Read, least: usize) -> io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let mut length = 0;
    while length < least {
        match reader.read(&mut head[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    head.truncate(length);
    Ok(head)
}

/// A reader whose bytes are counted.
struct Counted {
    inner: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.read.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}
