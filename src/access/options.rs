//! What an operator may decide about rights. Values only.
use super::door::AdminLines;
use std::path::PathBuf;

/// What an operator may decide about rights.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessOptions {
    /// The file that grants rights. Without one everybody may do what the door is for.
    pub file: Option<PathBuf>,
    /// What administrators' lines do at the doors for jobs.
    pub admin_lines: AdminLines,
}
