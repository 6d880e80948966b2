//! What a phase says of a recorded mix that it plays again. What a plan makes of it stands in `expand.rs`, how the file is
//! read in `trace.rs`.
use std::fmt;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// A recorded mix that a phase plays again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Replay {
    /// The file; what is not an absolute path is beside the plan.
    pub(crate) file: PathBuf,
    /// How many times as fast as recorded.
    #[serde(default = "once")]
    pub(crate) speed: f64,
    /// Connections that jobs are dealt to, in turn; those of each priority, and those in the background, have their own.
    #[serde(default = "sixteen")]
    pub(crate) clients: u32,
    /// Workers; without it 64, or as many as are busy for half of the time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) workers: Option<u32>,
    /// True to use the functions' names as they stand: other people's workers may get the jobs.
    #[serde(default)]
    pub(crate) as_named: bool,
    /// Tells whether the file is still the same; written into results.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sum: Option<String>,
}

fn once() -> f64 {
    1.0
}

fn sixteen() -> u32 {
    16
}

/// Reads `replay = "FILE.csv"` or a table with all of it.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Replay>, D::Error> {
    struct Either;
    impl<'de> Visitor<'de> for Either {
        type Value = Replay;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the path of a CSV file, or a table with `file`")
        }

        fn visit_str<E>(self, file: &str) -> Result<Replay, E> {
            let (speed, clients) = (once(), sixteen());
            Ok(Replay { file: file.into(), speed, clients, workers: None, as_named: false, sum: None })
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Replay, A::Error> {
            Replay::deserialize(MapAccessDeserializer::new(map))
        }
    }
    from.deserialize_any(Either).map(Some)
}
