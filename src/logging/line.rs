//! What a line of the log looks like: gearmand's form, byte for byte. Where it goes is in `sink.rs`.
use super::level::Level;
use jiff::Zoned;
use std::cell::Cell;
use std::fmt::{self, Write as _};

thread_local! {
    /// The shard that this thread runs, if any.
    pub(super) static SHARD: Cell<Option<u16>> = const { Cell::new(None) };
}

/// Says that the calling thread runs this shard; its lines carry the number. Other threads are `main`.
pub fn on_shard(number: u16) {
    SHARD.set(Some(number));
}

/// One line: level, local time, thread, message; then, but for INFO, the place in the source.
pub(super) struct LogLine<'a> {
    pub(super) level: Level,
    pub(super) time: &'a Zoned,
    /// Without, the time has zeros in their place, as gearmand's.
    pub(super) microseconds: bool,
    pub(super) shard: Option<u16>,
    pub(super) message: &'a str,
    pub(super) file: &'a str,
    pub(super) line: u32,
}

impl fmt::Display for LogLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogLine { time, message, file, line, .. } = self;
        let microsecond = if self.microseconds { time.subsec_nanosecond() / 1000 } else { 0 };
        write!(f, "{:>7} {}.{microsecond:06} ", self.level.name(), time.strftime("%Y-%m-%d %H:%M:%S"))?;
        match self.shard {
            None => write!(f, "[  main ] ")?,
            Some(shard) => write!(f, "[{shard:>6} ] ")?,
        }
        write!(f, "{message}")?;
        if self.level != Level::Info {
            write!(f, " -> {file}:{line}")?;
        }
        f.write_char('\n')
    }
}

/// Bytes of a peer on their way into a line: control characters become `_`, so that nobody writes lines for us.
pub(crate) struct Visible<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                f.write_char(if character.is_control() { '_' } else { character })?;
            }
            if !chunk.invalid().is_empty() {
                f.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(level: Level, microseconds: bool, shard: Option<u16>) -> String {
        let time: Zoned = "2026-08-21T07:08:09.012345678+02:00[+02:00]".parse().unwrap();
        let message = "hello";
        LogLine { level, time: &time, microseconds, shard, message, file: "src/x.rs", line: 7 }.to_string()
    }

    #[test]
    fn lines_look_like_gearmands() {
        let error = "  ERROR 2026-08-21 07:08:09.000000 [  main ] hello -> src/x.rs:7\n";
        assert_eq!(line(Level::Error, false, None), error);
        let info = "   INFO 2026-08-21 07:08:09.012345 [     3 ] hello\n";
        assert_eq!(line(Level::Info, true, Some(3)), info);
        assert!(line(Level::Critical, false, Some(255)).starts_with("CRITICAL 2026-08-21 "));
        assert!(line(Level::Warning, false, Some(255)).contains(" [   255 ] hello -> "));
    }

    #[test]
    fn peers_cannot_write_lines() {
        assert_eq!(Visible(b"a\nb\x1b[2J\xffc \xc3\xbc").to_string(), "a_b_[2J\u{fffd}c ü");
    }
}
