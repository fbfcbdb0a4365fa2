//! What a refusal leaves behind: one event and a trace; above ten a minute from one address, a count. All people of an app
//! come from the app's one address: what comes by an API key is counted by the key, and told up to sixty a minute. Of
//! strangers at many addresses together at most 300 a minute are told, so that no number of addresses fills the log.

use std::net::IpAddr;

use super::caller::Caller;
use super::context::Context;
use crate::env::Timestamp;
use crate::error::Result;
use crate::event::{Event, EventKind};
use crate::id::ApiKeyId;
use crate::store::{Batch, Key, Life, Query, Record, Stored};

/// So many refusals a minute of one address are told one by one.
const TOLD: u64 = 10;
/// So many of one API key: on a Monday morning, that many people mistype within a minute.
const TOLD_OF_KEY: u64 = 60;
/// So many of all strangers together.
const TOLD_OF_ALL: u64 = 300;
/// What stands for all strangers where an address would.
const ALL: &[u8] = b"all";
/// Their count in memory.
const STRANGERS: &str = "refusals of strangers";
/// The count of each key in memory.
const KEYS: &str = "refusals of keys";

/// The refusals of one address, or of one API key, in one minute.
#[derive(Clone, Debug, minicbor::Encode, minicbor::Decode)]
struct Refusals {
    /// An address has at most 8 bytes, the id of a key has 16.
    #[n(0)]
    whose: Vec<u8>,
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
        Key::from_bytes(self.whose.clone())
    }
    fn expires_at(&self) -> Option<Timestamp> {
        Some(Timestamp::from_seconds((self.minute + 60) * 60))
    }
}

impl Refusals {
    /// The key whose they are.
    fn key_id(&self) -> Option<ApiKeyId> {
        self.whose.as_slice().try_into().ok().map(ApiKeyId::from_bytes)
    }

    /// So many of them were told one by one.
    fn told(&self) -> u64 {
        match self.key_id() {
            Some(_) => TOLD_OF_KEY,
            None if self.whose == ALL => TOLD_OF_ALL,
            None => TOLD,
        }
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
        if kept.count > kept.told() {
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
    let event = cx
        .event(EventKind::RefusalsCounted)
        .failed("rate_limited")
        .with("refusalsNotTold", of.count.saturating_sub(of.told()))
        .with("minute", Timestamp::from_seconds(of.minute * 60).to_string());
    match of.key_id() {
        Some(key) => event.about("api_key", key),
        None => event,
    }
}

/// Adds to the batch the count of an address or a key as it is with this refusal, and what an earlier minute has to tell.
/// Answers whether this one is told in full.
async fn count(cx: &Context, whose: Vec<u8>, exactly: Option<u64>, batch: &mut Batch) -> Result<bool> {
    let minute = cx.env.now().seconds() / 60;
    let before: Option<Stored<Refusals>> = cx.store.get(Key::from_bytes(whose.clone())).await?;
    let mut now = Refusals { whose, minute, count: exactly.unwrap_or(1) };
    if let Some(before) = before {
        if before.minute == minute {
            now.count = exactly.unwrap_or(before.count + 1).max(before.count);
        } else if before.count > before.told() && exactly.is_none_or(|count| count == 1) {
            batch.log(flood(cx, &before.value));
        }
    }
    batch.put(&now);
    Ok(exactly.unwrap_or(now.count) <= now.told())
}

/// Adds the event of a refusal, or counts it. Answers whether it was told in full, so that a flood leaves no traces either.
/// The first refusal after a flood brings one event with the flood's count.
pub async fn tell(cx: &Context, event: Event, batch: &mut Batch) -> Result<bool> {
    let minute = cx.env.now().seconds() / 60;
    // Strangers and keys are counted in memory: of refusals at the same moment each reads the same row.
    let told = match &cx.caller {
        // Where all strangers together are too many, not even a row for each address is kept.
        Caller::Anonymous => {
            let all = cx.store.tally(STRANGERS, ALL, minute);
            count(cx, ALL.to_vec(), Some(all), batch).await? && count(cx, address(cx.origin.ip), None, batch).await?
        }
        Caller::ApiKey { id, .. } => {
            let whose = id.bytes();
            let all = cx.store.tally(KEYS, &whose, minute);
            count(cx, whose.to_vec(), Some(all), batch).await?
        }
        _ => count(cx, address(cx.origin.ip), None, batch).await?,
    };
    if told {
        batch.log(event);
    }
    Ok(told)
}
