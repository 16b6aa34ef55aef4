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
