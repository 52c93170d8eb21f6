//! A text that is a little wrong, the same for the same seed.

/// What mutations put in: what a person leaves out, doubles or mistypes, and what breaks parsers.
const PIECES: [&[u8]; 24] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"null",
    b"true",
    b"-",
    b".",
    b"0",
    b"9223372036854775808",
    b"1e999",
    b"\\ud800",
    b"2562047h",
    b"9999-12-30T22:00:00Z",
    b"\xc2\xb5",
];

/// A xorshift generator (Marsaglia, "Xorshift RNGs").
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % (end.max(1) as u64)).expect("it is below a usize")
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len + 1);
        let end = start + self.below((len - start).min(16) + 1);
        start..end
    }
}

/// The text after one to four changes; `others` lend pieces.
pub(crate) fn mutated(text: &[u8], others: &[Vec<u8>], seed: u64) -> Vec<u8> {
    let mut random = Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let mut text = text.to_vec();
    for _ in 0..=random.below(4) {
        let range = random.range(text.len());
        match random.below(5) {
            0 => drop(text.drain(range)),
            1 => drop(text.splice(range, PIECES[random.below(PIECES.len())].iter().copied())),
            2 => {
                let copy = text[range.clone()].to_vec();
                drop(text.splice(range.end..range.end, copy));
            }
            3 => {
                let other = &others[random.below(others.len())];
                let piece = random.range(other.len());
                drop(text.splice(range, other[piece].iter().copied()));
            }
            _ => {
                if let Some(byte) = text.get_mut(range.start) {
                    *byte ^= 1 << random.below(8);
                }
            }
        }
    }
    text
}
