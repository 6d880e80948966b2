//! What all stores in SQL databases have in common, and gearmand's table with them: no driver, no statements. Each store's
//! statements and values are its own (`sqlite/`).
pub(crate) mod key;
