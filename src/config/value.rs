//! Values of flags: how each kind is read, and what it becomes. Which flag has which is `flags.rs`.
use crate::engine::{Compat, TimeoutUnit};
use crate::logging::Level;
use crate::shard::options::SocketsChoice;
use std::ops::RangeInclusive;
use std::time::Duration;

/// A keepalive setting; `None` is the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe(pub(super) Option<u32>);

impl Probe {
    pub(super) fn seconds(self) -> Option<Duration> {
        self.0.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// Reads a number of this range. Whatever else stands there, the mistake says the range.
pub(super) fn number(
    range: RangeInclusive<i64>,
) -> impl Fn(&str) -> Result<i64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        number.ok_or_else(|| match (*range.start(), *range.end()) {
            (i64::MIN, _) => "must be a whole number".to_owned(),
            (least, i64::MAX) => format!("must be a whole number, {least} or more"),
            (least, most) => format!("must be a whole number from {least} to {most}"),
        })
    }
}

pub(super) fn level(name: &str) -> Result<Level, String> {
    let names = || Level::ALL.map(Level::name).join(", ");
    Level::from_name(name).ok_or_else(|| format!("must be one of {}", names()))
}

pub(super) fn timeout_unit(name: &str) -> Result<TimeoutUnit, &'static str> {
    match name {
        "ms" => Ok(TimeoutUnit::Milliseconds),
        "s" => Ok(TimeoutUnit::Seconds),
        _ => Err("must be ms or s"),
    }
}

pub(super) fn sockets(how: &str) -> Result<SocketsChoice, &'static str> {
    match how {
        "auto" => Ok(SocketsChoice::Auto),
        "uring" => Ok(SocketsChoice::Uring),
        "epoll" => Ok(SocketsChoice::Epoll),
        _ => Err("must be auto, uring or epoll"),
    }
}

pub(super) fn compat(version: &str) -> Result<Compat, &'static str> {
    match version {
        "1.1" => Ok(Compat::V1_1),
        "2.0" => Ok(Compat::V2_0),
        "2.1" => Ok(Compat::V2_1),
        "2.2" => Ok(Compat::V2_2),
        _ => Err("must be 1.1, 2.0, 2.1 or 2.2"),
    }
}

pub(super) fn mode(text: &str) -> Result<u32, &'static str> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|&mode| mode <= 0o777);
    mode.ok_or("must be an octal number up to 777")
}

pub(super) fn probe(text: &str, most: u32) -> Result<Probe, String> {
    match text.parse::<i64>().map(u32::try_from) {
        Ok(Ok(value)) if (1..=most).contains(&value) => Ok(Probe(Some(value))),
        Ok(Err(_)) if text == "-1" => Ok(Probe(None)),
        _ => Err(format!("must be 1 to {most}, or -1 for the system's value")),
    }
}

/// A number that its flag's range lets fit.
pub(super) fn fit<T: TryFrom<i64>>(number: i64) -> T {
    T::try_from(number).ok().expect("the flag's range keeps the number small enough")
}
