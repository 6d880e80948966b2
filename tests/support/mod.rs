//! What several integration tests share. Each of them uses its part, hence the `allow`s.

#[allow(dead_code, clippy::unwrap_used)] // helpers of tests
pub(crate) mod apart;

#[cfg(feature = "tls")]
#[allow(dead_code, clippy::unwrap_used)] // helpers of tests
pub(crate) mod authority;

#[allow(dead_code)]
pub(crate) mod bounds;

#[allow(dead_code, clippy::unwrap_used)] // helpers of tests
pub(crate) mod caches;

#[allow(dead_code)]
pub(crate) mod cluster;

#[allow(dead_code)]
pub(crate) mod filter;

#[allow(dead_code)]
pub(crate) mod gearmand;

#[allow(dead_code)]
pub(crate) mod kept;

#[allow(dead_code, clippy::unwrap_used)] // helpers of tests
pub(crate) mod mariadb;

#[allow(dead_code)]
pub(crate) mod packets;

#[allow(dead_code, clippy::unwrap_used)] // helpers of tests
pub(crate) mod postgres;

#[allow(dead_code, clippy::unwrap_used)] // helpers of tests
pub(crate) mod proxy;

#[allow(dead_code, clippy::unwrap_used)] // helpers of tests
pub(crate) mod queues;

#[allow(dead_code, clippy::unwrap_used)] // helpers of tests
pub(crate) mod scenarios;

#[allow(dead_code, clippy::unwrap_used)] // helpers of tests
pub(crate) mod scratch;

#[allow(dead_code)]
pub(crate) mod server;

#[allow(dead_code, clippy::unwrap_used)] // helpers of tests
pub(crate) mod sharing;

#[allow(dead_code)]
pub(crate) mod stores;

#[cfg(feature = "tls")]
#[allow(dead_code, clippy::unwrap_used)] // helpers of tests
pub(crate) mod tunnel;
