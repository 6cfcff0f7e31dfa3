//! A corpus of text files: a folder or an archive, with a folder for each category.

pub mod admission;
pub mod article;
pub mod corpus_file;
pub mod corpus_files;
pub mod folder;
#[cfg(test)]
mod fuzzing;
mod layout;
mod metered;
pub mod reading;
mod tar_archive;
mod tar_blocks;
mod tar_pax;
mod zip_archive;
mod zip_directory;
