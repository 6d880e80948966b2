//! Buffers of large packets that were let go and are used again: pages that the system has to clear and hand out anew for each
//! packet cost more than all that is done with the packet. They are few, and those that were not needed for a while are freed.
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A buffer of less room is the allocator's affair.
pub(super) const LEAST: usize = 256 << 10;
/// Each class is of twice the room of the one before.
const CLASSES: usize = 8;
/// All of them together never have more room than this.
const BYTES_MAX: usize = 64 << 20;
/// Buffers that are looked at for one that has room enough.
const TRIES: usize = 4;

/// See the top of the file. Any thread takes and gives; none waits for another: whoever finds a class in use goes without.
#[derive(Debug)]
pub(super) struct BufferCache {
    classes: [Mutex<Class>; CLASSES],
    /// Room of all.
    bytes: AtomicUsize,
    /// How much that may be.
    most: usize,
}

/// The last that was given is taken first: most of it is in a cache.
#[derive(Debug, Default)]
struct Class {
    buffers: Vec<Vec<u8>>,
    /// How few there were since somebody last looked: so many were not needed.
    low: usize,
}

/// The class of buffers with so much room, if they are kept.
fn class_of(room: usize) -> Option<usize> {
    let class = (room / LEAST).checked_ilog2()? as usize;
    (class < CLASSES).then_some(class)
}

impl BufferCache {
    /// Keeps nothing yet, and no more than this.
    pub(super) fn new(most: u64) -> BufferCache {
        let most = usize::try_from(most).map_or(BYTES_MAX, |most| most.min(BYTES_MAX));
        BufferCache { classes: Default::default(), bytes: AtomicUsize::new(0), most }
    }

    /// An empty buffer with at least so much room and less than four times as much, if there is one.
    pub(super) fn take(&self, room: usize) -> Option<Vec<u8>> {
        let first = class_of(room)?;
        for class in self.classes.iter().skip(first).take(2) {
            let Ok(mut class) = class.try_lock() else { continue };
            let Class { buffers, low } = &mut *class;
            let fits = buffers.iter().rev().take(TRIES).position(|buffer| buffer.capacity() >= room);
            if let Some(back) = fits {
                let buffer = buffers.remove(buffers.len() - 1 - back);
                *low = buffers.len().min(*low);
                self.bytes.fetch_sub(buffer.capacity(), Ordering::Relaxed);
                return Some(buffer);
            }
        }
        None
    }

    /// Keeps a buffer, unless there are enough, or it is not of a size that is kept.
    pub(super) fn give(&self, mut buffer: Vec<u8>) -> Result<(), Vec<u8>> {
        let room = buffer.capacity();
        let Some(class) = class_of(room) else { return Err(buffer) };
        let Ok(mut class) = self.classes[class].try_lock() else { return Err(buffer) };
        if self.bytes.fetch_add(room, Ordering::Relaxed) + room > self.most {
            self.bytes.fetch_sub(room, Ordering::Relaxed);
            return Err(buffer);
        }
        buffer.clear();
        class.buffers.push(buffer);
        Ok(())
    }

    /// Takes out those that were not needed since this was last called.
    pub(super) fn not_needed(&self) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        for class in &self.classes {
            let Ok(mut class) = class.try_lock() else { continue };
            let Class { buffers, low } = &mut *class;
            all.extend(buffers.drain(..*low));
            *low = buffers.len();
        }
        let bytes: usize = all.iter().map(Vec::capacity).sum();
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        all
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_used_again_until_nobody_needs_them() {
        let cache = BufferCache::new(u64::MAX);
        cache.give(vec![1; 5 * LEAST]).unwrap();
        assert_eq!(cache.take(6 * LEAST), None, "it has not that much room");
        let again = cache.take(4 * LEAST + 1).unwrap();
        assert!(again.is_empty() && again.capacity() >= 5 * LEAST);
        assert!(cache.is_empty());
        cache.give(again).unwrap();
        assert!(cache.not_needed().is_empty(), "it was just given");
        assert_eq!(cache.not_needed().len(), 1);
        assert!(cache.is_empty() && cache.bytes.load(Ordering::Relaxed) == 0);
    }

    #[test]
    fn only_so_many_and_of_such_sizes_are_kept() {
        let cache = BufferCache::new(17 * LEAST as u64);
        assert!(cache.give(Vec::with_capacity(LEAST - 1)).is_err());
        assert!(cache.give(Vec::with_capacity(LEAST << CLASSES)).is_err());
        let given = (0..).take_while(|_| cache.give(Vec::with_capacity(8 * LEAST)).is_ok()).count();
        assert_eq!(given, 2);
        assert!(cache.take(3 * LEAST).is_none() && cache.take(4 * LEAST).is_some());
    }
}
