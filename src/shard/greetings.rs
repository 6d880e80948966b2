//! Those whose TLS handshake is not over: how many there may be at a time, how long each may take, whose turn it is, and how many turns
//! a round has. Lists only; what is done is in `greeting.rs`.
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

/// For how long a round goes on with handshakes. One more may begin just before; with an RSA key of 4096 bits it takes some milliseconds.
const TURN: Duration = Duration::from_millis(1);
/// Steps of handshakes in one round, at the most: one that costs little keeps others waiting, too.
const STEPS: u32 = 32;

/// What a round has of handshakes.
#[derive(Debug)]
pub(super) struct GreetingRound {
    until: Instant,
    steps: u32,
}

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
    /// Whether the next round has none: whoever was heard during the last is answered before others have their turn.
    rests: bool,
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

    /// Begins what a round has of handshakes; every other one has none. The first step is always taken.
    pub(super) fn begin_round(&mut self, now: Instant) -> Option<GreetingRound> {
        let rests = std::mem::take(&mut self.rests);
        (!rests).then(|| GreetingRound { until: now.after(TURN), steps: 0 })
    }

    /// Whose turn it is, if the round goes on with handshakes.
    pub(super) fn next_turn(&mut self, round: &mut GreetingRound, now: Instant) -> Option<Token> {
        if round.steps == STEPS || (round.steps > 0 && now >= round.until) {
            return None;
        }
        let token = self.turns.pop_front()?;
        round.steps += 1;
        self.rests = true;
        Some(token)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds with a thousand whose bytes wait, each step of which takes so long; another one asks something now and then. How long
    /// the longest has waited, and how many steps the largest round had.
    fn waits(step: Duration, others: Duration) -> (Duration, u32) {
        let (mut longest, mut most) = (Duration::ZERO, 0);
        for asks_at in 0..200 {
            let mut greetings = Greetings::default();
            for index in 0..1000 {
                greetings.turns.push_back(Token { index, generation: 0 });
            }
            let asks_at = Instant::default().after(Duration::from_micros(97) * asks_at);
            let mut now = Instant::default();
            loop {
                // What had come when the round began is answered at its end.
                let heard = asks_at <= now;
                if let Some(mut round) = greetings.begin_round(now) {
                    while greetings.next_turn(&mut round, now).is_some() {
                        now = now.after(step);
                    }
                    most = most.max(round.steps);
                }
                now = now.after(others);
                if heard {
                    longest = longest.max(Duration::from_nanos(now.0 - asks_at.0));
                    break;
                }
            }
        }
        (longest, most)
    }

    #[test]
    fn nobody_waits_for_more_than_one_round_of_handshakes() {
        let (others, us) = (Duration::from_micros(100), Duration::from_micros);
        for (step, steps) in [(us(1), STEPS), (us(20), STEPS), (us(300), 4), (us(1000), 1), (us(7000), 1)] {
            let (longest, most) = waits(step, others);
            // Its own round has none, or it came before the first; and the others' share of both.
            let bound = TURN + step + 2 * others;
            assert!(longest <= bound && most == steps, "{step:?}: {longest:?} of {bound:?}, {most} steps");
        }
    }

    #[test]
    fn handshakes_have_every_other_round_and_nobody_is_passed_over() {
        let mut greetings = Greetings::default();
        let now = Instant::default();
        greetings.turns.extend((0..3 * STEPS).map(|index| Token { index, generation: 0 }));
        let mut served = Vec::new();
        for number in 0..6 {
            let before = served.len();
            if let Some(mut round) = greetings.begin_round(now) {
                served.extend(
                    std::iter::from_fn(|| greetings.next_turn(&mut round, now)).map(|token| token.index),
                );
            }
            let expected = if number % 2 == 0 { STEPS as usize } else { 0 };
            assert_eq!(served.len() - before, expected, "round {number}");
        }
        assert_eq!(served, (0..3 * STEPS).collect::<Vec<_>>());
        // After a pause without handshakes it is a round late at the most.
        assert!(greetings.begin_round(now).is_some());
    }
}
