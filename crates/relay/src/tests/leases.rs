//! Leases: their holders, their ends and their tokens.

use super::{TestClock, register};
use crate::{LeaseError, LeaseRequest, Leases};

fn leases() -> (Leases, TestClock) {
    let clock = TestClock::new();
    (Leases::new(clock.clock()), clock)
}

fn request(workspace: Option<&str>, token: Option<&str>) -> LeaseRequest {
    LeaseRequest {
        agent_id: "controller".to_owned(),
        workspace_id: workspace.map(str::to_owned),
        ttl_seconds: Some(10),
        token: token.map(str::to_owned),
    }
}

/// Checks which lease of `controller` holds in workspace `w`: `own`, `all`, `built-in` or `none`.
#[track_caller]
fn check(leases: &Leases, expected: &str) {
    let found = match leases.holder("controller", "w") {
        Ok(holder) if holder.registration_id.is_none() => "built-in",
        Ok(holder) if holder.workspace_id.is_some() => "own",
        Ok(_) => "all",
        Err(_) => "none",
    };
    assert_eq!(found, expected);
}

#[test]
fn a_lease_ends_unless_it_is_renewed() {
    let (leases, clock) = leases();
    let granted = register(&leases, Some("w"));
    assert_eq!(granted.expires_at, "2026-01-01T00:01:00.000Z");
    clock.advance(59);
    check(&leases, "own");
    let kept = leases.keep_alive(&granted.registration_id, &granted.token);
    assert_eq!(kept, Ok("2026-01-01T00:01:59.000Z".to_owned()));
    clock.advance(59);
    check(&leases, "own");
    clock.advance(1);
    check(&leases, "none");
    let late = leases
        .keep_alive(&granted.registration_id, &granted.token)
        .expect_err("it is over");
    assert_eq!(
        late.to_string(),
        format!(
            "the lease of registration {:?} ended at 2026-01-01T00:01:59.000Z: register again with POST /controllers",
            granted.registration_id
        )
    );
}

#[test]
fn jumps_of_the_wall_clock_do_not_end_a_lease() {
    let (leases, clock) = leases();
    register(&leases, Some("w"));
    clock.jump(-86_400);
    clock.advance(59);
    check(&leases, "own");
    clock.jump(10 * 86_400);
    check(&leases, "own");
    clock.jump(-20 * 86_400);
    clock.advance(1);
    check(&leases, "none");
}

#[test]
fn only_the_old_token_takes_a_lease_over() {
    let (leases, clock) = leases();
    let first = register(&leases, Some("w"));
    let refused = leases.register(request(Some("w"), None)).expect_err("it is held");
    assert_eq!(
        refused.to_string(),
        "agent \"controller\" in workspace \"w\" has a controller until 2026-01-01T00:01:00.000Z: wait, or show that \
         lease's token to take it over"
    );
    let wrong = leases.register(request(Some("w"), Some("guessed")));
    assert!(matches!(wrong, Err(LeaseError::Held { .. })), "{wrong:?}");
    let second = leases
        .register(request(Some("w"), Some(&first.token)))
        .expect("the token is right");
    let old = leases.check(&first.registration_id, &first.token);
    assert!(matches!(old, Err(LeaseError::Over { ended_ms: None, .. })), "{old:?}");
    assert!(leases.check(&second.registration_id, &second.token).is_ok());
    clock.advance(10);
    leases.register(request(Some("w"), None)).expect("what is over is free");
}

#[test]
fn a_workspaces_own_lease_has_precedence() {
    let (leases, clock) = leases();
    register(&leases, None);
    check(&leases, "all");
    leases.register(request(Some("w"), None)).expect("it is another lease");
    check(&leases, "own");
    clock.advance(10);
    check(&leases, "all");
    clock.advance(50);
    check(&leases, "none");
}

#[test]
fn any_lease_replaces_the_built_in_one_while_it_is_active() {
    let (leases, _) = leases();
    let leases = leases.with_built_in("controller");
    check(&leases, "built-in");
    assert!(leases.holder("planner", "w").is_err(), "it is of one agent");
    let granted = register(&leases, None);
    check(&leases, "all");
    let listed: Vec<_> = leases.list().into_iter().map(|holder| holder.registration_id).collect();
    assert_eq!(listed, [None, Some(granted.registration_id.clone())]);
    leases
        .release(&granted.registration_id, &granted.token)
        .expect("it is ours");
    check(&leases, "built-in");
}

#[test]
fn only_the_token_ends_a_lease() {
    let (leases, clock) = leases();
    let granted = register(&leases, None);
    let wrong = leases.release(&granted.registration_id, "");
    assert!(matches!(wrong, Err(LeaseError::WrongToken { .. })), "{wrong:?}");
    clock.advance(5);
    leases
        .release(&granted.registration_id, &granted.token)
        .expect("it is ours");
    check(&leases, "none");
    let again = leases
        .release(&granted.registration_id, &granted.token)
        .expect_err("it is over");
    assert!(
        again.to_string().contains("ended at 2026-01-01T00:00:05.000Z"),
        "{again}"
    );
    let unknown = leases.check("unknown", &granted.token);
    assert!(
        matches!(unknown, Err(LeaseError::Over { ended_ms: None, .. })),
        "{unknown:?}"
    );
}

#[test]
fn the_error_of_a_missing_lease_explains_how_to_register() {
    let (leases, clock) = leases();
    let never = leases.holder("controller", "w").expect_err("there was no lease");
    assert_eq!(
        never.to_string(),
        "no controller is registered for agent \"controller\" in workspace \"w\": there has been none. Register one with \
         POST /controllers {\"agentId\": \"controller\", \"workspaceId\": \"w\", \"ttlSeconds\": 60}, and keep it alive \
         with PUT /controllers/{registrationId}/keepalive"
    );
    register(&leases, None);
    clock.advance(60);
    let ended = leases.holder("controller", "w").expect_err("it is over");
    assert!(
        ended
            .to_string()
            .contains("its lease ended at 2026-01-01T00:01:00.000Z. Register"),
        "{ended}"
    );
}

#[test]
fn values_out_of_range_are_refused() {
    let (leases, _) = leases();
    for seconds in [0, 3_601, u64::MAX] {
        let request = LeaseRequest {
            ttl_seconds: Some(seconds),
            ..request(None, None)
        };
        assert_eq!(
            leases.register(request),
            Err(LeaseError::BadTtl { seconds, most: 3_600 })
        );
    }
    let ids = [("", None), (" ", None), ("a", Some("")), ("a", Some("\u{2003}"))];
    for (agent, workspace) in ids {
        let request = LeaseRequest {
            agent_id: agent.to_owned(),
            ..request(workspace, None)
        };
        let refused = leases.register(request);
        assert!(
            matches!(refused, Err(LeaseError::BadId { .. })),
            "{agent:?} {workspace:?} {refused:?}"
        );
    }
    let long = "x".repeat(1_025);
    assert!(leases.register(request(Some(&long), None)).is_err());
    assert!(leases.register(request(Some(&long[1..]), None)).is_ok());
}

#[test]
fn leases_are_limited_and_ended_ones_make_room() {
    let (leases, clock) = leases();
    for workspace in 0..1_024 {
        register(&leases, Some(&workspace.to_string()));
    }
    let refused = leases.register(request(None, None));
    assert_eq!(refused, Err(LeaseError::Full { limit: 1_024 }));
    clock.advance(60);
    leases
        .register(request(None, None))
        .expect("one that is over makes room");
    assert_eq!(leases.list().len(), 1);
}

#[test]
fn tokens_are_long_random_and_hidden() {
    let (leases, _) = leases();
    let (a, b) = (register(&leases, Some("a")), register(&leases, Some("b")));
    assert_ne!(a.token, b.token);
    assert!(a.token.len() == 32 && a.token.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let shown = format!("{leases:?}");
    assert!(!shown.contains(&a.token), "only a hash is kept");
}
