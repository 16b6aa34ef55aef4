//! A rate limit per address: an address and the time in, allowed or how long to wait out.
//!
//! The generic cell rate algorithm: for each address only the time is kept at which its allowance is full again. What
//! is counted, and what a refusal looks like, is decided by the caller.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The period that an allowance covers, and so the longest wait.
const PERIOD: Duration = Duration::from_secs(60);

/// Addresses that are kept: 4 MiB at most. With more of them than this at once, all new ones share one allowance.
const MAX_ADDRESSES: usize = 65_536;

/// Between two scans of a full map: each costs about a millisecond.
const PRUNE_PERIOD: Duration = Duration::from_secs(1);

/// Bits of an IPv6 address that identify a customer's network; within it the customer may choose any address.
const NETWORK_BITS: u32 = 64;

/// An allowance of a number per minute for each address; the whole allowance may be used at once.
#[derive(Debug)]
pub struct RateLimiter {
    /// The time that one costs.
    cost: Duration,
    allowances: Mutex<Allowances>,
}

#[derive(Debug, Default)]
struct Allowances {
    /// When each address' allowance is full again; an address that is not in the map has a full one.
    full_at: HashMap<IpAddr, Instant>,
    /// When full allowances were last removed from the map.
    pruned_at: Option<Instant>,
}

impl RateLimiter {
    /// Makes a limiter; `None` for 0, which is no limit.
    #[must_use]
    pub fn per_minute(count: u32) -> Option<Self> {
        (count > 0).then(|| Self {
            cost: PERIOD / count,
            allowances: Mutex::default(),
        })
    }

    /// Checks that one more is allowed now, without counting it; the error is how long to wait.
    pub(super) fn check(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let full_at = self.lock().full_at.get(&network_prefix(address)).copied();
        self.check_at(full_at.unwrap_or(now), now)
    }

    /// Counts one more if it is allowed now; otherwise the error is how long to wait.
    pub(super) fn try_acquire(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut allowances = self.lock();
        let mut address = network_prefix(address);
        if !allowances.has_entry_for(address, now) {
            address = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        }
        let moment = allowances.full_at.get(&address).copied().unwrap_or(now).max(now);
        self.check_at(moment, now)?;
        allowances.full_at.insert(address, moment + self.cost);
        Ok(())
    }

    fn check_at(&self, full_at: Instant, now: Instant) -> Result<(), Duration> {
        let used = full_at.saturating_duration_since(now) + self.cost;
        match used.checked_sub(PERIOD) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    /// A panic elsewhere can't leave the map half changed: each change is one insert.
    fn lock(&self) -> MutexGuard<'_, Allowances> {
        self.allowances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Allowances {
    /// Returns true if the map has the address or room for it. A full map is scanned at most once a [`PRUNE_PERIOD`],
    /// so that a crowd of addresses doesn't make each request as expensive as the whole map.
    fn has_entry_for(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.full_at.len() < MAX_ADDRESSES || self.full_at.contains_key(&address) {
            return true;
        }
        if self
            .pruned_at
            .is_none_or(|pruned_at| now.saturating_duration_since(pruned_at) >= PRUNE_PERIOD)
        {
            self.full_at.retain(|_, moment| *moment > now);
            self.pruned_at = Some(now);
        }
        self.full_at.len() < MAX_ADDRESSES
    }
}

/// Returns the part of an address that its user can't choose.
fn network_prefix(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> NETWORK_BITS << NETWORK_BITS).into()),
        address @ IpAddr::V4(_) => address,
    }
}
