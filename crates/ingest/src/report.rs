//! Output on the terminal and details for `run.json`.

use midashi_artifacts::{CategoryId, Split, most_frequent};
use midashi_table::Role;
use midashi_text::shaped;
use serde_json::{Value, json};

use crate::labels::Merged;
use crate::names::some_names;
use crate::tables::table_corpus::TableCorpus;
use crate::texts::reading::{Reading, Remark};

/// The largest number of printed lines of a list. Its length is always printed.
const LISTED: usize = 20;

/// Prints the files of the corpus that are not in `corpus.parquet`, and the articles without a date.
pub fn print_skipped(reading: &Reading) {
    if !reading.notes.is_empty() {
        let notes: Vec<_> = reading.notes.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let count = reading.notes.values().sum::<usize>();
        midashi_stage::outln!("  left out {count} notes about the corpus: {}", notes.join(", "));
    }
    if reading.notes.contains_key("LICENSE") && reading.licences == 0 {
        midashi_stage::outln!(
            "    (the article that Midashi reproduces counted the nine licences as titles)"
        );
    }
    if reading.licences > 0 {
        midashi_stage::outln!(
            "  counted {} licences as titles, as the article did (compat.article)",
            reading.licences
        );
    }
    print_list("skipped", "files that are no .txt", reading.others.iter().map(String::clone));
    print_list(
        "replaced",
        "files that the archive holds again (the last one counts)",
        reading.replaced.iter().map(String::clone),
    );
    print_list(
        "skipped",
        "bad files (run.json lists them all)",
        reading.bad.iter().map(|Remark { path, what }| format!("{path} {what}")),
    );
    print_list(
        "no date for",
        "articles (published_at is null)",
        reading.undated.iter().map(|Remark { path, what }| {
            format!("{path}: found {what:?}, expected 2012-05-04T09:55:00+0900")
        }),
    );
}

fn print_list(doing: &str, what: &str, lines: impl ExactSizeIterator<Item = String>) {
    let count = lines.len();
    if count == 0 {
        return;
    }
    midashi_stage::outln!("  {doing} {count} {what}:");
    lines.take(LISTED).for_each(|line| midashi_stage::outln!("    {line}"));
    if count > LISTED {
        midashi_stage::outln!("    … and {} more", count - LISTED);
    }
}

/// Prints what was found in tables: columns, labels, and rows that are left out.
pub fn print_table(corpus: &TableCorpus) {
    let survey = &corpus.survey;
    for file in &corpus.tables.files {
        let split = file.split.map(|split| format!(" ({})", split.name())).unwrap_or_default();
        midashi_stage::outln!("  table {}{split}", file.path.display());
    }
    let columns = Role::ALL.into_iter().filter_map(|role| Some((role, corpus.tables.columns.get(role)?)));
    let columns: Vec<_> =
        columns.map(|(role, column)| format!("{} {:?}", role.name(), column.name)).collect();
    midashi_stage::outln!("  columns: {}", columns.join(", "));
    match (&corpus.tables.columns.id, &survey.ids_repeat) {
        (Some(column), Some(reason)) => {
            midashi_stage::outln!(
                "  ids are made from the rows' numbers: in the column {:?}, {reason}",
                column.name
            );
        }
        (None, _) => {
            midashi_stage::outln!("  ids are made from the rows' numbers: no column has a usual name of ids")
        }
        _ => {}
    }
    if let Some(names) = survey.labels.expected() {
        midashi_stage::outln!("  names of the labels: {}", names.origin);
    }
    print_list("no text for", "expected labels", corpus.categories.unused.iter().cloned());
    let (count, listed) = (survey.bad.count(), &survey.bad.listed);
    if count > 0 {
        midashi_stage::outln!("  left out {count} rows that cannot be used: {}", survey.bad.summary());
        listed
            .iter()
            .take(LISTED)
            .for_each(|Remark { path, what }| midashi_stage::outln!("    {path}: {what}"));
        if count > LISTED as u64 {
            midashi_stage::outln!("    … and {} more (run.json lists up to 1000)", count - LISTED as u64);
        }
    }
    let equal = survey.equal_texts(&corpus.split_of);
    if equal > 0 {
        midashi_stage::outln!(
            "  {equal} test texts are also training texts; the report counts them and similar ones"
        );
    }
}

/// Prints the categories whose names were written in several ways.
pub fn print_merged(merged: &[Merged]) {
    for Merged { name, spellings } in merged {
        midashi_stage::outln!(
            "  {spellings} spellings of {:?} look the same (they are equal in Unicode's NFC); they are one category",
            name
        );
    }
}

/// Prints where the splits are from, if the corpus gives them.
pub fn print_origin_of_splits(made: &[Split]) {
    if made.is_empty() {
        midashi_stage::outln!("  the splits are those of the corpus");
    }
    for split in made {
        midashi_stage::outln!(
            "  the corpus has no {} split; it is made from the training texts (corpus.split)",
            split.name()
        );
    }
}

/// Prints the table of categories and splits.
pub fn print_splits(names: &[String], texts: impl Iterator<Item = (CategoryId, Split)>) {
    midashi_stage::out!("{}", splits_table(names, texts));
}

/// Prints the categories that the model cannot learn, and those that the report cannot measure, if there are any. `has_splits`
/// tells whether the corpus gives its splits.
pub fn print_missing(untrained: &[&str], untested: &[&str], has_splits: bool) {
    if !untrained.is_empty() {
        let advice = match has_splits {
            true => "the corpus has its texts in other splits only",
            false => "corpus.split.stratified=true divides every category",
        };
        midashi_stage::outln!(
            "  no training text in {}: the model cannot learn them; {advice}",
            some_names(untrained)
        );
    }
    if !untested.is_empty() && has_splits {
        midashi_stage::outln!("  no test text in {}: the report cannot measure them", some_names(untested));
    }
}

/// One line a category, of many one for each of the most frequent. Names come last, because their width depends on the script.
fn splits_table(names: &[String], texts: impl Iterator<Item = (CategoryId, Split)>) -> String {
    let mut counts = vec![[0_usize; Split::ALL.len()]; names.len()];
    for (category, split) in texts {
        counts[category.index()][split as usize] += 1;
    }
    let line = |cells: [String; 4], name: &str| {
        let [train, validation, test, all] = cells;
        format!("  {train:>8} {validation:>10} {test:>8} {all:>8}  {name}\n")
    };
    let row = |counts: &[usize; 3], name: &str| {
        let [train, validation, test] = counts.map(|count| count.to_string());
        line([train, validation, test, counts.iter().sum::<usize>().to_string()], name)
    };
    let mut table = line(["train", "validation", "test", "all"].map(str::to_owned), "category");
    let texts: Vec<usize> = counts.iter().map(|counts| counts.iter().sum()).collect();
    let listed = most_frequent(&texts);
    for &at in &listed {
        table += &row(&counts[at], &shaped(&names[at]));
    }
    if listed.len() < names.len() {
        table += &format!("  … and {} more, with fewer texts or as many\n", names.len() - listed.len());
    }
    let total = counts.iter().fold([0; 3], |total, counts| [0, 1, 2].map(|at| total[at] + counts[at]));
    table + &row(&total, &format!("{} categories", counts.len()))
}

/// The details of a corpus of tables for `run.json`.
pub fn table_details(corpus: &TableCorpus) -> Value {
    let in_split = |split| corpus.split_of.iter().filter(|found| **found == split).count();
    let bad = &corpus.survey.bad;
    let columns = Role::ALL.into_iter().filter_map(|role| Some((role, corpus.tables.columns.get(role)?)));
    json!({
        "articles": corpus.split_of.len(),
        "categories": corpus.categories.names.len(),
        "train": in_split(Split::Train),
        "validation": in_split(Split::Validation),
        "test": in_split(Split::Test),
        "columns": columns
            .map(|(role, column)| (role.name().to_owned(), json!(column.name)))
            .collect::<serde_json::Map<_, _>>(),
        "splits_made": corpus.made,
        "bad_rows_skipped": bad.count(),
        "bad_rows": bad.listed.iter().map(|Remark { path, what }| json!({"row": path, "reason": what})).collect::<Vec<_>>(),
        "equal_texts": corpus.survey.equal_texts(&corpus.split_of),
    })
}

/// The details for `run.json`.
pub fn details(reading: &Reading) -> Value {
    let articles = &reading.corpus.articles;
    let in_split = |split| articles.iter().filter(|article| article.split == split).count();
    let mut details = json!({
        "articles": articles.len(),
        "categories": reading.corpus.categories.len(),
        "train": in_split(Split::Train),
        "validation": in_split(Split::Validation),
        "test": in_split(Split::Test),
        "notes_left_out": reading.notes.values().sum::<usize>(),
        "other_files_skipped": reading.others.len(),
        "bad_files_skipped": reading.bad.len(),
        "bad_files": reading.bad.iter().map(bad_file).collect::<Vec<_>>(),
        "without_date": reading.undated.len(),
    });
    if !reading.replaced.is_empty() {
        details["replaced_files"] = json!(reading.replaced);
    }
    if reading.licences > 0 {
        details["licences_as_titles"] = json!(reading.licences);
    }
    details
}

fn bad_file(Remark { path, what }: &Remark) -> Value {
    json!({"file": path, "reason": what})
}

#[cfg(test)]
mod tests {
    use super::*;
    use midashi_artifacts::Corpus;

    #[test]
    fn the_record_lists_every_bad_file() {
        let bad = (0..LISTED + 5).map(|at| Remark { path: format!("a/{at}.txt"), what: "is empty".into() });
        let reading = Reading {
            corpus: Corpus { categories: vec![], articles: vec![] },
            has_splits: false,
            merged: vec![],
            notes: Default::default(),
            licences: 0,
            others: vec![],
            replaced: vec![],
            bad: bad.collect(),
            undated: vec![],
        };
        let files = &details(&reading)["bad_files"];
        assert_eq!(files.as_array().unwrap().len(), LISTED + 5);
        assert_eq!(files[LISTED + 4], json!({"file": "a/24.txt", "reason": "is empty"}));
    }

    #[test]
    fn licences_are_recorded_only_if_they_are_rows() {
        let reading = |licences| Reading {
            corpus: Corpus { categories: vec![], articles: vec![] },
            has_splits: false,
            merged: vec![],
            notes: Default::default(),
            licences,
            others: vec![],
            replaced: vec![],
            bad: vec![],
            undated: vec![],
        };
        assert_eq!(details(&reading(0)).get("licences_as_titles"), None);
        assert_eq!(details(&reading(2))["licences_as_titles"], 2);
    }

    #[test]
    fn of_many_categories_the_most_frequent_are_printed_and_the_others_counted() {
        let names: Vec<String> = (0..1000).map(|at| format!("c{at}")).collect();
        let texts = (0..1000).chain([700, 700, 9]).map(|at| (CategoryId(at), Split::Train));
        let table = splits_table(&names, texts);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines.len(), 1 + 50 + 2, "{table}");
        assert_eq!(lines[1].split_whitespace().collect::<Vec<_>>(), ["3", "0", "0", "3", "c700"]);
        assert!(lines[2].ends_with("  c9") && lines[3].ends_with("  c0"), "{table}");
        assert_eq!(lines[51], "  … and 950 more, with fewer texts or as many");
        assert!(lines[52].contains(" 1003  1000 categories"), "{table}");
    }

    #[test]
    fn the_table_counts_every_article_once() {
        let names = ["映画", "smax\u{1b}"].map(str::to_owned);
        let texts = [(0, Split::Train), (1, Split::Train), (1, Split::Test)];
        let texts = texts.map(|(category, split)| (CategoryId(category), split));
        let expected = "     train validation     test      all  category
         1          0        0        1  映画
         1          0        1        2  smax␛
         2          0        1        3  2 categories
";
        assert_eq!(splits_table(&names, texts.into_iter()), expected);
    }
}
