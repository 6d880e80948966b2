//! Who may do what (`--acl`): the file that says so, and what it grants to somebody at a door. The engine is handed what is
//! granted, and refuses the rest; who somebody is, the shell finds out.
//!
//! `book.rs` has the list that counts now, `list.rs` the list with its entries (`entry.rs`), `file.rs` reads it, `selector.rs` says whom an entry means,
//! `pattern.rs` which functions; `door.rs` is what a listening address is for, and `granted.rs` what comes of both.
mod book;
mod door;
mod entry;
mod error;
mod file;
mod granted;
mod list;
mod options;
mod pattern;
mod selector;

pub use book::AccessBook;
#[doc(hidden)]
pub use book::fuzz;
pub use door::{AdminLines, Door};
pub use error::AccessError;
pub use options::AccessOptions;
pub(crate) use selector::called;
