//! Titles with bodies: pairs of texts.

use midashi_tests::{Outcome, Run, STAGES, Shared, folder};

use crate::exported::assert_gives_the_predictions;
use crate::runs::small;

/// A finished run of titles with bodies, and what its stages printed.
fn pairs() -> &'static (Run, Outcome) {
    static RUN: Shared<(Run, Outcome)> = Shared::new();
    RUN.get(|artifacts| {
        let run = small(artifacts, "texts").set("corpus.text=title+body");
        let outcome = run.stages(&STAGES);
        (run, outcome)
    })
}

#[test]
fn a_title_and_its_body_are_two_segments() {
    let (run, outcome) = pairs();
    outcome.does_not_say("without a body");
    for (text, article) in run.tokens().texts.iter().zip(&run.corpus().articles) {
        assert_eq!(text.encoding.original, format!("{}\n{}", article.title, article.body));
        let separators: Vec<usize> = text
            .encoding
            .tokens
            .iter()
            .enumerate()
            .filter(|(_, token)| *token == "[SEP]")
            .map(|(at, _)| at)
            .collect();
        assert_eq!((separators.len(), separators[1]), (2, text.encoding.tokens.len() - 1), "{}", text.id);
        let title = article.title.chars().count() as u32;
        for at in 1..separators[1] {
            let in_body = at > separators[0];
            assert_eq!(text.encoding.token_type_ids[at], i32::from(in_body));
            assert!(
                at == separators[0] || (text.encoding.original_offsets[at].0 > title) == in_body,
                "{}",
                text.id
            );
        }
    }
}

#[test]
fn the_exported_classifier_takes_pairs() {
    assert_gives_the_predictions(&pairs().0);
}

#[test]
fn the_report_names_the_choice() {
    assert!(pairs().0.text("report.html").contains("title+body"));
}

#[test]
fn bodies_alone_are_tokenised_from_the_same_corpus() {
    let artifacts = folder();
    let run = pairs().0.copy_to(&artifacts).set("corpus.text=body");
    run.stages(&["ingest"]).up_to_date(1);
    run.stages(&["tokenize"]);
    for (text, article) in run.tokens().texts.iter().zip(&run.corpus().articles) {
        assert_eq!(text.encoding.original, article.body);
        assert!(text.encoding.token_type_ids.iter().all(|&kind| kind == 0));
    }
}
