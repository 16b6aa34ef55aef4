use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use protocol::ApiKey;

use super::origin::{is_local_origin, is_loopback_authority};
use super::{Access, RateLimiter, parse_origins};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

fn access(key: Option<&str>) -> Access {
    Access {
        on_loopback: true,
        key: key.map(|key| ApiKey::new(key.to_owned())),
        origins: Vec::new(),
        starts: None,
        failed_keys: None,
    }
}

#[track_caller]
fn check(allowed: fn(&str) -> bool, yes: &[&str], no: &[&str]) {
    for text in yes {
        assert!(allowed(text), "{text:?} must be allowed");
    }
    for text in no {
        assert!(!allowed(text), "{text:?} must be refused");
    }
}

#[test]
fn only_loopback_names_are_hosts() {
    check(
        is_loopback_authority,
        &[
            "localhost",
            "LocalHost:8000",
            "127.0.0.1",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]",
            "[::1]:8000",
        ],
        &[
            "",
            ":8000",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.com",
            "localhost.",
            "localhost:",
            "localhost:+1",
            "localhost:80:80",
            "localhost:99999",
            "user@localhost",
            "::1",
            "[::1",
            "[::1]x",
            "[::2]",
            "[::ffff:10.0.0.1]",
            "0.0.0.0",
            "10.0.0.1",
            "2130706433",
            "localhost ",
            "localhost/x",
        ],
    );
}

#[test]
fn only_pages_of_this_machine_are_local_origins() {
    check(
        is_local_origin,
        &[
            "http://localhost",
            "http://localhost:5173",
            "https://127.0.0.1:8443",
            "http://[::1]:3000",
        ],
        &[
            "null",
            "",
            "localhost",
            "file://",
            "ws://localhost",
            "http://localhost/",
            "http://localhost.evil.com",
            "http://localhost@evil.com",
            "HTTP://localhost",
        ],
    );
}

#[test]
fn a_key_is_required_only_when_one_is_set() {
    let open = access(None);
    assert!(open.check_key(None, CLIENT).is_ok() && open.check_key(Some("x"), CLIENT).is_ok());
    let closed = access(Some("secret"));
    assert!(closed.check_key(Some("secret"), CLIENT).is_ok());
    for wrong in [
        None,
        Some(""),
        Some("secre"),
        Some("secret "),
        Some("Secret"),
        Some("secretsecret"),
    ] {
        assert!(closed.check_key(wrong, CLIENT).is_err(), "{wrong:?} must be refused");
    }
}

#[test]
fn origins_have_the_form_that_browsers_send() {
    let origins = parse_origins("https://app.example, http://app.example:8080,,tauri://localhost");
    assert_eq!(
        origins.expect("they are origins"),
        ["https://app.example", "http://app.example:8080", "tauri://localhost"]
    );
    for wrong in [
        "*",
        "https://*.example",
        "null",
        "app.example",
        "https://",
        "https://app.example/",
        "https://app.example:443",
        "http://app.example:80",
        "https://App.example",
        "https://user@app.example",
        "https://app.example https://b.example",
    ] {
        assert!(parse_origins(wrong).is_err(), "{wrong:?} must be refused");
    }
}

#[test]
fn an_allowance_is_per_address_and_refills_over_time() {
    let rate = RateLimiter::per_minute(3).expect("it is a limit");
    let (one, other) = (CLIENT, IpAddr::from([10, 0, 0, 1]));
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    for _ in 0..3 {
        assert_eq!(rate.try_acquire(one, start), Ok(()));
    }
    assert_eq!(rate.try_acquire(one, start), Err(Duration::from_secs(20)));
    assert_eq!(rate.check(one, at(5)), Err(Duration::from_secs(15)));
    assert_eq!(rate.try_acquire(other, start), Ok(()), "each address has its own");
    assert_eq!(rate.check(one, at(20)), Ok(()), "looking costs nothing");
    assert_eq!(rate.try_acquire(one, at(20)), Ok(()));
    assert_eq!(rate.try_acquire(one, at(20)), Err(Duration::from_secs(20)));
    for _ in 0..3 {
        assert_eq!(
            rate.try_acquire(one, at(1_000)),
            Ok(()),
            "a long wait gives no more than all of it"
        );
    }
    assert!(rate.try_acquire(one, at(1_000)).is_err());
    assert!(RateLimiter::per_minute(0).is_none());
}

#[test]
fn addresses_of_one_network_share_their_allowance() {
    let rate = RateLimiter::per_minute(1).expect("it is a limit");
    let now = Instant::now();
    let acquires = |address: &str| {
        rate.try_acquire(address.parse().expect("it is an address"), now)
            .is_ok()
    };
    assert!(acquires("2001:db8:0:1::1") && !acquires("2001:db8:0:1:ffff::2") && acquires("2001:db8:0:2::1"));
    assert!(acquires("10.0.0.1") && !acquires("::ffff:10.0.0.1"));
}

#[test]
fn the_map_of_addresses_is_bounded() {
    let rate = RateLimiter::per_minute(1).expect("it is a limit");
    let now = Instant::now();
    let refused = (0..70_000_u32)
        .filter(|address| rate.try_acquire(Ipv4Addr::from_bits(*address).into(), now).is_err())
        .count();
    assert_eq!(refused, 70_000 - 65_536 - 1, "those without room share one allowance");
    assert_eq!(
        rate.try_acquire(CLIENT, now + Duration::from_secs(61)),
        Ok(()),
        "the room comes back"
    );
}

#[test]
fn too_many_wrong_keys_hide_which_key_is_right() {
    let closed = Access {
        failed_keys: RateLimiter::per_minute(2),
        ..access(Some("secret"))
    };
    let code = |presented| {
        closed
            .check_key(presented, CLIENT)
            .err()
            .map(|error| error.code.as_str())
    };
    assert_eq!(
        (code(None), code(Some("a"))),
        (Some("unauthorised"), Some("unauthorised"))
    );
    assert_eq!((code(Some("secret")), code(Some("b"))), (None, Some("unauthorised")));
    assert_eq!((code(Some("c")), code(Some("secret"))), (Some("busy"), Some("busy")));
    let elsewhere = IpAddr::from([10, 0, 0, 1]);
    assert!(closed.check_key(Some("secret"), elsewhere).is_ok());
}
