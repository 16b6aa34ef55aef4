use std::collections::HashSet;

use super::owners::{Owners, TurnRef};

fn turn(id: &str) -> TurnRef {
    TurnRef {
        conversation: "c".to_owned(),
        turn_id: id.to_owned(),
    }
}

#[test]
fn a_turn_has_one_owner_and_loses_it_with_the_socket() {
    let owners = Owners::default();
    owners.take(turn("a"), 1);
    owners.take(turn("b"), 1);
    owners.take(turn("a"), 2);
    assert_eq!(owners.of(1), [turn("b")]);
    assert_eq!(owners.of(2), [turn("a")]);
    owners.release(&turn("b"));
    assert!(owners.of(1).is_empty());
    owners.disown(2);
    assert!(owners.of(2).is_empty());
}

#[test]
fn turns_that_ended_unread_are_forgotten_when_there_are_many() {
    let owners = Owners::default();
    assert!(owners.when_grown().is_none(), "a few are not looked through");
    let all: Vec<TurnRef> = (0..2_000).map(|index| turn(&index.to_string())).collect();
    for turn in &all {
        owners.take(turn.clone(), 1);
    }
    let owned = owners.when_grown().expect("many are");
    assert_eq!(owned.len(), all.len());
    // One that began meanwhile is not among those that were asked about.
    owners.take(turn("new"), 1);
    owners.keep_running(&owned, &HashSet::from([turn("7")]));
    let mut left = owners.of(1);
    left.sort_by(|a, b| a.turn_id.cmp(&b.turn_id));
    assert_eq!(left, [turn("7"), turn("new")]);
}
