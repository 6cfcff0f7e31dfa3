//! The readers of archives. `midashi-ingest` is a program and no library, so their files are compiled here.
#![allow(dead_code)]

#[path = "../../crates/ingest/src/texts/admission.rs"]
pub mod admission;
#[path = "../../crates/ingest/src/texts/corpus_file.rs"]
pub mod corpus_file;
#[path = "../../crates/ingest/src/texts/fuzzing.rs"]
pub mod fuzzing;
#[path = "../../crates/ingest/src/texts/metered.rs"]
pub mod metered;
#[path = "../../crates/ingest/src/texts/tar_archive.rs"]
pub mod tar_archive;
#[path = "../../crates/ingest/src/texts/tar_blocks.rs"]
pub mod tar_blocks;
#[path = "../../crates/ingest/src/texts/tar_pax.rs"]
pub mod tar_pax;
#[path = "../../crates/ingest/src/texts/zip_archive.rs"]
pub mod zip_archive;
#[path = "../../crates/ingest/src/texts/zip_directory.rs"]
pub mod zip_directory;
