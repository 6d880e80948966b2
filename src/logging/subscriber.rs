//! Our `tracing` subscriber: makes gearmand's lines of events and hands them to the writer. Spans mean nothing to it.
use super::level::{Level, enabled};
use super::line::{LogLine, SHARD};
use super::repeats::Repeats;
use super::writer;
use jiff::Zoned;
use std::fmt::{Debug, Write as _};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};

/// Bytes of the longest message: what is longer is cut. No name that a peer can choose is.
const MESSAGE_MAX: usize = 16 << 10;

/// Has events become lines from now on, down to this level.
pub(super) fn install(least: Level) {
    // Whoever has set another one, a test, keeps it.
    let _ = tracing::subscriber::set_global_default(Lines { least });
}

struct Lines {
    least: Level,
}

/// Events of [`log_at!`](crate::log_at), which has looked at their level.
fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target() == "ringgear"
}

/// The level of what a dependency says.
fn level_of(level: tracing::Level) -> Option<Level> {
    match level {
        tracing::Level::ERROR => Some(Level::Error),
        tracing::Level::WARN => Some(Level::Warning),
        tracing::Level::INFO => Some(Level::Info),
        tracing::Level::DEBUG => Some(Level::Debug),
        _ => None,
    }
}

impl Subscriber for Lines {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && (is_ours(metadata) || level_of(*metadata.level()).is_some_and(|level| level <= self.least))
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        // What is ours is looked at before it comes here, by a level that may change.
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        static DEPENDENCIES: Repeats = Repeats::new();
        let metadata = event.metadata();
        let mut said = Said {
            ours: is_ours(metadata),
            rank: None,
            times: 1,
            file: None,
            line: None,
            message: String::new(),
        };
        event.record(&mut said);
        let Some(level) = said.level().or_else(|| level_of(*metadata.level())) else { return };
        if !said.ours {
            let Some(times) = DEPENDENCIES.admit(level) else { return };
            said.times = times;
        }
        if said.message.len() > MESSAGE_MAX {
            said.message.truncate(said.message.floor_char_boundary(MESSAGE_MAX));
            said.message.push_str("...");
        }
        if said.times > 1 {
            // Writing to a string does not fail.
            let _ = write!(said.message, " ({} times since this was last said)", said.times);
        }
        let line = LogLine {
            level,
            time: &Zoned::now(),
            microseconds: enabled(Level::Debug),
            shard: SHARD.get(),
            message: &said.message,
            file: said.file.as_deref().or(metadata.file()).unwrap_or(metadata.target()),
            line: said.line.or(metadata.line()).unwrap_or(0),
        };
        writer::write(level, line.to_string());
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What an event says.
struct Said {
    ours: bool,
    rank: Option<u64>,
    times: u64,
    /// The place that the line is to name, where it is not that of the event.
    file: Option<String>,
    line: Option<u32>,
    message: String,
}

impl Said {
    fn level(&self) -> Option<Level> {
        Level::ALL.get(usize::try_from(self.rank?).ok()?).copied()
    }
}

impl Visit for Said {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "rank" if self.ours => self.rank = Some(value),
            "times" if self.ours => self.times = value,
            "place_line" if self.ours => self.line = u32::try_from(value).ok(),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "place_file" if self.ours => self.file = Some(value.to_owned()),
            _ => self.record_debug(field, &value),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.message, " {name}={value:?}"),
        };
    }
}
