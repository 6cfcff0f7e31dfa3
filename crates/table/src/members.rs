//! Decompression of gzip and Zstandard files of several members, with the zeros that may follow them.
//!
//! A tape drive writes whole blocks, and copies of tapes and of disks keep their zeros. gzip(1) ignores zeros behind the last
//! member (RFC 1952 says nothing about them). Anything else there is an error, because it may be what is left of lost texts.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;
use zstd::stream::read::Decoder as ZstdDecoder;

/// The first bytes of a gzip member (RFC 1952, section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// The first bytes of a Zstandard frame (RFC 8878, section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The format of compressed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// A reader of the bytes that a compressed file holds.
pub struct Members<R: BufRead> {
    container: Container,
    state: State<R>,
}

enum State<R: BufRead> {
    /// Between two members.
    Before(R),
    Gzip(Box<GzDecoder<R>>),
    Zstd(ZstdDecoder<'static, R>),
    /// After the last member, or an error.
    Ended,
}

impl Container {
    /// Recognises compressed bytes by their start.
    pub fn of(start: &[u8]) -> Option<Self> {
        if start.starts_with(&GZIP) {
            Some(Self::Gzip)
        } else if start.starts_with(&ZSTD) {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

impl<R: BufRead> Members<R> {
    /// Decompresses `reader`, which is at the start of a file of this format.
    pub fn new(container: Container, reader: R) -> Self {
        Self { container, state: State::Before(reader) }
    }

    /// The state after a member, or before the first.
    fn next(&self, mut reader: R) -> io::Result<State<R>> {
        match uninterrupted(|| reader.fill_buf().map(|bytes| bytes.first().copied()))? {
            None => Ok(State::Ended),
            Some(0) => {
                only_zeros(&mut reader)?;
                Ok(State::Ended)
            }
            Some(_) => Ok(match self.container {
                Container::Gzip => State::Gzip(Box::new(GzDecoder::new(reader))),
                Container::Zstd => State::Zstd(ZstdDecoder::with_buffer(reader)?.single_frame()),
            }),
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let reader = match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Before(reader) => reader,
                State::Gzip(mut member) => match uninterrupted(|| member.read(buffer))? {
                    0 => member.into_inner(),
                    read => {
                        self.state = State::Gzip(member);
                        return Ok(read);
                    }
                },
                State::Zstd(mut frame) => match uninterrupted(|| frame.read(buffer))? {
                    0 => frame.finish(),
                    read => {
                        self.state = State::Zstd(frame);
                        return Ok(read);
                    }
                },
            };
            self.state = self.next(reader)?;
        }
    }
}

fn only_zeros(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let found = uninterrupted(|| {
            reader.fill_buf().map(|bytes| (bytes.len(), bytes.iter().all(|&byte| byte == 0)))
        });
        let (length, is_zero) = found?;
        if length == 0 {
            return Ok(());
        }
        if !is_zero {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "zeros follow the compressed bytes, and other bytes follow the zeros",
            ));
        }
        reader.consume(length);
    }
}

/// Reads again after a signal. A caller that did so would find the state of [`Members`] gone.
fn uninterrupted<T>(mut read: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match read() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        zstd::encode_all(text, 1).unwrap()
    }

    fn read(bytes: &[u8]) -> io::Result<String> {
        let mut text = String::new();
        // A small buffer, so that a member ends between two of its reads.
        let reader = io::BufReader::with_capacity(7, bytes);
        Members::new(Container::of(bytes).unwrap(), reader).read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_are_joined_and_zeros_behind_them_are_ignored() {
        for compress in [gzip, zstd] {
            let two = [compress(b"one "), compress("二".as_bytes())].concat();
            assert_eq!(read(&two).unwrap(), "one 二");
            for zeros in [1, 511, 10_240] {
                assert_eq!(read(&[two.clone(), vec![0; zeros]].concat()).unwrap(), "one 二");
            }
        }
    }

    #[test]
    fn other_bytes_behind_the_members_are_an_error_and_so_is_a_cut() {
        for compress in [gzip, zstd] {
            let one = compress(b"one");
            assert!(read(&[one.clone(), b"rest".to_vec()].concat()).is_err());
            let behind = read(&[one.clone(), vec![0; 600], b"rest".to_vec()].concat()).unwrap_err();
            assert!(behind.to_string().contains("other bytes follow the zeros"), "{behind}");
            assert!(read(&one[..one.len() - 1]).is_err());
        }
    }
}
