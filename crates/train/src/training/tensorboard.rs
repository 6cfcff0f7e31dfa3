//! Writes scalars for TensorBoard during the training: `tensorboard --logdir artifacts`.
//!
//! Event files are TFRecords (TensorFlow's `core/lib/io/record_writer.h`) of `Event` messages
//! (`core/util/event.proto`). They contain the time of day, so they are logs and not artifacts.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use midashi_stage::{Error, Result};
use prost::Message;

/// TensorBoard reads files with this in their names.
const NAME: &str = "events.out.tfevents";
/// A killed process loses at most the scalars of this time.
const FLUSH_INTERVAL: Duration = Duration::from_secs(2);

/// An open event file.
pub struct EventFile {
    path: PathBuf,
    file: BufWriter<File>,
    flushed: Instant,
}

impl EventFile {
    /// Creates a file in `folder` for a training that has made `steps` steps. Without steps it removes the
    /// files of an earlier training; otherwise it invalidates their scalars of later steps.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub fn create(folder: &Path, steps: usize) -> Result<Self> {
        fs::create_dir_all(folder).map_err(Error::io("create", folder))?;
        if steps == 0 {
            for entry in fs::read_dir(folder).map_err(Error::io("list", folder))? {
                let path = entry.map_err(Error::io("list", folder))?.path();
                if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(NAME)) {
                    fs::remove_file(&path).map_err(Error::io("remove", &path))?;
                }
            }
        }
        let seconds = wall_time() as u64;
        // TensorBoard reads the files of a folder in the order of their names.
        let path = folder.join(format!("{NAME}.{seconds:010}.midashi.{steps:09}"));
        let file = BufWriter::new(File::create(&path).map_err(Error::io("create", &path))?);
        let mut events = Self { path, file, flushed: Instant::now() };
        let of = |step, what| Event { wall_time: wall_time(), step, what: Some(what) };
        events.write(&of(0, What::FileVersion("brain.Event:2".to_owned())))?;
        if steps > 0 {
            let start = SessionLog { status: SessionLog::START };
            events.write(&of(steps as i64 + 1, What::SessionLog(start)))?;
        }
        events.flush()?;
        Ok(events)
    }

    /// Adds scalars after `step`. They are flushed within seconds.
    ///
    /// # Errors
    /// When the file cannot be written to.
    pub fn add(&mut self, step: usize, scalars: &[(&str, f64)]) -> Result<()> {
        let value =
            |&(tag, value): &(&str, f64)| Value { tag: tag.to_owned(), simple_value: Some(value as f32) };
        let summary = Summary { value: scalars.iter().map(value).collect() };
        let what = Some(What::Summary(summary));
        self.write(&Event { wall_time: wall_time(), step: step as i64, what })?;
        if self.flushed.elapsed() >= FLUSH_INTERVAL { self.flush() } else { Ok(()) }
    }

    fn write(&mut self, event: &Event) -> Result<()> {
        write_record(&mut self.file, &event.encode_to_vec()).map_err(Error::io("write", &self.path))
    }

    fn flush(&mut self) -> Result<()> {
        self.flushed = Instant::now();
        self.file.flush().map_err(Error::io("write", &self.path))
    }
}

/// Seconds since 1970; 0 on a clock before that.
fn wall_time() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Length (8 bytes, little-endian), its checksum, the data, their checksum.
fn write_record(file: &mut impl Write, data: &[u8]) -> io::Result<()> {
    let length = (data.len() as u64).to_le_bytes();
    file.write_all(&length)?;
    file.write_all(&masked_checksum(&length).to_le_bytes())?;
    file.write_all(data)?;
    file.write_all(&masked_checksum(data).to_le_bytes())
}

/// CRC-32C, masked because the CRC of data that contains CRCs is weak (`core/lib/hash/crc32c.h`).
fn masked_checksum(data: &[u8]) -> u32 {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The part of `event.proto` and `summary.proto` that is written.
#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    /// With status `START`: steps from this one on are repeated.
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    #[prost(int32, tag = "1")]
    status: i32,
}

impl SessionLog {
    const START: i32 = 1;
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_castagnolis() {
        // RFC 3720 (iSCSI), B.4: 32 bytes of zeros; and the check value of the CRC catalogue.
        assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
        // masked_crc32c of the Python package tensorboard.
        assert_eq!(masked_checksum(b"123456789"), 0xc78a_b0e5);
    }

    #[test]
    fn a_record_is_length_data_and_a_checksum_of_each() {
        // RecordWriter.write(b"abc") of the Python package tensorboard.
        let mut record = Vec::new();
        write_record(&mut record, b"abc").unwrap();
        let expected = [
            [0x03, 0, 0, 0, 0, 0, 0, 0].as_slice(),
            &[0xb0, 0x99, 0x49, 0x0e],
            b"abc",
            &[0x6e, 0x57, 0xf1, 0x21],
        ];
        assert_eq!(record, expected.concat());
    }

    /// The events of a file, found by the format alone.
    fn events(path: &Path) -> Vec<Event> {
        let (bytes, mut events) = (fs::read(path).unwrap(), Vec::new());
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
            events.push(Event::decode(&rest[12..12 + length]).unwrap());
            rest = &rest[16 + length..];
        }
        events
    }

    fn files(folder: &Path) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    #[test]
    fn a_training_begun_anew_replaces_its_files_and_one_that_goes_on_adds_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("events.out.tfevents.0000000001.older"), "old").unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        let mut first = EventFile::create(folder.path(), 0).unwrap();
        first.add(1, &[("loss/train", 2.5), ("gradient_norm", 0.5)]).unwrap();
        drop(first);
        let mut second = EventFile::create(folder.path(), 1).unwrap();
        second.add(2, &[("loss/train", 1.5)]).unwrap();
        drop(second);

        let files = files(folder.path());
        assert_eq!(files.len(), 3, "{files:?}");
        let [first, second] = [&files[0], &files[1]].map(|path| events(path));
        assert_eq!(first[0].what, Some(What::FileVersion("brain.Event:2".into())));
        let value = |tag: &str, value| Value { tag: tag.into(), simple_value: Some(value) };
        let values = vec![value("loss/train", 2.5), value("gradient_norm", 0.5)];
        assert_eq!((first[1].step, &first[1].what), (1, &Some(What::Summary(Summary { value: values }))));
        assert_eq!((second[1].step, &second[1].what), (2, &Some(What::SessionLog(SessionLog { status: 1 }))));
        assert_eq!(second[2].step, 2);
    }
}
