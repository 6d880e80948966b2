//! What a session may do. The engine asks before it does anything; who is granted what, by names, files and expressions, is decided
//! elsewhere and handed in ready.
use alloc::sync::Arc;
use core::fmt;

/// What can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Right {
    /// To submit jobs of a function. Whoever may submit jobs may cancel jobs of that function, too, as with `geard`.
    Submit,
    /// To work on jobs of a function.
    Work,
    /// To hear what administrators hear of functions, jobs, workers and counters.
    Read,
    /// To give administrators' orders.
    Admin,
}

impl Right {
    /// Every right.
    pub const ALL: [Right; 4] = [Right::Submit, Right::Work, Right::Read, Right::Admin];
}

/// What is granted to somebody. It never changes its mind: where grants change, the engine is handed another one
/// ([`crate::Input::Rights`]). Asked with a name of a peer's choice, it must be quick whatever that is.
pub trait Grants: fmt::Debug + Send + Sync {
    /// Whether a right that is about functions ([`Right::Submit`], [`Right::Work`]) is granted for this one.
    fn covers(&self, right: Right, function: &[u8]) -> bool;

    /// Whether a right is granted at all; one about functions, for some function perhaps.
    fn has(&self, right: Right) -> bool;
}

/// Grants of nobody.
#[derive(Debug)]
struct NoGrants;

impl Grants for NoGrants {
    fn covers(&self, _: Right, _: &[u8]) -> bool {
        false
    }

    fn has(&self, _: Right) -> bool {
        false
    }
}

/// What a session may do.
#[derive(Clone, Default)]
pub struct Rights(Option<Arc<dyn Grants>>);

impl Rights {
    /// Everything, as with gearmand. What sessions begin with, unless [`crate::Policy::rights_wanted`].
    pub const ALL: Rights = Rights(None);

    /// Nothing at all.
    pub fn nothing() -> Rights {
        Rights::of(Arc::new(NoGrants))
    }

    /// What these grants say, and nothing else.
    pub fn of(grants: Arc<dyn Grants>) -> Rights {
        Rights(Some(grants))
    }

    /// The grants, if not everything is granted.
    pub(crate) fn grants(&self) -> Option<&Arc<dyn Grants>> {
        self.0.as_ref()
    }

    /// Whether a right is granted for this function.
    pub fn covers(&self, right: Right, function: &[u8]) -> bool {
        self.0.as_ref().is_none_or(|grants| grants.covers(right, function))
    }

    /// Whether a right is granted at all.
    pub fn has(&self, right: Right) -> bool {
        self.0.as_ref().is_none_or(|grants| grants.has(right))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("everything"),
            Some(grants) => grants.fmt(f),
        }
    }
}

/// The same grants, not others that say the same.
impl PartialEq for Rights {
    fn eq(&self, other: &Rights) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

impl Eq for Rights {}
