//! The world of tests: a clock that stands, a seeded random source, nobody outside.

use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::{Clock, Dns, Outbound, Request, Response, Rng, Timestamp};
use crate::error::{Error, Result, codes};

/// A clock that moves only when told to. It starts at 2026-01-01T00:00:00Z.
pub struct FrozenClock {
    millis: AtomicI64,
    elapsed: AtomicU64,
}

impl FrozenClock {
    /// Standing at its start.
    pub fn new() -> Self {
        Self { millis: AtomicI64::new(1_767_225_600_000), elapsed: AtomicU64::new(0) }
    }
}

impl Default for FrozenClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for FrozenClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::SeqCst))
    }
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.elapsed.load(Ordering::SeqCst))
    }
    fn advance(&self, by: Duration) {
        let millis = by.as_millis();
        self.millis.fetch_add(i64::try_from(millis).unwrap_or(i64::MAX), Ordering::SeqCst);
        self.elapsed.fetch_add(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::SeqCst);
    }
}

/// SplitMix64 from a seed: the same numbers in every run. Not for keys.
pub struct SeededRng(AtomicU64);

impl SeededRng {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(AtomicU64::new(seed))
    }
}

impl Rng for SeededRng {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let mut z = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(z ^ (z >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}

/// Nobody answers.
pub struct NoOutbound;

#[async_trait]
impl Outbound for NoOutbound {
    async fn send(&self, _: Request) -> Result<Response> {
        Err(Error::new(&codes::UPSTREAM_UNAVAILABLE))
    }
    fn permits(&self, _: &url::Url) -> Result<()> {
        Ok(())
    }
}

/// No name resolves.
pub struct NoDns;

#[async_trait]
impl Dns for NoDns {
    async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>> {
        Err(Error::new(&codes::UPSTREAM_UNAVAILABLE))
    }
    async fn txt(&self, _: &str) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
