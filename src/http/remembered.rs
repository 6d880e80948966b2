//! What is remembered for pages between two looks: what was just done, to be said on the page that is shown next, and how it went of late
//! (`trails.rs`). Bounded, and lost when the server ends.
use super::trails::Trails;
use std::cell::RefCell;
use std::collections::VecDeque;

/// What was just done, for the page that is shown next.
#[derive(Clone, Debug)]
pub(super) struct WhatWasDone {
    pub(super) text: String,
    /// How it is undone, if it can be: a word and a path.
    pub(super) undo: Option<(&'static str, String)>,
}

/// So many of them are kept, for as many visitors.
const TOLD_MAX: usize = 64;

/// What pages remember.
#[derive(Debug, Default)]
pub(super) struct PageMemory {
    pub(super) trails: Trails,
    done: RefCell<(u64, VecDeque<WhatWasDone>)>,
}

impl PageMemory {
    /// Keeps what is to be said on the next page, and tells its number.
    pub(super) fn tell(&self, told: WhatWasDone) -> u64 {
        let (count, list) = &mut *self.done.borrow_mut();
        if list.len() == TOLD_MAX {
            list.pop_front();
        }
        list.push_back(told);
        *count += 1;
        *count
    }

    pub(super) fn told(&self, number: u64) -> Option<WhatWasDone> {
        let (count, list) = &*self.done.borrow();
        let ago = usize::try_from(count.checked_sub(number)?).ok()?;
        list.len().checked_sub(ago + 1).and_then(|at| list.get(at)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_told_for_a_while() {
        let memory = PageMemory::default();
        let told = |text: &str| WhatWasDone { text: text.to_owned(), undo: None };
        let numbers: Vec<u64> = (0..100).map(|at| memory.tell(told(&at.to_string()))).collect();
        assert_eq!(memory.told(numbers[99]).unwrap().text, "99");
        assert_eq!(memory.told(numbers[36]).unwrap().text, "36");
        assert!(memory.told(numbers[35]).is_none() && memory.told(0).is_none() && memory.told(101).is_none());
    }
}
