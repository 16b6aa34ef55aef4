use std::collections::HashSet;

use super::{TurnOwners, TurnRef};

fn turn(id: &str) -> TurnRef {
    TurnRef {
        conversation: "c".to_owned(),
        turn_id: id.to_owned(),
    }
}

#[test]
fn a_turn_has_one_owner_and_loses_it_with_the_socket() {
    let owners = TurnOwners::default();
    owners.assign(turn("a"), 1);
    owners.assign(turn("b"), 1);
    owners.assign(turn("a"), 2);
    assert_eq!(owners.owned_by(1), [turn("b")]);
    assert_eq!(owners.owned_by(2), [turn("a")]);
    owners.release(&turn("b"));
    assert!(owners.owned_by(1).is_empty());
    owners.remove_socket(2);
    assert!(owners.owned_by(2).is_empty());
}

#[test]
fn ended_turns_are_pruned_when_there_are_many() {
    let owners = TurnOwners::default();
    assert!(owners.prune_candidates().is_none(), "a few are not looked through");
    let all: Vec<TurnRef> = (0..2_000).map(|index| turn(&index.to_string())).collect();
    for turn in &all {
        owners.assign(turn.clone(), 1);
    }
    let owned = owners.prune_candidates().expect("many are");
    assert_eq!(owned.len(), all.len());
    // One that started meanwhile is not among the candidates.
    owners.assign(turn("new"), 1);
    owners.prune(&owned, &HashSet::from([turn("7")]));
    let mut left = owners.owned_by(1);
    left.sort_by(|a, b| a.turn_id.cmp(&b.turn_id));
    assert_eq!(left, [turn("7"), turn("new")]);
}
