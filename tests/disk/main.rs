//! The log's shipped code on a simulated disk: crashes at every point of every short history, calls that fail one by
//! one, long random lives; damaged logs; and bugs that all of this must find.
#![allow(clippy::unwrap_used)]
mod damage;
mod faults;
mod first;
mod histories;
mod model;
mod planted;
mod repair;
mod runner;
mod sim;
mod tools;
