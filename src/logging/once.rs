//! What is worth saying once for each name until the server ends.
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Names that are remembered. With more, nothing is said of the others: whoever has read so many lines knows.
const NAMES_MAX: usize = 1024;

/// The names about which something was said, by their hashes.
pub(super) struct Once {
    said: Mutex<Option<HashSet<u64>>>,
    hash: OnceLock<RandomState>,
}

impl Once {
    /// Nothing was said yet.
    pub(super) const fn new() -> Once {
        Once { said: Mutex::new(None), hash: OnceLock::new() }
    }

    /// Whether this is the first time for this name.
    pub(super) fn is_first(&self, name: &[u8]) -> bool {
        let hash = self.hash.get_or_init(RandomState::new).hash_one(name);
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = said.get_or_insert_default();
        said.len() < NAMES_MAX && said.insert(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_first_once_up_to_a_bound() {
        let once = Once::new();
        assert!(once.is_first(b"a") && !once.is_first(b"a") && once.is_first(b"b"));
        let firsts = (0..5000_u32).filter(|number| once.is_first(&number.to_be_bytes())).count();
        assert_eq!(firsts, NAMES_MAX - 2);
    }
}
