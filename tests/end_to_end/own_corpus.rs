//! Texts of one's own.

use midashi_tests::{Corpus, STAGES, folder};

use crate::runs::small;

#[test]
fn texts_without_url_and_date_are_a_corpus_too() {
    let folder = folder();
    let corpus = Corpus::title_first()
        .article("魚", "鯛が釣れた", "本文")
        .article("魚", "鮪の初競り", "本文")
        .article("魚", "鰯の群れ", "本文")
        .article("鳥", "雀の巣", "本文")
        .article("鳥", "鷹が飛ぶ", "本文")
        .article("鳥", "燕が来た", "本文")
        .write(folder.path().join("texts"));
    let run = small(&folder, "own")
        .reads(&corpus)
        .set("corpus.layout=title-first corpus.split.test=0.34 corpus.split.stratified=true");
    run.stages(&STAGES);
    let corpus = run.corpus();
    assert_eq!(corpus.categories, ["魚", "鳥"]);
    assert!(corpus.articles.iter().all(|article| article.url.is_none() && article.body == "本文"));
}
