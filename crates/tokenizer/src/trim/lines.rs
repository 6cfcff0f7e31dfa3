//! Trimming a `vocab.txt`.

use std::path::Path;

use super::file::remove;
use super::kept_ids::KeptIds;
use super::settings::renumber;
use super::wanted::Wanted;
use crate::error::{Result, write};
use crate::settings::{JSON, MODELS, VOCABULARY};
use crate::vocabulary::Vocabulary;

/// Trims the `vocab.txt` in `folder`, of whose tokenizer `special` are the special and added tokens, and removes other
/// vocabularies beside it. Ids behind its lines are those of added tokens.
pub(crate) fn trim_lines(
    folder: &Path,
    special: impl IntoIterator<Item = u32>,
    wanted: &Wanted,
) -> Result<KeptIds> {
    let file = folder.join(VOCABULARY);
    let vocabulary = Vocabulary::read(&file)?;
    let pieces = || (0..).map_while(|id| Some((id, vocabulary.token(id)?)));
    let mut ids = wanted.ids.clone();
    ids.extend(special);
    ids.extend(pieces().filter(|(_, piece)| wanted.keeps(piece)).map(|(id, _)| id));
    let kept = KeptIds::from(ids);
    let lines = pieces().filter(|(id, _)| kept.has(*id)).map(|(_, piece)| format!("{piece}\n"));
    write(&file, lines.collect::<String>())?;
    renumber(folder, &kept)?;
    MODELS.iter().chain([&JSON]).try_for_each(|name| remove(folder, name))?;
    Ok(kept)
}
