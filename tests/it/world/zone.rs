//! Name servers that say what they are told, or nothing at all.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use authd::env::Dns;
use authd::error::{Error, Result, codes};

/// TXT records by name.
#[derive(Default)]
pub struct Zone {
    texts: Mutex<BTreeMap<String, Vec<String>>>,
    down: AtomicBool,
    asked: AtomicUsize,
    busy: AtomicUsize,
    busiest: AtomicUsize,
}

impl Zone {
    pub fn set(&self, name: &str, texts: &[&str]) {
        self.texts.lock().unwrap().insert(name.to_owned(), texts.iter().map(|text| (*text).to_owned()).collect());
    }

    pub fn remove(&self, name: &str) {
        self.texts.lock().unwrap().remove(name);
    }

    /// From now on no name server answers, or they all do again.
    pub fn down(&self, down: bool) {
        self.down.store(down, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How many questions there were at the same time, at most, since the last time this was asked.
    pub fn busiest(&self) -> usize {
        self.busiest.swap(0, Ordering::SeqCst)
    }
}

#[async_trait]
impl Dns for Zone {
    async fn addresses(&self, _: &str) -> Result<Vec<IpAddr>> {
        Err(Error::new(&codes::UPSTREAM_UNAVAILABLE))
    }

    async fn txt(&self, name: &str) -> Result<Vec<String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let busy = self.busy.fetch_add(1, Ordering::SeqCst) + 1;
        self.busiest.fetch_max(busy, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.busy.fetch_sub(1, Ordering::SeqCst);
        if self.down.load(Ordering::SeqCst) {
            return Err(Error::new(&codes::UPSTREAM_UNAVAILABLE));
        }
        Ok(self.texts.lock().unwrap().get(name).cloned().unwrap_or_default())
    }
}
