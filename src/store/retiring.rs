//! How far a server has left its jobs to others before it ends. A value; what follows is `leaving.rs`.

/// How far we have left our jobs to others, before we end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Retiring {
    No,
    /// We have taken in nothing since; those of this number are to be left to others, by one who goes on as that number. Whether that
    /// was tried already.
    Soon {
        me: i32,
        next: i32,
        tried: bool,
    },
    /// They are others'.
    Over,
}
