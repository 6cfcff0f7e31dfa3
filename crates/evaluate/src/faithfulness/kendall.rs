//! Rank correlation.

/// Kendall's τ-b (Kendall 1945): concordant minus discordant pairs, normalised for ties. 0 when all values of
/// one side are tied.
pub fn tau_b(one: &[f64], other: &[f64]) -> f64 {
    let (mut agreement, mut of_one, mut of_other) = (0.0, 0.0, 0.0);
    for at in 0..one.len().min(other.len()) {
        for before in 0..at {
            let (x, y) = (sign(one[at] - one[before]), sign(other[at] - other[before]));
            agreement += x * y;
            of_one += x * x;
            of_other += y * y;
        }
    }
    if of_one == 0.0 || of_other == 0.0 { 0.0 } else { agreement / (of_one * of_other).sqrt() }
}

/// −1, 0 or 1.
fn sign(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number.signum() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tau_is_scipys() {
        // scipy.stats.kendalltau
        for (one, other, expected) in [
            (&[1.0, 2.0, 3.0, 4.0][..], &[1.0, 2.0, 3.0, 4.0][..], 1.0),
            (&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0], -1.0),
            (&[12.0, 2.0, 1.0, 12.0, 2.0], &[1.0, 4.0, 7.0, 1.0, 0.0], -0.471_404_520_791_031_7),
            (&[1.0, 1.0], &[1.0, 2.0], 0.0),
            (&[], &[], 0.0),
        ] {
            let found = tau_b(one, other);
            assert!((found - expected).abs() < 1e-12, "{one:?} {other:?}: {found}, expected {expected}");
        }
    }
}
