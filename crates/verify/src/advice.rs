//! What to do about a finding.

use midashi_stage::{FileState, Finding};

/// The end of a finding's line: the reason and the command. Empty for an intact file.
pub fn advice(finding: &Finding) -> String {
    let Finding { stage, state, .. } = finding;
    match state {
        FileState::Intact => String::new(),
        FileState::Missing => format!(": {stage} wrote it, and it is gone; run `make {stage}`"),
        FileState::Changed => format!(": not as {stage} wrote it; run `make {stage}`"),
        FileState::Outdated => format!(": not as {stage} read it; run `make {stage}`"),
        FileState::Unrecorded => format!(": run.json does not say how it was made; run `make {stage}`"),
        FileState::DamagedCache => ": not as it was written; the stage that needs it makes it again".into(),
        FileState::DamagedRecord(reason) => format!(": {reason}; run `make all`"),
    }
}
