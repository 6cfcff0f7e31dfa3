//! What the processor's instructions for 8-bit integers can add without an overflow.

/// Bits of a weight of an int8 matrix product on this processor: 8, or 7. x86 processors without VNNI add two products of
/// uint8 and int8 in 16 bits (`vpmaddubsw`), which overflow with weights of more than 7 bits.
pub fn int8_weight_bits() -> u32 {
    #[cfg(target_arch = "x86_64")]
    let has_room = is_x86_feature_detected!("avx512vnni") || is_x86_feature_detected!("avxvnni");
    #[cfg(not(target_arch = "x86_64"))]
    let has_room = true;
    if has_room { 8 } else { 7 }
}
