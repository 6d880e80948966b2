//! Tokens and what becomes of them: made from chance, kept as digests, compared in a time that does not tell how much of them is right.
//! Whose they are is in `tokens.rs`.
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest, Sha256};
use std::io;
use subtle::ConstantTimeEq;

/// What is kept of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SecretDigest([u8; 32]);

impl SecretDigest {
    pub(crate) fn of(secret: &[u8]) -> SecretDigest {
        SecretDigest(Sha256::digest(secret).into())
    }

    /// As [`SecretDigest::hex`] writes it, in large letters as well.
    pub(crate) fn read(text: &str) -> Option<SecretDigest> {
        let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
        let mut digest = [0; 32];
        if pairs.len() != digest.len() {
            return None;
        }
        for (byte, &[high, low]) in digest.iter_mut().zip(pairs) {
            let digit = |byte: u8| char::from(byte).to_digit(16);
            // Two digits are a byte.
            *byte = (digit(high)? * 16 + digit(low)?) as u8;
        }
        Some(SecretDigest(digest))
    }

    pub(crate) fn hex(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub(crate) fn is(&self, other: &SecretDigest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// 256 bits of chance, 43 letters.
pub(crate) fn chance() -> io::Result<String> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())?;
    }
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_everybody() {
        let digest = SecretDigest::of(b"abc");
        let hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.hex(), hex);
        assert_eq!(SecretDigest::read(&hex.to_uppercase()), Some(digest));
        assert!(digest.is(&SecretDigest::of(b"abc")) && !digest.is(&SecretDigest::of(b"abd")));
        for wrong in ["", "ba", &hex[1..], &format!("{hex}00"), &hex.replace('f', "g")] {
            assert_eq!(SecretDigest::read(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn chance_is_new_each_time() {
        let (one, other) = (chance().unwrap(), chance().unwrap());
        assert_eq!((one.len(), other.len()), (43, 43));
        assert_ne!(one, other);
    }
}
