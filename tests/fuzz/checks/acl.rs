//! What must hold of any bytes in an access list: it is read to the end or refused with one line, and `acl list` has a line for each entry.
//! The check stands with the reader (`src/access/book.rs`), which nobody else may call.

pub(crate) fn run(bytes: &[u8]) {
    ringgear::access::fuzz(bytes);
}
