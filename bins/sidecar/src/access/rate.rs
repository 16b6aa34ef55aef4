//! How often one address may do something: an address and the time in, yes or how long to wait out.
//!
//! The generic cell rate algorithm: of each address only the moment is kept at which its allowance is whole again. What is counted, and
//! what a refusal looks like, is not decided here.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time for which an allowance is meant, and so the longest wait.
const PERIOD: Duration = Duration::from_secs(60);

/// Addresses that are kept: 4 MiB at most. With more of them than this at once, all new ones share one allowance.
const MAX_ADDRESSES: usize = 65_536;

/// Between two looks through a full map: each costs about a millisecond.
const PRUNE_PERIOD: Duration = Duration::from_secs(1);

/// Bits of an IPv6 address that tell customers apart; within them everyone may choose an address at will.
const NETWORK_BITS: u32 = 64;

/// An allowance of so many a minute for each address, all of which may come at once.
#[derive(Debug)]
pub struct Rate {
    /// What one costs.
    cost: Duration,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// When each address' allowance is whole again; addresses that are not here have a whole one.
    whole_at: HashMap<IpAddr, Instant>,
    /// When those that are whole were last left out.
    pruned: Option<Instant>,
}

impl Rate {
    /// An allowance; `None` for 0, which is no limit.
    #[must_use]
    pub fn per_minute(count: u32) -> Option<Self> {
        (count > 0).then(|| Self {
            cost: PERIOD / count,
            kept: Mutex::default(),
        })
    }

    /// Whether one more is allowed now; it isn't counted.
    pub(super) fn check(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let whole_at = self.lock().whole_at.get(&network(address)).copied();
        self.wait(whole_at.unwrap_or(now), now)
    }

    /// Counts one more if it is allowed now, and says how long to wait if it isn't.
    pub(super) fn take(&self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut kept = self.lock();
        let mut address = network(address);
        if !kept.has_room_for(address, now) {
            address = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        }
        let moment = kept.whole_at.get(&address).copied().unwrap_or(now).max(now);
        self.wait(moment, now)?;
        kept.whole_at.insert(address, moment + self.cost);
        Ok(())
    }

    fn wait(&self, whole_at: Instant, now: Instant) -> Result<(), Duration> {
        let used = whole_at.saturating_duration_since(now) + self.cost;
        match used.checked_sub(PERIOD) {
            None | Some(Duration::ZERO) => Ok(()),
            Some(wait) => Err(wait),
        }
    }

    /// A panic elsewhere can't leave the map half changed: each change is one insert.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Whether the map knows an address, or may. A full map is looked through now and then, so that a crowd of addresses doesn't
    /// make each request as dear as the whole map.
    fn has_room_for(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.whole_at.len() < MAX_ADDRESSES || self.whole_at.contains_key(&address) {
            return true;
        }
        if self
            .pruned
            .is_none_or(|pruned| now.saturating_duration_since(pruned) >= PRUNE_PERIOD)
        {
            self.whole_at.retain(|_, moment| *moment > now);
            self.pruned = Some(now);
        }
        self.whole_at.len() < MAX_ADDRESSES
    }
}

/// The part of an address that its user doesn't choose.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6((u128::from(address) >> NETWORK_BITS << NETWORK_BITS).into()),
        address @ IpAddr::V4(_) => address,
    }
}
