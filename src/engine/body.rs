//! The bytes of a job: its own, or shared with whoever else reads them.
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Deref;

/// Bytes from this many on are shared; fewer cost less when they are copied.
pub const SHARED_MIN: usize = 16 << 10;

/// Function, NUL, unique, NUL, workload: as it stands in SUBMIT_JOB and in JOB_ASSIGN_UNIQ.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(BodyBytes);

/// As small as a slice, because there may be millions of jobs.
#[derive(Clone, PartialEq, Eq)]
enum BodyBytes {
    Own(Box<[u8]>),
    Shared(Box<Bytes>),
}

impl Body {
    /// A large packet's part.
    pub fn shared(bytes: Bytes) -> Body {
        Body(BodyBytes::Shared(Box::new(bytes)))
    }

    #[cold]
    fn share_all(bytes: Vec<u8>) -> Body {
        Body::shared(Bytes::from(bytes))
    }

    /// The bytes for somebody else: a copy of few, a share of many.
    #[inline]
    pub fn share(&self) -> Bytes {
        match &self.0 {
            BodyBytes::Own(bytes) => Bytes::copy_from_slice(bytes),
            BodyBytes::Shared(bytes) => Bytes::clone(bytes),
        }
    }

    /// A part of the bytes for somebody else, unless that takes a copy.
    pub fn share_of(&self, part: &[u8]) -> Option<Bytes> {
        match &self.0 {
            BodyBytes::Own(_) => None,
            BodyBytes::Shared(bytes) => Some(bytes.slice_ref(part)),
        }
    }
}

impl Default for Body {
    fn default() -> Body {
        Body(BodyBytes::Own(Box::default()))
    }
}

impl From<Vec<u8>> for Body {
    #[inline]
    fn from(bytes: Vec<u8>) -> Body {
        if bytes.len() >= SHARED_MIN {
            return Body::share_all(bytes);
        }
        Body(BodyBytes::Own(bytes.into_boxed_slice()))
    }
}

impl Deref for Body {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            BodyBytes::Own(bytes) => bytes,
            BodyBytes::Shared(bytes) => bytes,
        }
    }
}

impl core::fmt::Debug for Body {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn a_body_is_as_small_as_a_slice_and_shared_when_it_is_large() {
        assert_eq!(size_of::<Body>(), size_of::<Box<[u8]>>());
        let small = Body::from(vec![7; SHARED_MIN - 1]);
        assert_ne!(small.share().as_ptr(), small.as_ptr());
        assert_eq!(small.share_of(&small[1..]), None);
        let large = Body::from(vec![7; SHARED_MIN]);
        assert_eq!(large.share_of(&large[3..]).unwrap().as_ptr(), large[3..].as_ptr());
        assert_eq!((large.share().as_ptr(), large.len()), (large.as_ptr(), SHARED_MIN));
    }
}
