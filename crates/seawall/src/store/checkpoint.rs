//! Signed checkpoints: the head of the chain, signed with the log's own key.

use super::chain::Hash;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// The key that signs checkpoints. Lives in one 0600 file beside the log; its public half is kept
/// in a second file that may be copied elsewhere, so that a log can be verified without the key.
pub(crate) struct LogKey(SigningKey);

impl LogKey {
    /// Reads the key, or makes it when there is none.
    pub(crate) fn load_or_create(path: &Path) -> Result<Self, String> {
        match fs::read(path) {
            Ok(bytes) => {
                let bytes = Zeroizing::new(bytes);
                let seed: Zeroizing<[u8; 32]> = Zeroizing::new(
                    bytes
                        .as_slice()
                        .try_into()
                        .map_err(|_| format!("`{}` is not a key of 32 bytes", path.display()))?,
                );
                let mode = fs::metadata(path).map_err(|e| e.to_string())?.permissions().mode();
                if mode & 0o077 != 0 {
                    return Err(format!(
                        "`{}` can be read by others (mode {:o}); run `chmod 600 {}`",
                        path.display(),
                        mode & 0o777,
                        path.display()
                    ));
                }
                Ok(Self(SigningKey::from_bytes(&seed)))
            }
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                let mut seed = Zeroizing::new([0u8; 32]);
                getrandom::fill(seed.as_mut_slice())
                    .map_err(|e| format!("no randomness for the log key: {e}"))?;
                let mut file = fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(|e| format!("cannot create `{}`: {e}", path.display()))?;
                file.write_all(seed.as_slice())
                    .and_then(|()| file.sync_all())
                    .map_err(|e| format!("cannot write `{}`: {e}", path.display()))?;
                let key = Self(SigningKey::from_bytes(&seed));
                let public = path.with_extension("pub");
                fs::write(&public, format!("{}\n", hex::encode(key.public())))
                    .map_err(|e| format!("cannot write `{}`: {e}", public.display()))?;
                Ok(key)
            }
            Err(e) => Err(format!("cannot read `{}`: {e}", path.display())),
        }
    }

    /// The public half.
    pub(crate) fn public(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    /// Signs the head of the chain.
    pub(super) fn sign(&self, seq: u64, time_ms: u64, hash: &Hash) -> [u8; 64] {
        self.0.sign(&message(seq, time_ms, hash)).to_bytes()
    }
}

/// Whether `signature` is `key`'s over this head.
pub(super) fn verify(key: &[u8], seq: u64, time_ms: u64, hash: &Hash, signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (<[u8; 32]>::try_from(key), Signature::from_slice(signature))
    else {
        return false;
    };
    VerifyingKey::from_bytes(&key)
        .is_ok_and(|key| key.verify(&message(seq, time_ms, hash), &signature).is_ok())
}

fn message(seq: u64, time_ms: u64, hash: &Hash) -> Vec<u8> {
    let mut out = b"seawall.checkpoint.v1\0".to_vec();
    out.extend_from_slice(&seq.to_be_bytes());
    out.extend_from_slice(&time_ms.to_be_bytes());
    out.extend_from_slice(hash);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_head_only() {
        let dir = tempfile::tempdir().unwrap();
        let key = LogKey::load_or_create(&dir.path().join("log.key")).unwrap();
        let again = LogKey::load_or_create(&dir.path().join("log.key")).unwrap();
        assert_eq!(key.public(), again.public());
        let signature = key.sign(3, 9, &[7; 32]);
        assert!(verify(&key.public(), 3, 9, &[7; 32], &signature));
        assert!(!verify(&key.public(), 4, 9, &[7; 32], &signature));
        assert!(!verify(&key.public(), 3, 9, &[8; 32], &signature));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log.key");
        LogKey::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(LogKey::load_or_create(&path).err().unwrap().contains("chmod 600"));
    }
}
