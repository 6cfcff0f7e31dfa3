//! Archives and folders that are damaged, unusual or meant to do harm: each is read or refused with a message, within bounds of
//! memory and time, and nothing in it commands the terminal. Every corpus is made here.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests say what they expect by failing")]

mod archive;
mod archives;
mod case;
mod folders;

use std::io::Write;

/// Written past the test harness, which hides what passing tests print.
fn tell(line: &str) {
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

#[test]
fn every_archive_is_read_or_refused_with_its_reason() {
    let count = archives::try_all();
    assert!(count >= 60, "{count} archives");
    tell(&format!("hostile archives: {count} tried, {count} as expected"));
}

#[test]
fn every_folder_is_read_or_refused_with_its_reason() {
    let count = folders::try_all();
    assert!(count >= 20, "{count} folders");
    tell(&format!("hostile folders: {count} tried, {count} as expected"));
}
