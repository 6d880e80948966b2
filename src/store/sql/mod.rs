//! What all stores in SQL databases have in common: gearmand's table and our own beside it, what a row of them means, and
//! which rows a job becomes. No driver, no statements: each store has those in a folder of its own (`sqlite/`).
//!
//! A store reads the columns of a row as [`value::ColumnValue`]s, has [`row::Columns`] make sense of them, and asks
//! [`rows::JobRows`] what to write. Numbers of jobs, which databases keep with a sign, are `numbers.rs`.
// Each store needs its part of it.
#![cfg_attr(not(all(feature = "postgres", feature = "sqlite")), allow(dead_code))]

pub(crate) mod error;
pub(crate) mod key;
pub(crate) mod numbers;
pub(crate) mod row;
pub(crate) mod rows;
pub(crate) mod scheme;
pub(crate) mod value;
