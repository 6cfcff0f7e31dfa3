//! Which categories a table for people lists if there are many of them.

use crate::category::LISTED_CATEGORIES;
use crate::metrics::ClassMetrics;

/// The indices of the categories that a table of scores lists: all of them, or of more than [`LISTED_CATEGORIES`] those with
/// the lowest F1 among those that have texts. The more texts of equal F1 come first.
pub fn hardest(classes: &[ClassMetrics]) -> Vec<usize> {
    if classes.len() <= LISTED_CATEGORIES {
        return (0..classes.len()).collect();
    }
    let mut listed: Vec<usize> = (0..classes.len()).filter(|&at| classes[at].support > 0).collect();
    listed.sort_by(|&one, &other| {
        let (one, other) = (&classes[one], &classes[other]);
        one.scores.f1.total_cmp(&other.scores.f1).then(other.support.cmp(&one.support))
    });
    listed.truncate(LISTED_CATEGORIES);
    listed
}

/// The indices of the categories that a table of counts lists: all of them, or of more than [`LISTED_CATEGORIES`] those with
/// the highest counts, without those of 0. The first of equal counts come first.
pub fn most_frequent(counts: &[usize]) -> Vec<usize> {
    if counts.len() <= LISTED_CATEGORIES {
        return (0..counts.len()).collect();
    }
    let mut listed: Vec<usize> = (0..counts.len()).filter(|&at| counts[at] > 0).collect();
    listed.sort_by(|&one, &other| counts[other].cmp(&counts[one]));
    listed.truncate(LISTED_CATEGORIES);
    listed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Averages;

    fn class(f1: f64, support: u64) -> ClassMetrics {
        ClassMetrics { label: String::new(), scores: Averages { f1, ..Averages::default() }, support }
    }

    #[test]
    fn all_of_few_categories_are_listed_in_their_order() {
        let all: Vec<usize> = (0..LISTED_CATEGORIES).collect();
        assert_eq!(hardest(&vec![class(0.5, 0); LISTED_CATEGORIES]), all);
        assert_eq!(most_frequent(&[0; LISTED_CATEGORIES]), all);
    }

    #[test]
    fn of_many_categories_the_hardest_with_texts_are_listed() {
        let mut classes = vec![class(0.9, 3); 100];
        classes[7] = class(0.25, 2);
        classes[60] = class(0.0, 1);
        classes[61] = class(0.0, 4);
        classes[62] = class(0.0, 0);
        let listed = hardest(&classes);
        assert_eq!(listed.len(), LISTED_CATEGORIES);
        assert_eq!(listed[..4], [61, 60, 7, 0], "one without texts has no score to speak of");
    }

    #[test]
    fn of_many_categories_the_most_frequent_are_listed() {
        let mut counts = [0; 1000];
        (counts[3], counts[500], counts[999]) = (2, 9, 2);
        assert_eq!(most_frequent(&counts), [500, 3, 999]);
        assert_eq!(most_frequent(&[1; 1000]), (0..LISTED_CATEGORIES).collect::<Vec<_>>());
    }
}
