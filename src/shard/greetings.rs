//! Those whose TLS handshake is not over: how many there may be at a time, how long each may take, whose turn it is. Lists only; what is
//! done is in `greeting.rs`.
use super::sockets::Token;
use crate::engine::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Handshakes of one shard that may be under way.
const PLACES: usize = 1024;
/// How long one may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long one may take while others wait for a place: who is honest and near needs milliseconds.
const PATIENCE_WHEN_FULL: Duration = Duration::from_secs(1);

/// Those whose handshake is not over. Tokens may be of connections that are gone, or further.
#[derive(Debug, Default)]
pub(crate) struct Greetings {
    /// Those that have no place, oldest first, and since when.
    pub(super) outside: VecDeque<(Instant, Token)>,
    /// Those that have one, oldest first, and since when.
    pub(super) inside: VecDeque<(Instant, Token)>,
    /// How many have one.
    places: usize,
    /// Those of which bytes arrived, oldest first.
    pub(super) turns: VecDeque<Token>,
}

impl Greetings {
    /// Whether somebody's bytes wait for their turn.
    #[inline]
    pub(super) fn has_turns(&self) -> bool {
        !self.turns.is_empty()
    }

    /// How many do.
    #[inline]
    pub(super) fn turns(&self) -> usize {
        self.turns.len()
    }

    /// The next of those who wait for a place, if there is one.
    pub(super) fn next_outside(&mut self) -> Option<Token> {
        if self.places == PLACES { None } else { self.outside.pop_front().map(|(_, token)| token) }
    }

    /// Notes that somebody has a place from now on.
    pub(super) fn enter(&mut self, token: Token, now: Instant) {
        self.places += 1;
        self.inside.push_back((now, token));
    }

    /// Notes that somebody who had a place needs none any more.
    pub(super) fn leave(&mut self) {
        self.places -= 1;
    }

    fn patience(&self) -> Duration {
        if self.outside.is_empty() { PATIENCE } else { PATIENCE_WHEN_FULL }
    }

    /// When the first has taken too long.
    #[inline]
    pub(super) fn deadline(&self) -> Option<Instant> {
        let inside = self.inside.front().map(|(since, _)| since.after(self.patience()));
        let outside = self.outside.front().map(|(since, _)| since.after(PATIENCE));
        [inside, outside].into_iter().flatten().min()
    }

    /// The next that has taken too long.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<(Token, Duration)> {
        let patience = self.patience();
        for (line, patience) in [(&mut self.inside, patience), (&mut self.outside, PATIENCE)] {
            if let Some((since, _)) = line.front()
                && since.after(patience) <= now
            {
                return line.pop_front().map(|(_, token)| (token, patience));
            }
        }
        None
    }
}
