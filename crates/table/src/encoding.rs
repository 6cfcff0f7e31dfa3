//! Character encodings: UTF-8 is checked, others are named and converted.

use std::io::{self, Read};

use encoding_rs::{DecoderResult, EUC_JP, Encoding, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE};

use crate::error::{Error, Result};
use crate::options::ReadOptions;

/// UTF-8's byte order mark.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A beginning without the marks before it.
pub(crate) fn without_marks(mut head: &[u8]) -> &[u8] {
    while let Some(rest) = head.strip_prefix(BYTE_ORDER_MARK) {
        head = rest;
    }
    head
}

/// Refuses an input whose beginning is in another encoding than UTF-8, and names the encoding.
pub(crate) fn check(name: &str, head: &[u8], options: &ReadOptions) -> Result<()> {
    if options.encoding.is_some_and(|encoding| encoding != UTF_8) {
        return Ok(());
    }
    let Some(encoding) = recognise(head) else { return Ok(()) };
    let reason =
        format!("is encoded in {}, expected UTF-8; {}", display(encoding), advice(encoding, options));
    Err(Error::content(name, reason))
}

/// What to set for an encoding.
fn advice(encoding: &'static Encoding, options: &ReadOptions) -> String {
    let label = encoding.name().to_ascii_lowercase();
    format!("set {} to \"{label}\" to convert it", options.encoding_setting)
}

fn display(encoding: &'static Encoding) -> &'static str {
    match encoding {
        encoding if encoding == UTF_16LE => "UTF-16 (little-endian)",
        encoding if encoding == UTF_16BE => "UTF-16 (big-endian)",
        encoding => encoding.name(),
    }
}

/// The encoding of a text that is not UTF-8, as far as its beginning shows it: UTF-16, Shift_JIS or EUC-JP. None if the text is
/// UTF-8 or in another encoding.
pub fn recognise(head: &[u8]) -> Option<&'static Encoding> {
    if let Some((encoding, _)) = Encoding::for_bom(head) {
        return (encoding != UTF_8).then_some(encoding);
    }
    // A character that the beginning cuts is no error.
    let is_utf8 = std::str::from_utf8(head).map_or_else(|error| error.error_len().is_none(), |_| true);
    match utf16_without_mark(head, is_utf8) {
        Some(encoding) => Some(encoding),
        None if is_utf8 => None,
        None => japanese(head),
    }
}

/// UTF-16 without a mark: every second byte of ASCII, such as delimiters and line ends, is zero. Text of ASCII alone is valid
/// UTF-8 too, but half of its bytes are zero.
fn utf16_without_mark(head: &[u8], is_utf8: bool) -> Option<&'static Encoding> {
    let zeros = |parity: usize| head.iter().skip(parity).step_by(2).filter(|&&byte| byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    if is_utf8 && (even + odd) * 4 < head.len() {
        return None;
    }
    match (even, odd) {
        (0, 1..) => Some(UTF_16LE),
        (1.., 0) => Some(UTF_16BE),
        _ => None,
    }
}

/// Shift_JIS or EUC-JP, if the bytes are valid in one of them. Where both are possible, the one with fewer half-width
/// katakana: EUC-JP that is read as Shift_JIS is full of them.
///
/// A text that begins with characters of UTF-8 outside ASCII is UTF-8 with broken bytes: in other encodings, bytes seldom form
/// several such characters in a row.
pub(crate) fn japanese(bytes: &[u8]) -> Option<&'static Encoding> {
    const FEW: usize = 3;
    let valid = std::str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), str::len);
    let start = String::from_utf8_lossy(&bytes[..valid]);
    if start.chars().filter(|c| !c.is_ascii()).count() >= FEW {
        return None;
    }
    let score = |encoding: &'static Encoding| {
        let mut decoder = encoding.new_decoder_without_bom_handling();
        let mut text = String::with_capacity(decoder.max_utf8_buffer_length(bytes.len())?);
        let (result, _) = decoder.decode_to_string_without_replacement(bytes, &mut text, false);
        let half_width = text.chars().filter(|c| ('\u{ff61}'..='\u{ff9f}').contains(c)).count();
        (result == DecoderResult::InputEmpty).then_some(half_width)
    };
    match (score(EUC_JP), score(SHIFT_JIS)) {
        (Some(euc), Some(sjis)) => Some(if euc <= sjis { EUC_JP } else { SHIFT_JIS }),
        (Some(_), None) => Some(EUC_JP),
        (None, Some(_)) => Some(SHIFT_JIS),
        (None, None) => None,
    }
}

/// Why bytes are not UTF-8, for the reason of a bad row.
pub(crate) fn explain(bytes: &[u8], error: std::str::Utf8Error, options: &ReadOptions) -> String {
    let at = error.valid_up_to();
    let byte = bytes.get(at).copied().unwrap_or_default();
    if let Some(encoding) = options.encoding {
        return format!("holds bytes that are not {}", display(encoding));
    }
    let found = format!("is not UTF-8 (byte 0x{byte:02x} at offset {at})");
    match japanese(bytes) {
        Some(encoding) => format!("{found}; if it is {}, {}", display(encoding), advice(encoding, options)),
        None => found,
    }
}

/// The text of an input as UTF-8 without byte order marks at its start. A file that was joined from several may begin with
/// several.
///
/// With an encoding, malformed bytes become the byte 0xFF, which is never part of UTF-8: the row that holds them is
/// then reported as every row that is not UTF-8.
pub(crate) fn as_utf8(
    reader: Box<dyn Read + Send>,
    options: &ReadOptions,
) -> io::Result<Box<dyn Read + Send>> {
    let mut reader = match options.encoding {
        Some(encoding) if encoding != UTF_8 => Box::new(Transcoder::new(reader, encoding)),
        _ => reader,
    };
    loop {
        let mut start = Vec::new();
        reader.by_ref().take(BYTE_ORDER_MARK.len() as u64).read_to_end(&mut start)?;
        if start != BYTE_ORDER_MARK {
            return Ok(Box::new(io::Cursor::new(start).chain(reader)));
        }
    }
}

/// Converts to UTF-8 while reading.
struct Transcoder {
    inner: Box<dyn Read + Send>,
    decoder: encoding_rs::Decoder,
    input: Vec<u8>,
    input_at: usize,
    input_end: usize,
    output: Vec<u8>,
    output_at: usize,
    ended: bool,
}

impl Transcoder {
    fn new(inner: Box<dyn Read + Send>, encoding: &'static Encoding) -> Self {
        Self {
            inner,
            decoder: encoding.new_decoder_with_bom_removal(),
            input: vec![0; 64 << 10],
            input_at: 0,
            input_end: 0,
            output: Vec::new(),
            output_at: 0,
            ended: false,
        }
    }

    /// Converts the next part of the input into `output`, which was used up.
    fn fill(&mut self) -> io::Result<()> {
        if self.input_at == self.input_end {
            self.input_end = self.inner.read(&mut self.input)?;
            self.input_at = 0;
        }
        let is_last = self.input_end == 0;
        self.output.resize(256 << 10, 0);
        let input = &self.input[self.input_at..self.input_end];
        let (result, read, written) =
            self.decoder.decode_to_utf8_without_replacement(input, &mut self.output, is_last);
        self.input_at += read;
        self.output.truncate(written);
        self.output_at = 0;
        match result {
            DecoderResult::Malformed(..) => self.output.push(0xff),
            DecoderResult::InputEmpty => self.ended = is_last,
            DecoderResult::OutputFull => {}
        }
        Ok(())
    }
}

impl Read for Transcoder {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.output_at == self.output.len() && !self.ended {
            self.fill()?;
        }
        let length = buffer.len().min(self.output.len() - self.output_at);
        buffer[..length].copy_from_slice(&self.output[self.output_at..][..length]);
        self.output_at += length;
        Ok(length)
    }
}
