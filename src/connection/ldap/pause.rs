//! How long authd's own account is left alone after its password was refused: each try counts at the directory, which locks
//! the account in the end. While nobody mends it, the tries become rare.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// After the first refusal; twice as long after each further one.
const FIRST: Duration = Duration::from_secs(30);
/// Never longer than this.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The refusals in a row, and when the account may be tried again.
#[derive(Debug, Default)]
pub struct Pause(Mutex<State>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    refusals: u32,
    until: Duration,
}

impl Pause {
    /// How long the account is still left alone. `None` when it may be tried.
    pub fn left(&self, now: Duration) -> Option<Duration> {
        let state = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.until.checked_sub(now).filter(|left| !left.is_zero())
    }

    /// The account was refused, once more.
    pub fn refused(&self, now: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let factor = 1_u32.checked_shl(state.refusals).unwrap_or(u32::MAX);
        state.until = now.saturating_add(FIRST.saturating_mul(factor).min(LONGEST));
        state.refusals = state.refusals.saturating_add(1);
    }

    /// The account was let in: a later refusal is the first one again.
    pub fn over(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tries_of_a_refused_account_become_rare() {
        let pause = Pause::default();
        let mut now = Duration::from_secs(7);
        assert_eq!(pause.left(now), None);
        for seconds in [30, 60, 120, 240, 480, 900, 900, 900] {
            pause.refused(now);
            assert_eq!(pause.left(now), Some(Duration::from_secs(seconds)));
            now += Duration::from_secs(seconds - 1);
            assert_eq!(pause.left(now), Some(Duration::from_secs(1)));
            now += Duration::from_secs(1);
            assert_eq!(pause.left(now), None);
        }
        for _ in 0..100 {
            pause.refused(now);
            assert_eq!(pause.left(now), Some(LONGEST), "however often");
        }
    }

    #[test]
    fn who_is_let_in_begins_anew() {
        let pause = Pause::default();
        let now = Duration::from_secs(7);
        pause.refused(now);
        pause.refused(now);
        pause.over();
        assert_eq!(pause.left(now), None);
        pause.refused(now);
        assert_eq!(pause.left(now), Some(FIRST));
    }
}
