//! What a `tokenizer.json` may ask for. Each bound is above every published file that is known to us.

/// Bytes of the file. The largest published ones have 35 MB.
pub(crate) const FILE: u64 = 256 << 20;

/// Levels of lists and objects. Published files have up to 8.
pub(super) const DEPTH: usize = 32;

/// Parts of a normaliser or a pre-tokenizer, one after the other. DeepSeek's have 6.
pub(super) const STEPS: usize = 64;

/// The largest id. Published vocabularies have up to 262,144 pieces.
pub(super) const ID: u64 = (1 << 24) - 1;

/// Bytes of a piece or an added token. The longest published ones, runs of spaces, have some hundred.
pub(super) const PIECE: usize = 4096;

/// Bytes of a Unigram piece. The library copies every piece that a text could start with, so their lengths add up; pieces of
/// SentencePiece have 16 characters unless it is told otherwise.
pub(super) const UNIGRAM_PIECE: usize = 1024;

/// Bytes of the prefix of continuing pieces and the suffix of a word's last one (`##`, `</w>`).
pub(super) const AFFIX: usize = 64;

/// Characters of a word that WordPiece cuts: the time grows with the cube of the length. BERT has 100.
pub(super) const WORD: u64 = 1000;

/// Bytes that are put before a text (`▁`), which happens to each part between special tokens.
pub(super) const PREPEND: usize = 32;

/// Bytes of a replacement, of any normaliser.
pub(super) const REPLACEMENT: usize = 255;

/// Bytes of a pattern. The longest published one lists the letters of Unicode in some thousand bytes.
pub(super) const PATTERN: usize = 32 << 10;

/// Bytes of the automaton of a pattern.
pub(super) const AUTOMATON: usize = 4 << 20;

/// Pieces of a template.
pub(super) const TEMPLATE: usize = 64;

/// Tokens of which a special token consists.
pub(super) const SPECIAL: usize = 16;

/// The largest token type. XLNet has 4 types, the others 2.
pub(super) const TYPE: u64 = 255;

/// Bytes of the text that a normaliser may make of `original` bytes: some texts grow (NFKC makes 33 bytes of the 3 of U+FDFA), but
/// a whole text of such characters is not written.
pub(super) fn normalised(original: usize) -> usize {
    (1 << 20) + original.saturating_mul(8)
}

/// Steps back in the search for one match, by the length of the text. A step can look at the whole text, so the product is
/// bounded. Published patterns, which match at every character, take some ten steps.
pub(super) const BACKTRACKS: [(usize, usize); 4] =
    [(4 << 10, 1_000_000), (64 << 10, 1 << 16), (1 << 20, 1 << 13), (usize::MAX, 1 << 10)];
