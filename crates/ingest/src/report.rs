//! Output on the terminal and details for `run.json`.

use midashi_artifacts::{Corpus, Split};
use serde_json::{Value, json};

use crate::reading::{Reading, Remark};

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

/// Prints the table of categories and splits.
pub fn print_splits(corpus: &Corpus) {
    midashi_stage::out!("{}", splits_table(corpus));
}

/// Prints the categories that the model cannot learn, if there are any.
pub fn print_untrained(categories: &[&str]) {
    if !categories.is_empty() {
        midashi_stage::outln!(
            "  no training text in {}: the model cannot learn them; corpus.split.stratified=true divides \
             every category",
            categories.join(", ")
        );
    }
}

/// One line a category. Names come last, because their width depends on the script.
fn splits_table(corpus: &Corpus) -> String {
    let mut counts = vec![[0_usize; Split::ALL.len()]; corpus.categories.len()];
    for article in &corpus.articles {
        counts[article.category.index()][article.split as usize] += 1;
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
    for (counts, name) in counts.iter().zip(&corpus.categories) {
        table += &row(counts, name);
    }
    let total = counts.iter().fold([0; 3], |total, counts| [0, 1, 2].map(|at| total[at] + counts[at]));
    table + &row(&total, &format!("{} categories", counts.len()))
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
    use midashi_artifacts::{Article, CategoryId};

    #[test]
    fn the_record_lists_every_bad_file() {
        let bad = (0..LISTED + 5).map(|at| Remark { path: format!("a/{at}.txt"), what: "is empty".into() });
        let reading = Reading {
            corpus: Corpus { categories: vec![], articles: vec![] },
            notes: Default::default(),
            licences: 0,
            others: vec![],
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
            notes: Default::default(),
            licences,
            others: vec![],
            bad: vec![],
            undated: vec![],
        };
        assert_eq!(details(&reading(0)).get("licences_as_titles"), None);
        assert_eq!(details(&reading(2))["licences_as_titles"], 2);
    }

    #[test]
    fn the_table_counts_every_article_once() {
        let article = |category, split| Article {
            id: String::new(),
            category: CategoryId(category),
            url: None,
            published_at: None,
            title: String::new(),
            body: String::new(),
            split,
        };
        let corpus = Corpus {
            categories: vec!["映画".into(), "smax".into()],
            articles: vec![article(0, Split::Train), article(1, Split::Train), article(1, Split::Test)],
        };
        let expected = "     train validation     test      all  category
         1          0        0        1  映画
         1          0        1        2  smax
         2          0        1        3  2 categories
";
        assert_eq!(splits_table(&corpus), expected);
    }
}
