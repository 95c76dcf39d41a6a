//! The hash of a row: a pure function of its place, its body and the row before it.

use sha2::{Digest, Sha256};

/// A link of the chain.
pub(super) type Hash = [u8; 32];

/// What stands before the first row.
pub(super) const GENESIS: Hash = [0; 32];

/// Hash of row `seq` with this body, behind `prev`.
pub(super) fn link(prev: &Hash, seq: u64, body: &[u8]) -> Hash {
    let mut hasher = Sha256::new();
    // The name keeps these hashes apart from any other use of SHA-256 over the same bytes.
    hasher.update(b"seawall.event.v1\0");
    hasher.update(prev);
    hasher.update(seq.to_be_bytes());
    hasher.update(body);
    hasher.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn place_body_and_past_all_count() {
        let base = link(&GENESIS, 1, b"a");
        assert_ne!(base, link(&GENESIS, 2, b"a"));
        assert_ne!(base, link(&GENESIS, 1, b"b"));
        assert_ne!(base, link(&base, 1, b"a"));
    }
}
