//! How long things take, by the server's own measure: what its histograms gained lately.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::shown::{items, list, text};
use crate::env::meters::Distribution;

/// So far back is looked, in milliseconds.
const BACK: i64 = 15 * 60_000;
/// Between two looks that are kept, in milliseconds.
const APART: i64 = 10_000;

/// What the server measured, at several looks.
#[derive(Clone, Debug, Default)]
pub struct Speed(VecDeque<(i64, BTreeMap<Box<str>, Distribution>)>);

/// How long something takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Took {
    /// Half took no longer, in milliseconds.
    pub p50: f64,
    /// 99 of 100 took no longer, in milliseconds.
    pub p99: f64,
    /// Over so many milliseconds; none for everything since the server was started.
    pub over: Option<i64>,
}

impl Speed {
    /// Takes an answer of `timings.show` in.
    pub fn saw(&mut self, now: i64, answer: &Value) {
        let seen: BTreeMap<Box<str>, Distribution> =
            items(answer).iter().map(|item| (text(item, "what").into(), read(item))).collect();
        let another = |of: &BTreeMap<Box<str>, Distribution>| {
            of.iter().any(|(what, then)| seen.get(what).is_none_or(|now| now.since(then).is_none()))
        };
        if self.0.back().is_some_and(|(_, last)| another(last)) {
            // The server was started anew: it counts from nothing.
            self.0.clear();
        }
        // The newest is always there; the one before it only where it is worth a place.
        if let [.., (before, _), (last, _)] = self.0.make_contiguous()
            && *last - *before < APART
        {
            self.0.pop_back();
        }
        self.0.push_back((now, seen));
        while self.0.len() > 2 && self.0.front().is_some_and(|(at, _)| *at < now - BACK) {
            self.0.pop_front();
        }
    }

    /// How long that took lately; where there was nothing of it lately, since the server was started.
    pub fn of(&self, what: &str) -> Option<Took> {
        let (newest, all) = self.0.back().and_then(|(at, seen)| Some((*at, seen.get(what)?)))?;
        let first = self.0.front().and_then(|(at, seen)| Some((*at, seen.get(what)?)));
        let lately = first.and_then(|(at, then)| Some((newest - at, all.since(then)?))).filter(|(_, of)| of.count > 0);
        let (of, over) = match &lately {
            Some((over, of)) => (of, Some(*over)),
            None => (all, None),
        };
        Some(Took { p50: of.quantile(0.5)?, p99: of.quantile(0.99)?, over })
    }
}

fn read(item: &Value) -> Distribution {
    let bucket = |bucket: &Value| Some((bucket["atMostMs"].as_f64()?, bucket["count"].as_u64()?));
    let below: Vec<(f64, u64)> = list(item, "buckets").iter().filter_map(bucket).collect();
    let count = item["count"].as_u64().unwrap_or(0);
    Distribution { below, count, sum: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn answer(counts: [u64; 3], count: u64) -> Value {
        let buckets: Vec<Value> =
            [1.0, 10.0, 100.0].iter().zip(counts).map(|(at, count)| json!({"atMostMs": at, "count": count})).collect();
        json!({"items": [{"what": "answer", "count": count, "buckets": buckets}]})
    }

    #[test]
    fn what_came_while_somebody_looked_is_told_apart_from_all_before() {
        let mut speed = Speed::default();
        assert_eq!(speed.of("answer"), None);
        speed.saw(0, &answer([100, 100, 100], 100));
        let all = speed.of("answer").unwrap();
        assert_eq!((all.p50, all.over), (0.5, None), "nothing since: everything is told");
        speed.saw(60_000, &answer([100, 100, 104], 104));
        let lately = speed.of("answer").unwrap();
        assert_eq!((lately.p50, lately.over), (55.0, Some(60_000)));
        assert_eq!(speed.of("sign_in"), None);
        // Another run of the server: what was seen of the last one does not count.
        speed.saw(70_000, &answer([2, 2, 2], 2));
        assert_eq!(speed.of("answer").unwrap().over, None);
    }

    #[test]
    fn it_looks_back_a_quarter_of_an_hour_and_keeps_little() {
        let mut speed = Speed::default();
        for second in 0..7_200 {
            speed.saw(second * 1_000, &answer([0, 0, u64::try_from(second).unwrap()], u64::try_from(second).unwrap()));
        }
        assert!(speed.0.len() < 100, "{}", speed.0.len());
        let over = speed.of("answer").unwrap().over.unwrap();
        assert!((BACK - 2 * APART..=BACK).contains(&over), "{over}");
    }
}
