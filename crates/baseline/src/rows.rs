//! A sparse matrix, row by row.

/// Compressed sparse rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// Where each row begins in the other two, and where the last one ends.
    starts: Vec<usize>,
    columns: Vec<u32>,
    values: Vec<f64>,
    width: usize,
}

impl Rows {
    /// Rows of (column, value) pairs, columns below `width`.
    pub fn new(rows: Vec<Vec<(u32, f64)>>, width: usize) -> Self {
        let mut all = Self { starts: vec![0], width, ..Self::default() };
        for row in rows {
            for (column, value) in row {
                all.columns.push(column);
                all.values.push(value);
            }
            all.starts.push(all.columns.len());
        }
        all
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Number of columns.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The pairs of one row.
    pub fn row(&self, at: usize) -> impl Iterator<Item = (usize, f64)> {
        let range = self.starts[at]..self.starts[at + 1];
        let columns = self.columns[range.clone()].iter().map(|&column| column as usize);
        columns.zip(self.values[range].iter().copied())
    }

    /// Columns as rows.
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
