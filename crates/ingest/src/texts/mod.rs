//! A corpus of text files: a folder or an archive, with a folder for each category.

pub mod article;
mod corpus_file;
mod corpus_files;
pub mod reading;
mod tar_archive;
mod zip_archive;
