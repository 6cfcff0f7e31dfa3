//! Whether the numbers of a tensor are finite.

/// Numbers that are looked at together, so that the loop has no branches and runs at the speed of memory.
const BLOCK: usize = 4096;

/// The bits of the exponent. They are all set in infinities and in what is not a number (IEEE 754).
const EXPONENT: u32 = 0x7f80_0000;

/// The position of the first number that is infinite or none.
pub fn first_not_finite(numbers: &[f32]) -> Option<usize> {
    let is_bad = |number: &f32| number.to_bits() & EXPONENT == EXPONENT;
    let has_bad = |block: &[f32]| block.iter().fold(false, |found, number| found | is_bad(number));
    let block = numbers.chunks(BLOCK).position(has_bad)?;
    let start = block * BLOCK;
    numbers.get(start..)?.iter().position(is_bad).map(|position| start + position)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_number_that_is_not_finite_is_found() {
        let mut numbers = vec![0.5_f32; 3 * BLOCK + 7];
        numbers[0] = f32::MAX;
        numbers[1] = f32::MIN_POSITIVE / 4.0;
        numbers[2] = -0.0;
        assert_eq!(first_not_finite(&numbers), None);
        assert_eq!(first_not_finite(&[]), None);
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0x7f80_0001)] {
            for at in [3, BLOCK - 1, BLOCK, 3 * BLOCK + 6] {
                let mut numbers = numbers.clone();
                numbers[at] = bad;
                numbers[3 * BLOCK + 6] = f32::NAN;
                assert_eq!(first_not_finite(&numbers), Some(at), "{bad} at {at}");
            }
        }
    }
}
