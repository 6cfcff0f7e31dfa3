//! Columns that are equal in every row, as one.
//!
//! N-grams that occur in the same texts have equal columns: most parts of a rare word do. With the penalty ‖w‖², `k` equal
//! columns get equal weights `w`, and are the same model as their column times √k with the weight `√k·w`.

use std::collections::HashMap;

use crate::sparse::SparseRows;

/// Which columns of a matrix are equal.
pub struct EqualColumns {
    /// For each column of the matrix, its column in the merged matrix.
    merged: Vec<usize>,
    /// For each column of the merged matrix, √ of the number of its columns.
    roots: Vec<f64>,
}

impl EqualColumns {
    /// Finds the equal columns of `rows`, and returns the merged matrix, transposed: a row for each group of equal columns,
    /// multiplied with the root of their number. The groups are in the order of their first columns.
    pub fn merge(rows: &SparseRows) -> (Self, SparseRows) {
        let columns = rows.transposed();
        let mut groups: HashMap<Vec<(usize, u64)>, usize> = HashMap::new();
        let (mut merged, mut counts, mut firsts) =
            (Vec::with_capacity(columns.len()), Vec::new(), Vec::new());
        for column in 0..columns.len() {
            let numbers = columns.row(column).map(|(row, value)| (row, value.to_bits())).collect();
            let group = *groups.entry(numbers).or_insert(firsts.len());
            if group == firsts.len() {
                firsts.push(column);
                counts.push(0_u32);
            }
            counts[group] += 1;
            merged.push(group);
        }
        let roots: Vec<f64> = counts.into_iter().map(|count| f64::from(count).sqrt()).collect();
        let scaled = |(&column, root): (&usize, &f64)| {
            columns.row(column).map(|(row, value)| (row as u32, value * root)).collect()
        };
        let transposed = SparseRows::new(firsts.iter().zip(&roots).map(scaled).collect(), rows.len());
        (Self { merged, roots }, transposed)
    }

    /// The weights of all columns, `[columns, categories]`, from those of the merged columns.
    pub fn spread(&self, weights: &[f64], categories: usize) -> Vec<f64> {
        let of_column = |&group: &usize| {
            let of_group = &weights[group * categories..(group + 1) * categories];
            of_group.iter().map(move |weight| weight / self.roots[group])
        };
        self.merged.iter().flat_map(of_column).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_columns_are_one_column_times_the_root_of_their_number() {
        // Columns 0, 2, 3 and 4 are equal.
        let rows = vec![
            vec![(0, 0.5), (1, 1.0), (2, 0.5), (3, 0.5), (4, 0.5)],
            vec![(1, 2.0)],
            vec![(0, 3.0), (2, 3.0), (3, 3.0), (4, 3.0)],
        ];
        let (equal, merged) = EqualColumns::merge(&SparseRows::new(rows, 5));
        assert_eq!(merged.len(), 2);
        assert_eq!(merged.row(0).collect::<Vec<_>>(), [(0, 1.0), (2, 6.0)]);
        assert_eq!(merged.row(1).collect::<Vec<_>>(), [(0, 1.0), (1, 2.0)]);
        let weights = equal.spread(&[8.0, 4.0, 1.0, 2.0], 2);
        assert_eq!(weights, [4.0, 2.0, 1.0, 2.0, 4.0, 2.0, 4.0, 2.0, 4.0, 2.0]);
    }
}
