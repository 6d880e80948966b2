//! The subcommands: what `ringgear WORD ...` does beside serving, each in a file of its own with its words, its doing and its
//! printing. The flags of the server are in `config/`.
pub mod store;
