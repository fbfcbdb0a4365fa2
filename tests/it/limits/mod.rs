//! What a stranger can make authd spend: the table of limits, floods, throttles, slow clients and slow providers.
//!
//! Floods are small here; `AUTHD_FLOOD=100000` runs them in full.

mod breaker;
mod flood;
mod hash;
mod pending;
mod slow;
mod table;
mod throttle;
mod under_way;

/// How many requests a flood has: `AUTHD_FLOOD`, or else `small`.
fn flood(small: usize) -> usize {
    #[expect(clippy::disallowed_methods, reason = "how much is run is told to the tests by the environment")]
    let told = std::env::var("AUTHD_FLOOD").ok();
    told.map_or(small, |text| text.parse().unwrap())
}

/// Whether floods run in full.
fn in_full() -> bool {
    flood(0) > 0
}
