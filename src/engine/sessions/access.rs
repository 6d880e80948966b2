//! The rights of a session, with what was looked up of them. What follows from them is in `rights.rs`.
use crate::access::{Grants, Right, Rights};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The rights of a session that may not do everything.
#[derive(Debug)]
pub(crate) struct Access {
    grants: Arc<dyn Grants>,
    /// Functions to which it has submitted lately, or tried to: each is looked up once.
    known: Vec<KnownGrant>,
    /// Bytes of these.
    bytes: usize,
}

/// Whether jobs of a function may be submitted.
#[derive(Debug)]
struct KnownGrant {
    function: Box<[u8]>,
    granted: bool,
}

impl KnownGrant {
    fn bytes(&self) -> usize {
        size_of::<KnownGrant>() + self.function.len()
    }
}

impl Access {
    /// Functions that are remembered.
    const KNOWN_MAX: usize = 32;
    /// The longest name that is remembered, in bytes.
    const NAME_MAX: usize = 256;

    pub(super) fn new(grants: Arc<dyn Grants>) -> Access {
        Access { grants, known: Vec::new(), bytes: 0 }
    }

    /// Whether jobs of a function may be submitted.
    pub(super) fn submits(&mut self, function: &[u8]) -> bool {
        if let Some(at) = self.known.iter().position(|known| *known.function == *function) {
            // Those that come often are found soon, and stay.
            self.known.swap(0, at);
            return self.known[0].granted;
        }
        let granted = self.grants.covers(Right::Submit, function);
        if function.len() <= Self::NAME_MAX {
            if self.known.len() == Self::KNOWN_MAX {
                self.bytes -= self.known.pop().map_or(0, |known| known.bytes());
            }
            let known = KnownGrant { function: function.into(), granted };
            self.bytes += known.bytes();
            self.known.push(known);
        }
        granted
    }

    /// Whether jobs of a function may be taken. Each is asked for once, when it is registered.
    pub(super) fn works(&self, function: &[u8]) -> bool {
        self.grants.covers(Right::Work, function)
    }

    pub(super) fn has(&self, right: Right) -> bool {
        self.grants.has(right)
    }

    pub(super) fn rights(&self) -> Rights {
        Rights::of(self.grants.clone())
    }

    /// Bytes that it takes.
    #[inline]
    pub(super) fn bytes(&self) -> usize {
        size_of::<Access>() + self.bytes
    }

    /// What was looked up is taken over from others. A planted bug: it is not true any more.
    pub(super) fn remember(&mut self, others: Access) {
        (self.known, self.bytes) = (others.known, others.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::{AtomicU32, Ordering};

    #[derive(Debug, Default)]
    struct Counting(AtomicU32);

    impl Grants for Counting {
        fn covers(&self, _: Right, function: &[u8]) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed);
            function.starts_with(b"a")
        }

        fn has(&self, _: Right) -> bool {
            true
        }
    }

    #[test]
    fn each_function_is_looked_up_once_and_few_are_remembered() {
        let counting = Arc::new(Counting::default());
        let mut access = Access::new(counting.clone());
        let empty = access.bytes();
        for _ in 0..10 {
            assert!(access.submits(b"abc") && !access.submits(b"bcd"));
        }
        assert_eq!(counting.0.load(Ordering::Relaxed), 2);
        for number in 0..1000_u32 {
            assert!(!access.submits(&number.to_be_bytes()));
            assert!(access.submits(b"abc"));
        }
        assert_eq!(counting.0.load(Ordering::Relaxed), 1002, "what comes often stays");
        assert!(access.submits(&[b'a'; 5000]));
        let most = Access::KNOWN_MAX * (size_of::<KnownGrant>() + Access::NAME_MAX);
        assert!(access.known.len() == Access::KNOWN_MAX && access.bytes() - empty < most);
        let bytes: usize = access.known.iter().map(KnownGrant::bytes).sum();
        assert_eq!(access.bytes, bytes);
    }
}
