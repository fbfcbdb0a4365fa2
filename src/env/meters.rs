//! What is measured while it happens: how long, how many. Kept in memory by whoever measures, read when somebody asks.
//!
//! What the log tells is not counted here a second time: those counts are read off it. This is for what leaves no event,
//! and for durations. Labels are texts of the program, never of a request: so no stranger makes a new series.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::Timestamp;

/// Seconds of what a machine does by itself.
pub const FAST: &[f64] = &[0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Seconds of what a person takes part in.
pub const SLOW: &[f64] = &[0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 600.0];
/// How many.
pub const SIZES: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// The sum is kept in millionths, so that adding is one instruction.
const PARTS: f64 = 1e6;

/// How often a value lay below which bound.
#[derive(Debug)]
pub struct Histogram {
    bounds: &'static [f64],
    /// One more than there are bounds: the last has what is above all of them.
    buckets: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    /// With nothing in it yet; the bounds grow.
    pub fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, buckets, sum: AtomicU64::new(0) }
    }

    /// Adds a value that is not below zero.
    pub fn observe(&self, value: f64) {
        // A value at a bound belongs below it.
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add((value.max(0.0) * PARTS).round() as u64, Ordering::Relaxed);
    }

    /// Adds a duration, in seconds.
    pub fn time(&self, took: Duration) {
        self.observe(took.as_secs_f64());
    }

    /// As it is now.
    pub fn read(&self) -> Distribution {
        let mut count = 0;
        let counts = self.buckets.iter().map(|bucket| {
            count += bucket.load(Ordering::Relaxed);
            count
        });
        let below: Vec<u64> = counts.collect();
        let sum = self.sum.load(Ordering::Relaxed) as f64 / PARTS;
        Distribution { below: self.bounds.iter().copied().zip(below).collect(), count, sum }
    }
}

/// What a histogram says.
#[derive(Clone, Debug, PartialEq)]
pub struct Distribution {
    /// Each bound, and how many values do not exceed it.
    pub below: Vec<(f64, u64)>,
    /// How many values there are.
    pub count: u64,
    /// Their sum.
    pub sum: f64,
}

impl Distribution {
    /// Both together. They have the same bounds.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        for ((_, count), (_, more)) in self.below.iter_mut().zip(&other.below) {
            *count += more;
        }
        Self { count: self.count + other.count, sum: self.sum + other.sum, ..self }
    }

    /// What has come since an earlier look; `None` when that was a look at another run, which had counted further.
    pub fn since(&self, earlier: &Self) -> Option<Self> {
        let pairs = self.below.iter().zip(&earlier.below);
        let below: Option<Vec<_>> =
            pairs.map(|((bound, now), (_, then))| Some((*bound, now.checked_sub(*then)?))).collect();
        let (count, sum) = (self.count.checked_sub(earlier.count)?, (self.sum - earlier.sum).max(0.0));
        Some(Self { below: below?, count, sum })
    }

    /// What that part of the values does not exceed, as Prometheus reckons: in a straight line between two bounds. Beyond the
    /// last bound nothing is known but that; it is the last bound then. `None` when there are no values.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        if self.count == 0 {
            return None;
        }
        let rank = part.clamp(0.0, 1.0) * self.count as f64;
        let (mut lower, mut before) = (0.0, 0);
        for (bound, count) in &self.below {
            if *count > before && *count as f64 >= rank {
                return Some(lower + (bound - lower) * (rank - before as f64).max(0.0) / (count - before) as f64);
            }
            (lower, before) = (*bound, *count);
        }
        Some(lower)
    }
}

/// Histograms of one name, told apart by labels.
#[derive(Debug)]
pub struct Family<const N: usize> {
    bounds: &'static [f64],
    members: RwLock<BTreeMap<[&'static str; N], Arc<Histogram>>>,
}

impl<const N: usize> Family<N> {
    /// Without a member yet.
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds, members: RwLock::default() }
    }

    /// No values at all, with its bounds.
    pub fn empty(&self) -> Distribution {
        Histogram::new(self.bounds).read()
    }

    /// The one with these labels.
    pub fn of(&self, labels: [&'static str; N]) -> Arc<Histogram> {
        if let Some(known) = self.members.read().unwrap_or_else(PoisonError::into_inner).get(&labels) {
            return Arc::clone(known);
        }
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(members.entry(labels).or_insert_with(|| Arc::new(Histogram::new(self.bounds))))
    }

    /// Each of them, as it is now.
    pub fn read(&self) -> Vec<([&'static str; N], Distribution)> {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        members.iter().map(|(labels, histogram)| (*labels, histogram.read())).collect()
    }
}

/// Counts of one name, told apart by a label.
#[derive(Debug, Default)]
pub struct Counts(RwLock<BTreeMap<&'static str, Arc<AtomicU64>>>);

impl Counts {
    /// One more of that label.
    pub fn add(&self, label: &'static str) {
        if let Some(known) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(label) {
            known.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut counts = self.0.write().unwrap_or_else(PoisonError::into_inner);
        counts.entry(label).or_default().fetch_add(1, Ordering::Relaxed);
    }

    /// Each of them, as it is now.
    pub fn read(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(label, count)| (*label, count.load(Ordering::Relaxed))).collect()
    }
}

/// The certificate that clients are shown, as it was last read.
#[derive(Debug, Default)]
pub struct Certificate(RwLock<Option<(PathBuf, Timestamp)>>);

impl Certificate {
    /// It was read from that file, and ends then.
    pub fn is(&self, file: &Path, ends: Timestamp) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Some((file.to_owned(), ends));
    }

    /// Its file, and when it ends; nothing without TLS.
    pub fn read(&self) -> Option<(PathBuf, Timestamp)> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Everything that is measured, for the whole process.
#[derive(Debug)]
pub struct Meters {
    /// Answers to requests, by door, class of route and status.
    pub requests: Family<3>,
    /// Sign-ins that were let in, by protocol: from the app's request to the app's code.
    pub sign_ins: Family<1>,
    /// What a sign-in waited for a provider, by protocol, step and how it ended.
    pub upstream: Family<3>,
    /// Calls to receivers of the outbox, by kind and how they ended.
    pub calls: Family<2>,
    /// Durable transactions of the store.
    pub commits: Histogram,
    /// Batches that shared one of them.
    pub batches: Histogram,
    /// Those that could not be written, by code.
    pub commits_failed: Counts,
    /// Who was told to come back later, by rule.
    pub throttled: Counts,
    /// What the listener shows.
    pub certificate: Certificate,
}

impl Default for Meters {
    fn default() -> Self {
        Self {
            requests: Family::new(FAST),
            sign_ins: Family::new(SLOW),
            upstream: Family::new(FAST),
            calls: Family::new(FAST),
            commits: Histogram::new(FAST),
            batches: Histogram::new(SIZES),
            commits_failed: Counts::default(),
            throttled: Counts::default(),
            certificate: Certificate::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_what_does_not_exceed_a_bound() {
        let histogram = Histogram::new(&[1.0, 2.0]);
        for value in [0.0, 1.0, 1.5, 2.0, 2.000_1, 100.0] {
            histogram.observe(value);
        }
        let read = histogram.read();
        assert_eq!(read.below, [(1.0, 2), (2.0, 4)]);
        assert_eq!(read.count, 6);
        assert!((read.sum - 106.500_1).abs() < 1e-6, "{}", read.sum);
    }

    #[test]
    fn a_part_of_the_values_is_told_from_the_bounds() {
        let histogram = Histogram::new(&[1.0, 2.0, 4.0]);
        assert_eq!(histogram.read().quantile(0.5), None);
        (0..10).for_each(|_| histogram.observe(0.5));
        let first = histogram.read();
        assert_eq!((first.quantile(0.5), first.quantile(1.0)), (Some(0.5), Some(1.0)));
        (0..90).for_each(|_| histogram.observe(3.0));
        let both = histogram.read();
        // 50 of 100: 10 are below 1, and 40 of the 90 between 2 and 4.
        assert!((both.quantile(0.5).unwrap() - (2.0 + 2.0 * 40.0 / 90.0)).abs() < 1e-9);
        let gained = both.since(&first).unwrap();
        assert_eq!((gained.count, gained.quantile(0.5)), (90, Some(3.0)));
        assert_eq!(first.since(&both), None, "another run");
        assert_eq!(first.clone().and(&gained).below, both.below);
        histogram.observe(100.0);
        assert_eq!(histogram.read().quantile(1.0), Some(4.0), "more is not known");
    }

    #[test]
    fn members_of_a_family_are_counted_apart() {
        let family = Family::new(SIZES);
        family.of(["a", "b"]).observe(1.0);
        family.of(["a", "c"]).observe(1.0);
        family.of(["a", "b"]).observe(3.0);
        let counts: Vec<_> = family.read().into_iter().map(|(labels, read)| (labels, read.count)).collect();
        assert_eq!(counts, [(["a", "b"], 2), (["a", "c"], 1)]);
        let counts = Counts::default();
        counts.add("x");
        counts.add("x");
        assert_eq!(counts.read(), [("x", 2)]);
    }
}
