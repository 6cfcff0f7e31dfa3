//! Which of the waiting texts are computed next.

/// Chooses the next batch from waiting texts of these `lengths` in tokens, oldest first; returns their places.
///
/// The text that has waited longest is always in it, so no text waits for more batches than there are texts before it.
/// The others are those nearest to it in length, up to `budget` tokens with padding. A text that would leave more than
/// a quarter of the batch to padding waits for a batch that suits it better. A text longer than the budget is a batch
/// of its own.
pub fn next_batch(lengths: &[usize], budget: usize) -> Vec<usize> {
    let Some(&oldest) = lengths.first() else { return Vec::new() };
    let mut others: Vec<usize> = (1..lengths.len()).collect();
    // A stable sort: of equally long texts, the older comes first.
    others.sort_by_key(|&text| lengths[text].abs_diff(oldest));
    let (mut batch, mut longest, mut tokens) = (vec![0], oldest, oldest);
    for text in others {
        let positions = (batch.len() + 1) * longest.max(lengths[text]);
        if positions <= budget && 4 * (tokens + lengths[text]) >= 3 * positions {
            batch.push(text);
            longest = longest.max(lengths[text]);
            tokens += lengths[text];
        }
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_text_leads_and_those_of_its_length_follow() {
        assert_eq!(next_batch(&[20, 100, 21, 19, 90, 20], 1000), [0, 5, 2, 3]);
        assert_eq!(next_batch(&[100, 20, 90, 21], 1000), [0, 2]);
        assert_eq!(next_batch(&[7], 1000), [0]);
        assert!(next_batch(&[], 1000).is_empty());
    }

    #[test]
    fn the_budget_counts_padding() {
        assert_eq!(next_batch(&[20, 20, 20, 20], 60), [0, 1, 2]);
        assert_eq!(next_batch(&[20, 18, 20, 25], 60), [0, 2, 1], "75 positions are too many");
        assert_eq!(next_batch(&[300, 10], 60), [0], "longer than the budget");
    }

    #[test]
    fn every_text_is_computed_after_those_before_it_at_the_latest() {
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as usize + 3
        };
        let mut waiting: Vec<(usize, usize)> = (0..200).map(|name| (name, random())).collect();
        let mut batches = 0;
        while !waiting.is_empty() {
            let lengths: Vec<usize> = waiting.iter().map(|&(_, length)| length).collect();
            let batch = next_batch(&lengths, 1024);
            let longest = batch.iter().map(|&text| lengths[text]).max().unwrap();
            let tokens: usize = batch.iter().map(|&text| lengths[text]).sum();
            assert!(batch.len() * longest <= 1024 && 4 * tokens >= 3 * batch.len() * longest);
            let oldest = waiting[0].0;
            waiting = waiting
                .iter()
                .enumerate()
                .filter(|(place, _)| !batch.contains(place))
                .map(|(_, &text)| text)
                .collect();
            assert!(waiting.iter().all(|&(name, _)| name > oldest));
            batches += 1;
        }
        assert!(batches < 60, "{batches} batches for 200 texts of 130 tokens on average");
    }
}
