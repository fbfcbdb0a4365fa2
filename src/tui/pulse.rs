//! The last hour of sign-ins, by the minute, and what was refused.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::shown::{moment, text};

/// So many minutes are kept.
pub const MINUTES: usize = 120;
/// So many refusals are kept.
const KEPT: usize = 5_000;

/// What happened lately.
#[derive(Clone, Debug, Default)]
pub struct Pulse {
    /// Sign-ins and refusals of each minute, the oldest first: the minute, and both counts.
    minutes: VecDeque<(i64, u32, u32)>,
    refusals: VecDeque<(i64, Box<str>)>,
    /// Events of the last seconds, for a rate.
    lately: VecDeque<(i64, u32)>,
    /// The newest event that was counted.
    counted: u64,
    /// Whether the last hour was read: before that, no sign-ins and no answer look the same.
    pub known: bool,
}

impl Pulse {
    /// Begins anew with the events of the last hour.
    pub fn begin(&mut self, hour: &[Value]) {
        *self = Self { lately: std::mem::take(&mut self.lately), known: true, ..Self::default() };
        let newest = hour.iter().filter_map(|event| event["seq"].as_u64()).max();
        hour.iter().for_each(|event| self.count(event));
        self.counted = newest.unwrap_or(0);
    }

    /// Takes an event of the feed in, unless it was counted already.
    pub fn take(&mut self, event: &Value) {
        if event["seq"].as_u64().is_none_or(|seq| seq > self.counted) {
            self.count(event);
        }
    }

    fn count(&mut self, event: &Value) {
        let kind = text(event, "kind");
        let well = match kind {
            "connection.login.succeeded" => true,
            "connection.login.failed" | "signin.refused" => false,
            _ => return,
        };
        let Some(at) = moment(text(event, "occurredAt")) else { return };
        let minute = at.div_euclid(60_000);
        let place = match self.minutes.iter().rposition(|(known, ..)| *known <= minute) {
            Some(place) if self.minutes.get(place).is_some_and(|(known, ..)| *known == minute) => place,
            before => {
                let place = before.map_or(0, |place| place + 1);
                self.minutes.insert(place, (minute, 0, 0));
                place
            }
        };
        if let Some((_, came, refused)) = self.minutes.get_mut(place) {
            *(if well { came } else { refused }) += 1;
        }
        while self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
        if !well {
            self.refusals.push_back((at, text(event, "errorCode").into()));
            while self.refusals.len() > KEPT {
                self.refusals.pop_front();
            }
        }
    }

    /// Notes that so many events came in at once.
    pub fn came(&mut self, now: i64, events: usize) {
        self.lately.push_back((now, u32::try_from(events).unwrap_or(u32::MAX)));
        while self.lately.front().is_some_and(|(at, _)| *at < now - 10_000) {
            self.lately.pop_front();
        }
    }

    /// Events a second, over the last ten.
    pub fn rate(&self, now: i64) -> f64 {
        let all: u32 = self.lately.iter().filter(|(at, _)| *at >= now - 10_000).map(|(_, count)| count).sum();
        f64::from(all) / 10.0
    }

    /// Sign-ins and refusals of the last so many minutes, the oldest first.
    pub fn minutes(&self, now: i64, count: usize) -> Vec<(u32, u32)> {
        let last = now.div_euclid(60_000);
        let mut out = vec![(0, 0); count];
        for (minute, came, refused) in &self.minutes {
            let back = usize::try_from(last - minute).unwrap_or(usize::MAX);
            if let Some(place) = count.checked_sub(back.saturating_add(1)).and_then(|place| out.get_mut(place)) {
                *place = (*came, *refused);
            }
        }
        out
    }

    /// Why sign-ins were refused within the hour, the most frequent first.
    pub fn refusals(&self, now: i64) -> Vec<(&str, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, code) in self.refusals.iter().filter(|(at, _)| *at >= now - 3_600_000) {
            *counts.entry(code).or_default() += 1;
        }
        let mut all: Vec<_> = counts.into_iter().collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn minutes_are_counted_whatever_order_events_come_in() {
        let mut pulse = Pulse::default();
        for (kind, at) in [
            ("connection.login.succeeded", "1970-01-01T01:00:30Z"),
            ("connection.login.failed", "1970-01-01T00:58:00Z"),
            ("signin.refused", "1970-01-01T00:58:59Z"),
            ("user.created", "1970-01-01T00:58:59Z"),
        ] {
            pulse.take(&json!({"kind": kind, "occurredAt": at, "errorCode": "nonce"}));
        }
        let now = 3_650_000;
        assert_eq!(pulse.minutes(now, 3), [(0, 2), (0, 0), (1, 0)]);
        assert_eq!(pulse.refusals(now), [("nonce", 2)]);
    }
}
