//! What a refusal leaves behind: one event and a trace; above ten a minute from one address, a count.

use std::net::IpAddr;

use super::context::Context;
use crate::env::Timestamp;
use crate::error::Result;
use crate::event::{Event, EventKind};
use crate::store::{Batch, Key, Life, Query, Record, Stored};

/// So many refusals a minute of one address are told one by one.
const TOLD: u64 = 10;

/// The refusals of one address in one minute.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Refusals {
    #[n(0)]
    address: Vec<u8>,
    /// Minutes since the epoch.
    #[n(1)]
    minute: i64,
    #[n(2)]
    count: u64,
}

impl Record for Refusals {
    const KIND: &'static str = "refusals";
    const LIFE: Life = Life::Ephemeral;
    fn key(&self) -> Key {
        Key::from_bytes(self.address.clone())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(Timestamp::from_seconds((self.minute + 60) * 60))
    }
}

/// An IPv6 host holds a whole /64, so that counts as one address.
fn address(ip: Option<IpAddr>) -> Vec<u8> {
    match ip {
        None => Vec::from(*b"none"),
        Some(IpAddr::V4(ip)) => ip.octets().to_vec(),
        Some(IpAddr::V6(ip)) => ip.octets()[..8].to_vec(),
    }
}

/// Tells the floods of minutes that are over, and forgets what needs no telling.
pub async fn flush(cx: &Context) -> Result<()> {
    let minute = cx.env.now().seconds() / 60;
    let page = cx.store.page::<Refusals>(Query::all().limit(1_000)).await?;
    let mut batch = Batch::new();
    for kept in page.items.iter().filter(|kept| kept.minute < minute) {
        if kept.count > TOLD {
            batch.log(flood(cx, &kept.value));
        }
        batch.delete::<Refusals>(kept.key(), kept.revision);
    }
    if batch.is_empty() {
        return Ok(());
    }
    match cx.store.commit(batch).await {
        // Somebody of the list was refused just now: the next round tells it.
        Err(refused) if refused.is_race() => Ok(()),
        done => done.map(drop).map_err(Into::into),
    }
}

fn flood(cx: &Context, of: &Refusals) -> Event {
    cx.event(EventKind::RefusalsCounted)
        .failed("rate_limited")
        .with("refusalsNotTold", of.count - TOLD)
        .with("minute", Timestamp::from_seconds(of.minute * 60).to_string())
}

/// Adds the event of a refusal, or counts it. Answers whether it was told in full, so that a flood leaves no traces either.
/// The first refusal after a flood brings one event with the flood's count.
pub async fn tell(cx: &Context, event: Event, batch: &mut Batch) -> Result<bool> {
    let minute = cx.env.now().seconds() / 60;
    let key = Key::from_bytes(address(cx.origin.ip));
    let before: Option<Stored<Refusals>> = cx.store.get(key).await?;
    let mut now = Refusals { address: address(cx.origin.ip), minute, count: 1 };
    if let Some(before) = before {
        if before.minute == minute {
            now.count = before.count + 1;
        } else if before.count > TOLD {
            batch.log(flood(cx, &before.value));
        }
    }
    let told = now.count <= TOLD;
    if told {
        batch.log(event);
    }
    batch.put(&now);
    Ok(told)
}
