//! The numbers of a tensor: float32, or 4 bits each in blocks with a common scale.

use half::f16;

/// Numbers in a block.
pub(crate) const BLOCK: usize = 32;
/// Bytes of a block: a float16 scale and 16 bytes with two numbers each. ggml calls this form `Q4_0`.
const BLOCK_BYTES: usize = 2 + BLOCK / 2;
/// Subtracted from the stored numbers, which have no sign.
const OFFSET: i8 = 8;

/// A tensor's numbers, row by row, as the file stores them.
#[derive(Clone, Copy, Debug)]
pub enum Values<'f> {
    /// Little-endian float32.
    Float(&'f [[u8; 4]]),
    /// Blocks of 32 numbers.
    Blocks(&'f [Block]),
}

/// 32 numbers: a scale, then 16 bytes. The low half of byte `i` is number `i`, the high half number `i + 16`.
pub type Block = [u8; BLOCK_BYTES];

impl<'f> Values<'f> {
    /// The `numbers` numbers in `bytes`; none if the form is unknown or the lengths do not fit.
    pub(super) fn new(form: u8, numbers: usize, bytes: &'f [u8]) -> Option<Self> {
        match form {
            0 => {
                let (floats, rest) = bytes.as_chunks();
                (rest.is_empty() && floats.len() == numbers).then_some(Self::Float(floats))
            }
            1 => {
                let (blocks, rest) = bytes.as_chunks();
                let fits = rest.is_empty() && blocks.len().checked_mul(BLOCK) == Some(numbers);
                fits.then_some(Self::Blocks(blocks))
            }
            _ => None,
        }
    }

    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Self::Float(floats) => floats.len(),
            Self::Blocks(blocks) => blocks.len() * BLOCK,
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `each` with 32 numbers at a time, fewer at the end of float32 numbers. The products of a block's numbers
    /// with its scale are exact in float32.
    ///
    /// # Errors
    /// The first error of `each`.
    pub fn try_for_each<E>(&self, mut each: impl FnMut(&[f32]) -> Result<(), E>) -> Result<(), E> {
        let mut numbers = [0.0; BLOCK];
        match self {
            Self::Float(floats) => floats.chunks(BLOCK).try_for_each(|chunk| {
                for (number, stored) in numbers.iter_mut().zip(chunk) {
                    *number = f32::from_le_bytes(*stored);
                }
                each(numbers.get(..chunk.len()).unwrap_or_default())
            }),
            Self::Blocks(blocks) => blocks.iter().try_for_each(|block| {
                numbers = unpack(block);
                each(&numbers)
            }),
        }
    }

    /// All numbers.
    pub fn to_vec(&self) -> Vec<f32> {
        let mut all = Vec::with_capacity(self.len());
        let Ok(()) = self.try_for_each(|numbers| {
            all.extend_from_slice(numbers);
            Ok::<(), std::convert::Infallible>(())
        });
        all
    }
}

fn unpack(block: &Block) -> [f32; BLOCK] {
    let [low, high, pairs @ ..] = block;
    let scale = f16::from_le_bytes([*low, *high]).to_f32();
    // Four bits always fit.
    let number = |bits: u8| f32::from(bits.cast_signed() - OFFSET) * scale;
    let mut numbers = [0.0; BLOCK];
    let (first, second) = numbers.split_at_mut(BLOCK / 2);
    for ((pair, first), second) in pairs.iter().zip(first).zip(second) {
        (*first, *second) = (number(pair & 0x0f), number(pair >> 4));
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_a_scale_and_two_halves() {
        let mut bytes = f16::from_f32(0.5).to_le_bytes().to_vec();
        // Number 0 is 0x1 - 8, number 16 is 0xf - 8; the others are 8 - 8.
        bytes.push(0xf1);
        bytes.extend([0x88; 15]);
        let numbers = Values::new(1, 32, &bytes).map(|values| values.to_vec()).unwrap_or_default();
        let mut expected = [0.0; 32];
        (expected[0], expected[16]) = (-3.5, 3.5);
        assert_eq!(numbers, expected);
    }

    #[test]
    fn lengths_that_do_not_fit_are_refused() {
        assert!(Values::new(0, 2, &[0; 8]).is_some());
        assert!(Values::new(0, 2, &[0; 9]).is_none());
        assert!(Values::new(0, 3, &[0; 8]).is_none());
        assert!(Values::new(1, 32, &[0; 18]).is_some());
        assert!(Values::new(1, 31, &[0; 18]).is_none());
        assert!(Values::new(2, 32, &[0; 18]).is_none());
    }
}
