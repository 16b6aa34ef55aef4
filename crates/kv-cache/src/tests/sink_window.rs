//! Tests of visibility, distances and evictions, for every small cache.

use super::naive;
use crate::SinkWindow;

#[track_caller]
fn check(sinks: u64, window: u64) {
    let policy = SinkWindow::new(sinks, window);
    for (position, seen) in (0..).zip(naive::stream(sinks, window, 3 * (sinks + window) + 5)) {
        let keys: Vec<u64> = (0..=position).filter(|&key| policy.sees(position, key)).collect();
        let naive_keys: Vec<u64> = seen.keys.iter().map(|&(key, _)| key).collect();
        assert_eq!(keys, naive_keys, "what {position} sees");
        assert_eq!(
            policy.cache_position(position),
            seen.cache_position,
            "the cache position of {position}"
        );
        assert_eq!(
            policy.evicted(position),
            position + 1 - keys.len() as u64,
            "what {position} no longer sees"
        );
        assert_eq!(policy.sees_everything(position), keys.len() as u64 == position + 1);
        for (key, cache_position) in seen.keys {
            // The distance to a sink is computed from the query's position in the cache, that to a window key from its
            // position in the stream.
            let distance = if key < sinks {
                policy.cache_position(position) - key
            } else {
                position - key
            };
            assert_eq!(
                distance,
                seen.cache_position - cache_position,
                "the distance from {position} to {key}"
            );
        }
    }
}

#[test]
fn every_small_cache_sees_what_the_papers_cache_holds() {
    for sinks in 0..=5 {
        for window in 0..=7 {
            check(sinks, window);
        }
    }
}

#[test]
fn no_query_sees_a_later_key() {
    let policy = SinkWindow::new(4, 8);
    assert!(!policy.sees(2, 3), "a sink that is still to come");
    assert!(!policy.sees(20, 21));
}

#[test]
fn sizes_near_the_limit_of_integers_do_not_overflow() {
    let policy = SinkWindow::new(u64::MAX, u64::MAX);
    assert_eq!((policy.cache_position(7), policy.evicted(7)), (7, 0));
    assert!(policy.sees_everything(u64::MAX));
}
