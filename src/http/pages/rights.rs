//! What a visitor may do, as far as pages show it. Who he is, and what that gives him, is decided before.

/// What a visitor may do, as far as pages show it: what he may not is not there, and is refused where it is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct PageRights {
    /// Whether he may see numbers and lists; who may submit only sees one page.
    pub(in super::super) read: bool,
    pub(in super::super) submit: bool,
    pub(in super::super) operate: bool,
    /// Whether he has logged in.
    pub(in super::super) known: bool,
    /// Whether one can log in here.
    pub(in super::super) logs_in: bool,
}
