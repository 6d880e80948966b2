//! Something of which there are only so many at a time.
use std::cell::Cell;
use std::rc::Rc;

/// So many places.
#[derive(Debug)]
pub(super) struct LimitedPlaces {
    free: Rc<Cell<usize>>,
}

/// One of them, until it is let go of.
#[derive(Debug)]
pub(super) struct LimitedPlace {
    free: Rc<Cell<usize>>,
}

impl LimitedPlaces {
    pub(super) fn new(count: usize) -> LimitedPlaces {
        LimitedPlaces { free: Rc::new(Cell::new(count)) }
    }

    /// One, if there is one.
    pub(super) fn take(&self) -> Option<LimitedPlace> {
        self.free.set(self.free.get().checked_sub(1)?);
        Some(LimitedPlace { free: self.free.clone() })
    }
}

impl Drop for LimitedPlace {
    fn drop(&mut self) {
        self.free.set(self.free.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_let_go_of() {
        let places = LimitedPlaces::new(1);
        let place = places.take();
        assert!(place.is_some() && places.take().is_none());
        drop(place);
        assert!(places.take().is_some());
    }
}
