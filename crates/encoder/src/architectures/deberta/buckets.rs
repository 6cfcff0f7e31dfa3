//! From the distance of two tokens to a row of the relative embeddings.

/// How distances are told apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Buckets {
    /// Half of the rows: distances have as many buckets on each side of 0.
    pub span: usize,
    /// Buckets that grow with the distance, if there are such; otherwise each distance has its own.
    pub logarithmic: Option<Logarithmic>,
}

/// The first half of the buckets is for one distance each; the others grow like the logarithm of the distance, up to
/// `longest − 1` (section 4 of the DeBERTa-v2 repository's description; T5's buckets are similar).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Logarithmic {
    /// Buckets on each side of 0.
    pub count: usize,
    /// One more than the distance in the last bucket.
    pub longest: usize,
}

impl Buckets {
    /// Rows of the table of relative embeddings.
    pub fn rows(self) -> usize {
        2 * self.span
    }

    /// The row for a token that is `distance` after the one it is related to.
    pub fn row(self, distance: i64) -> i64 {
        let magnitude = distance.unsigned_abs();
        let bucket = self.logarithmic.map_or(magnitude, |buckets| buckets.bucket(magnitude));
        let (bucket, span) = (i64::try_from(bucket).unwrap_or(i64::MAX / 2), self.span as i64);
        (distance.signum() * bucket + span).clamp(0, 2 * span - 1)
    }
}

impl Logarithmic {
    /// The distance up to which each has a bucket of its own.
    pub fn middle(self) -> usize {
        self.count / 2
    }

    fn bucket(self, distance: u64) -> u64 {
        let middle = self.middle() as u64;
        if distance <= middle {
            return distance;
        }
        // In float32 like transformers: the logarithms decide where a bucket ends.
        let ratio = (distance as f32 / middle as f32).ln();
        let whole = ((self.longest - 1) as f64 / middle as f64) as f32;
        let steps = (ratio / whole.ln() * (middle as f32 - 1.0)).ceil();
        middle + steps as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_transformers() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/deberta/buckets.json");
        let text = std::fs::read_to_string(path).unwrap();
        let geometries: Vec<(usize, usize, Vec<u64>)> = serde_json::from_str(&text).unwrap();
        assert_eq!(geometries[0].2.len(), 514);
        for (count, longest, expected) in geometries {
            let buckets = Logarithmic { count, longest };
            let found: Vec<u64> =
                (0..expected.len() as u64).map(|distance| buckets.bucket(distance)).collect();
            assert_eq!(found, expected, "{count} buckets for {longest} positions");
        }
    }

    #[test]
    fn rows_count_from_the_most_negative_distance_and_end_with_the_table() {
        let buckets = Buckets { span: 256, logarithmic: Some(Logarithmic { count: 256, longest: 512 }) };
        let rows = [-511, -510, -128, -1, 0, 1, 128, 511].map(|distance| buckets.row(distance));
        // By hand: 255 buckets on each side are used, the first 128 for one distance each.
        assert_eq!(rows, [1, 1, 128, 255, 256, 257, 384, 511]);
        let short = Buckets { span: 3, logarithmic: None };
        let rows = [-9, -3, -2, 0, 2, 3, 9].map(|distance| short.row(distance));
        assert_eq!(rows, [0, 0, 1, 3, 5, 5, 5]);
    }
}
