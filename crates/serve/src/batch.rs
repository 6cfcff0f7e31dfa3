//! Which of the waiting texts are computed next.

/// What a run of the graph costs besides its tokens, in tokens: a run of 1 text of 20 tokens took 2.4 times as long per
/// token as one of 64 such texts (12 layers of width 384 on two cores).
const RUN: usize = 32;

/// Chooses the next batch from waiting texts of these `lengths` in tokens, oldest first; returns their places.
///
/// The texts in the order of their lengths are cut into batches of at most `budget` tokens, padding included, so that all
/// of them together cost least: a batch costs its tokens with padding, and [`RUN`]. The next batch is the one with the
/// text that has waited longest, so no text waits for more batches than there are texts before it. A text longer than
/// the budget is a batch of its own.
pub fn next_batch(lengths: &[usize], budget: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    // A stable sort: of equally long texts, the older comes first.
    order.sort_by_key(|&text| lengths[text]);
    // The least cost of the texts before each place in the order, and where the last of their batches begins.
    let mut least = vec![(0, 0)];
    for end in 1..=order.len() {
        let longest = lengths[order[end - 1]];
        let mut best = (usize::MAX, end - 1);
        for begin in (0..end).rev() {
            let positions = (end - begin) * longest;
            if positions > budget && end - begin > 1 {
                break;
            }
            let (before, _) = least[begin];
            let cost = before + positions + RUN;
            // Of equal costs the shorter last batch, so that older texts of a length are not the ones left over.
            if cost < best.0 {
                best = (cost, begin);
            }
        }
        least.push(best);
    }
    let mut end = order.len();
    while end > 0 {
        let (_, begin) = least[end];
        if order[begin..end].contains(&0) {
            return order[begin..end].to_vec();
        }
        end = begin;
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_text_is_computed_with_those_of_its_length() {
        // In one batch, six texts cost 6 · 100 + 32. In two they cost 4 · 21 + 2 · 100 + 2 · 32.
        assert_eq!(next_batch(&[20, 100, 21, 19, 90, 20], 1000), [3, 0, 5, 2]);
        assert_eq!(next_batch(&[100, 20, 90, 21], 1000), [2, 0]);
        assert_eq!(next_batch(&[20, 36], 1000), [0, 1], "a run of its own costs more than the padding");
        assert_eq!(next_batch(&[20, 60], 1000), [0]);
        assert_eq!(next_batch(&[7], 1000), [0]);
        assert!(next_batch(&[], 1000).is_empty());
    }

    #[test]
    fn the_budget_counts_padding() {
        assert_eq!(next_batch(&[20, 20, 20, 20], 60).len(), 3);
        assert_eq!(next_batch(&[20, 18, 20, 25], 60), [1, 0, 2], "75 positions are too many for three");
        assert_eq!(next_batch(&[300, 10], 60), [0], "longer than the budget");
    }

    #[test]
    fn all_texts_are_computed_the_oldest_first_with_little_padding() {
        let mut state = 1_u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as usize + 3
        };
        let mut waiting: Vec<(usize, usize)> = (0..500).map(|name| (name, random())).collect();
        let (mut all, mut computed) = (0, 0);
        while !waiting.is_empty() {
            let lengths: Vec<usize> = waiting.iter().map(|&(_, length)| length).collect();
            let batch = next_batch(&lengths, 1024);
            let longest = batch.iter().map(|&text| lengths[text]).max().unwrap();
            assert!(batch.contains(&0) && batch.len() * longest <= 1024);
            computed += batch.len() * longest;
            all += batch.iter().map(|&text| lengths[text]).sum::<usize>();
            let mut place = 0;
            waiting.retain(|_| {
                place += 1;
                !batch.contains(&(place - 1))
            });
        }
        assert!(computed < all + all / 20, "{computed} positions for {all} tokens");
    }
}
