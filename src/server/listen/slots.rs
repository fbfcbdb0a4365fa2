//! How many connections there are, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use super::Limits;
use crate::http::guard::same_client;

/// The counts of one listener.
pub(super) struct Slots {
    total: usize,
    per_address: usize,
    proxies: Vec<IpNet>,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place; given back when dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    counted: Option<IpAddr>,
}

impl Slots {
    pub fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            total: limits.connections,
            per_address: limits.per_address,
            proxies: limits.proxies.clone(),
            taken: Mutex::default(),
        })
    }

    /// A place for a connection from `ip`, if there is one.
    pub fn take(self: &Arc<Self>, ip: Option<IpAddr>) -> Option<Slot> {
        let counted = ip.map(|ip| ip.to_canonical()).filter(|ip| !self.is_many(*ip)).map(same_client);
        let mut taken = self.lock();
        if taken.total >= self.total {
            return None;
        }
        if let Some(ip) = counted {
            let count = taken.by_address.entry(ip).or_default();
            if *count >= self.per_address {
                return None;
            }
            *count += 1;
        }
        taken.total += 1;
        Some(Slot { slots: self.clone(), counted })
    }

    /// Behind loopback and behind a proxy are many clients.
    fn is_many(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.proxies.iter().any(|network| network.contains(&ip))
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.total -= 1;
        if let Some(ip) = self.counted
            && let Some(count) = taken.by_address.get_mut(&ip)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_address.remove(&ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_by_address_and_given_back() {
        let limits = Limits {
            connections: 5,
            per_address: 2,
            proxies: vec!["10.0.0.0/8".parse().unwrap()],
            ..Limits::default()
        };
        let slots = Slots::new(&limits);
        let take = |ip: &str| slots.take(Some(ip.parse().unwrap()));
        let (first, second) = (take("198.51.100.1"), take("::ffff:198.51.100.1"));
        assert!(first.is_some() && second.is_some());
        assert!(take("198.51.100.1").is_none(), "the third of an address");
        let (third, fourth) = (take("2606:4700::1"), take("2606:4700::ffff"));
        assert!(third.is_some() && fourth.is_some());
        assert!(take("2606:4700::2").is_none(), "one /64");
        let fifth = take("127.0.0.1");
        assert!(fifth.is_some());
        assert!(take("198.51.100.2").is_none(), "all are taken");
        drop((third, fourth));
        let proxied: Vec<_> = (0..3).map(|_| take("10.1.1.1")).collect();
        assert_eq!(proxied.iter().flatten().count(), 2, "as many as there are places, from a proxy");
        drop((first, second, fifth, proxied));
        let left = slots.lock();
        assert_eq!((left.total, left.by_address.len()), (0, 0));
    }
}
