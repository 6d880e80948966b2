//! A level of the log that an operator wants for a while: it goes back by itself.
use crate::logging::{self, Level};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::spawn_local;
use tokio::time::sleep;

/// A level of the log that holds for a while.
#[derive(Debug, Default)]
pub(super) struct LevelForAWhile {
    /// Counts orders: one that was followed by another does not end it.
    orders: Rc<Cell<u64>>,
    /// The level before the first of them.
    before: Rc<Cell<Option<Level>>>,
}

impl LevelForAWhile {
    /// Has lines be written down to this level, for so long.
    pub(super) fn set(&self, level: Level, time: Duration) {
        let before = self.before.get().unwrap_or_else(logging::least);
        self.before.set(Some(before));
        logging::turn_on(level);
        let order = self.orders.get() + 1;
        self.orders.set(order);
        let (orders, kept) = (self.orders.clone(), self.before.clone());
        spawn_local(async move {
            sleep(time).await;
            if orders.get() == order {
                logging::turn_on(before);
                kept.set(None);
            }
        });
    }
}
