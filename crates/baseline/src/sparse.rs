//! A sparse matrix, row by row.

/// A matrix of float64 in compressed sparse rows (CSR).
pub struct SparseRows {
    /// Where each row starts in `columns` and `values`, and where the last one ends.
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
    width: usize,
}

impl SparseRows {
    /// A matrix of rows of (column, value) pairs, with columns below `width`.
    pub fn new(rows: Vec<Vec<(u32, f64)>>, width: usize) -> Self {
        let mut starts = vec![0];
        starts.extend(rows.iter().scan(0, |end, row| {
            *end += row.len();
            Some(*end)
        }));
        let (columns, values) = rows.into_iter().flatten().unzip();
        Self { starts, columns, values, width }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The (column, value) pairs of one row.
    pub fn row(&self, at: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.starts[at]..self.starts[at + 1];
        let columns = self.columns[range.clone()].iter().map(|&column| column as usize);
        columns.zip(self.values[range].iter().copied())
    }

    /// The transposed matrix.
    pub fn transposed(&self) -> Self {
        let mut columns = vec![Vec::new(); self.width];
        for row in 0..self.len() {
            for (column, value) in self.row(row) {
                columns[column].push((row as u32, value));
            }
        }
        Self::new(columns, self.len())
    }
}
