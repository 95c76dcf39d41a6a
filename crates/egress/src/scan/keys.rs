//! Private keys that no fixed text begins: their checksum tells them from other text.

use super::decode;
use sha2::{Digest, Sha256};

/// A key in `bytes`: the private key of Bitcoin and its kin (base58check), or of Stellar (CRC-16).
/// Only runs of exactly their length are looked at more closely, so the work is linear.
pub(super) fn find(bytes: &[u8]) -> Option<&'static str> {
    // Letters and digits stand in runs of encoded text, which are found faster.
    let runs = decode::runs(bytes, SHORTEST);
    let mut words = runs.flat_map(|(_, run)| run.split(|b| !b.is_ascii_alphanumeric()));
    let key = words.any(|word| match (word.len(), word.first()) {
        (SHORTEST, Some(b'5' | b'9')) | (52, Some(b'K' | b'L' | b'c')) => {
            is_base58check(Some(word))
        }
        (56, Some(b'S')) => is_stellar(word),
        _ => false,
    });
    key.then_some("private-key")
}

/// Length of the shortest of these keys.
const SHORTEST: usize = 51;

/// Base58 whose last four bytes are the double SHA-256 of the others.
pub(super) fn is_base58check(text: Option<&[u8]>) -> bool {
    const DIGITS: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let Some(text) = text else { return false };
    // Big-endian; 111 digits are 82 bytes.
    let mut number = [0u8; 84];
    for digit in text {
        let Some(value) = DIGITS.iter().position(|d| d == digit) else { return false };
        let mut carry = value;
        for byte in number.iter_mut().rev() {
            carry += usize::from(*byte) * 58;
            *byte = (carry & 0xff) as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    // Version bytes of these keys are not 0, so leading zeros are not a part of it.
    let first = number.iter().position(|b| *b != 0).unwrap_or(number.len());
    let bytes = number.get(first..).unwrap_or_default();
    let Some((data, sum)) = bytes.split_last_chunk::<4>() else { return false };
    let once = Sha256::digest(data);
    Sha256::digest(once).starts_with(sum)
}

/// 35 bytes in base32, a version byte for secret seeds in front, CRC-16/XMODEM behind.
fn is_stellar(text: &[u8]) -> bool {
    let Some(bytes) = base32(text) else { return false };
    let Some((data, sum)) = bytes.split_last_chunk::<2>() else { return false };
    let mut crc = 0u16;
    for byte in data {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    data.first() == Some(&(18 << 3)) && crc == u16::from_le_bytes(*sum)
}

fn base32(text: &[u8]) -> Option<Vec<u8>> {
    let (mut bits, mut held, mut out) = (0u32, 0u32, Vec::new());
    for c in text {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'2'..=b'7' => c - b'2' + 26,
            _ => return None,
        };
        held = (held << 5 | u32::from(value)) & 0xfff;
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits & 0xff) as u8);
        }
    }
    Some(out)
}

/// Whether `length` bytes from `start` on are a text of BIP 173 with a right checksum.
pub(super) fn is_bech32(bytes: &[u8], start: usize, length: usize) -> bool {
    const DIGITS: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let Some(text) = bytes.get(start..start + length) else { return false };
    let text = text.to_ascii_lowercase();
    let Some(one) = text.iter().rposition(|b| *b == b'1') else { return false };
    let mut check = 1u32;
    let mut step = |value: u8| {
        let top = check >> 25;
        check = (check & 0x01ff_ffff) << 5 ^ u32::from(value);
        let generators = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3u32];
        for (bit, generator) in generators.iter().enumerate() {
            if top >> bit & 1 == 1 {
                check ^= generator;
            }
        }
    };
    let (name, data) = text.split_at_checked(one).unwrap_or_default();
    name.iter().for_each(|b| step(b >> 5));
    step(0);
    name.iter().for_each(|b| step(b & 31));
    for digit in data.iter().skip(1) {
        let Some(value) = DIGITS.iter().position(|d| d == digit) else { return false };
        step(value as u8);
    }
    check == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Examples of the specifications; nobody's keys.
    const WIF: [&str; 2] = [
        "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
        "KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617",
    ];
    const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";

    #[test]
    fn keys_are_known_by_their_checksum_alone() {
        for key in WIF {
            assert_eq!(find(format!("key={key}\n").as_bytes()), Some("private-key"), "{key}");
            let mut wrong = key.to_owned().into_bytes();
            wrong[20] = if wrong[20] == b'a' { b'b' } else { b'a' };
            assert_eq!(find(&wrong), None);
        }
        assert!(is_bech32(NSEC.as_bytes(), 0, NSEC.len()));
        assert!(!is_bech32(NSEC.replace("vl0", "v0l").as_bytes(), 0, NSEC.len()));
        let age = b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
        assert!(is_bech32(age, 0, age.len()));
        let seed = b"SAAACAQDAQCQMBYIBEFAWDANBYHRAEISCMKBKFQXDAMRUGY4DUPB6NKI";
        assert_eq!(find(seed), Some("private-key"));
        assert_eq!(find(&seed.to_ascii_lowercase()), None);
    }

    #[test]
    fn an_extended_key() {
        let key = b"xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi";
        assert!(is_base58check(Some(key)));
        assert!(!is_base58check(key.get(1..)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, start in 0usize..20, length in 0usize..90) {
            let _ = (find(&bytes), is_base58check(Some(&bytes)), is_bech32(&bytes, start, length));
        }

        #[test]
        fn runs_of_their_length_are_not_keys(run in "[1-9A-HJ-NP-Za-km-z]{51}") {
            prop_assert_eq!(find(format!("5{}", &run[1..]).as_bytes()), None);
        }
    }
}
