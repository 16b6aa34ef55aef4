//! The paper's cache as its code keeps it: a list of keys, evicted after every token, each rotated by its index in the
//! list.

/// What one query sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Position of the query in the cache.
    pub(super) cache_position: u64,
    /// Every key it sees, itself last: its position in the stream, and its position in the cache.
    pub(super) keys: Vec<(u64, u64)>,
}

/// Returns what every query of a stream of `len` tokens sees.
pub(super) fn stream(sinks: u64, window: u64, len: u64) -> Vec<Seen> {
    let mut kept: Vec<u64> = Vec::new();
    (0..len)
        .map(|position| {
            kept.push(position);
            let keys: Vec<(u64, u64)> = kept.iter().copied().zip(0..).collect();
            let seen = Seen {
                cache_position: kept.len() as u64 - 1,
                keys,
            };
            evict(&mut kept, sinks, window);
            seen
        })
        .collect()
}

/// Implements `StartRecentKVCache.__call__`: keeps the first `sinks` and the last `window` tokens.
fn evict(kept: &mut Vec<u64>, sinks: u64, window: u64) {
    let len = kept.len() as u64;
    if len > sinks + window {
        let mut index = 0;
        kept.retain(|_| {
            index += 1;
            index <= sinks || index > len - window
        });
    }
}
