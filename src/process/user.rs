//! Becoming another user for good.
use super::ProcessError;
use nix::unistd::{User, geteuid, setgid, setgroups, setuid};

/// Takes the user's id, the user's group and no other groups, as gearmand does.
pub(super) fn switch(name: &str) -> Result<(), ProcessError> {
    let refused = |error: nix::Error| ProcessError::Switch(name.to_owned(), error.into());
    if !geteuid().is_root() {
        return Err(ProcessError::NotRoot(name.to_owned()));
    }
    let user =
        User::from_name(name).map_err(refused)?.ok_or_else(|| ProcessError::NoUser(name.to_owned()))?;
    // Groups first: without root's rights they cannot be changed any more.
    setgroups(&[]).map_err(refused)?;
    setgid(user.gid).map_err(refused)?;
    setuid(user.uid).map_err(refused)
}
