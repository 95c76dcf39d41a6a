//! Whether bytes may be a bare deflate stream. Nothing marks one, and bytes that were decoded by
//! chance look like one in every second case: an inflater builds its tables before it finds out.

/// Fewer bytes of output are not looked at.
const LEAST: u32 = 8;

/// Whether an inflater may get anything out of these bytes. False only where it would find an error,
/// or the end, before there is anything worth a look.
pub(super) fn may_begin(bytes: &[u8]) -> bool {
    let mut bits = Bits { bytes, at: 1 };
    match bits.take(2) {
        Some(1) => fixed(&mut bits),
        Some(2) => dynamic(&mut bits),
        _ => false,
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    /// Bits read.
    at: usize,
}

impl Bits<'_> {
    /// The next bits, the lowest first; none when there are fewer.
    fn take(&mut self, count: usize) -> Option<u32> {
        if count == 0 {
            return Some(0);
        }
        let byte = |n: usize| self.bytes.get(self.at / 8 + n).copied().map(u32::from);
        let all = byte(0)?
            | byte(1).unwrap_or_default() << 8
            | byte(2).unwrap_or_default() << 16
            | byte(3).unwrap_or_default() << 24;
        if self.at + count > self.bytes.len() * 8 {
            return None;
        }
        let value = all >> (self.at % 8) & ((1 << count) - 1);
        self.at += count;
        Some(value)
    }

    /// The next bits as a Huffman code has them, the highest first.
    fn code(&mut self, count: usize) -> Option<u32> {
        let bits = self.take(count)?;
        Some(bits.reverse_bits() >> (32 - count))
    }
}

/// Symbols of a block with the fixed code (RFC 1951, 3.2.6). None at the end of the input.
fn symbol(bits: &mut Bits<'_>) -> Option<u32> {
    let code = bits.code(7)?;
    if code <= 0b001_0111 {
        return Some(256 + code);
    }
    let code = code << 1 | bits.take(1)?;
    match code {
        0b0011_0000..=0b1011_1111 => Some(code - 0b0011_0000),
        0b1100_0000..=0b1100_0111 => Some(280 + code - 0b1100_0000),
        _ => Some(144 + (code << 1 | bits.take(1)?) - 0b1_1001_0000),
    }
}

/// Whether the first symbols give so many bytes that they are worth a look.
fn fixed(bits: &mut Bits<'_>) -> bool {
    let mut written = 0;
    while written < LEAST {
        let Some(symbol) = symbol(bits) else { return false };
        match symbol {
            0..256 => written += 1,
            // Another block follows, or nothing.
            256 => return true,
            _ => match copied(symbol, bits) {
                Some((length, distance)) if distance <= written => written += length,
                _ => return false,
            },
        }
    }
    true
}

/// Length and distance of a copy of what was written before; none where the input ends or no
/// stream has that.
fn copied(symbol: u32, bits: &mut Bits<'_>) -> Option<(u32, u32)> {
    /// Shortest length of each symbol, and how many bits are added to it.
    const LENGTHS: [(u32, usize); 29] = [
        (3, 0),
        (4, 0),
        (5, 0),
        (6, 0),
        (7, 0),
        (8, 0),
        (9, 0),
        (10, 0),
        (11, 1),
        (13, 1),
        (15, 1),
        (17, 1),
        (19, 2),
        (23, 2),
        (27, 2),
        (31, 2),
        (35, 3),
        (43, 3),
        (51, 3),
        (59, 3),
        (67, 4),
        (83, 4),
        (99, 4),
        (115, 4),
        (131, 5),
        (163, 5),
        (195, 5),
        (227, 5),
        (258, 0),
    ];
    let (base, extra) = LENGTHS.get(symbol.checked_sub(257)? as usize)?;
    let length = base + bits.take(*extra)?;
    let far = bits.code(5).filter(|far| *far < 30)?;
    let extra = (far / 2).saturating_sub(1);
    let rest = bits.take(extra as usize)?;
    let distance = if far < 2 { far + 1 } else { ((2 + far % 2) << extra) + rest + 1 };
    Some((length, distance))
}

/// The head of a block with a code of its own: the code in which its lengths are written must be
/// complete, which chance hardly gives.
fn dynamic(bits: &mut Bits<'_>) -> bool {
    let mut head = || Some((bits.take(5)?, bits.take(5)?, bits.take(4)?));
    let Some((literals, distances, lengths)) = head() else { return false };
    if literals > 29 || distances > 29 {
        return false;
    }
    let mut used = 0u32;
    for _ in 0..lengths + 4 {
        match bits.take(3) {
            None => return false,
            Some(0) => {}
            Some(length) => used += 128 >> length,
        }
    }
    used == 128
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn deflated(text: &[u8], level: u32) -> Vec<u8> {
        let mut to =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
        to.write_all(text).unwrap();
        to.finish().unwrap()
    }

    proptest! {
        /// Nothing that an inflater opens is passed over.
        #[test]
        fn what_is_compressed_may_begin(
            text in proptest::collection::vec(any::<u8>(), 8..400), words in "[a-d ]{8,400}"
        ) {
            for text in [text.as_slice(), words.as_bytes()] {
                for level in [1, 6, 9] {
                    let bytes = deflated(text, level);
                    // A stored block is not compressed.
                    prop_assert!(bytes[0] >> 1 & 3 == 0 || may_begin(&bytes));
                }
            }
        }

        /// What is passed over gives nothing, or begins with a copy of what is not there.
        #[test]
        fn nothing_is_passed_over_that_gives_text(bytes in proptest::collection::vec(any::<u8>(), 1..64)) {
            if matches!(bytes[0] >> 1 & 3, 1 | 2) && !may_begin(&bytes) {
                let mut out = vec![0u8; 64];
                // With the whole output in one piece, a copy from before its beginning is an error.
                let mut inflater = flate2::Decompress::new(false);
                let told = inflater.decompress(&bytes, &mut out, flate2::FlushDecompress::Finish);
                prop_assert!(told.is_err() || inflater.total_out() < 8);
            }
        }
    }

    #[test]
    fn chance_hardly_looks_compressed() {
        let mut seed = 7u64;
        let mut random = || {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as u8
        };
        let count = (0..4000)
            .filter(|_| may_begin(&std::array::from_fn::<u8, 48, _>(|_| random())))
            .count();
        assert!(count < 400, "{count}");
    }
}
