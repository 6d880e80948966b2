//! Ringgear
pub use ringgear_engine as engine;
pub use ringgear_protocol as protocol;
