use protocol::ApiKey;

use super::Access;
use super::origin::{is_allowed_origin, is_loopback_authority};

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
fn only_pages_of_this_machine_are_origins() {
    check(
        is_allowed_origin,
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
fn a_key_is_wanted_only_when_one_is_set() {
    let open = Access {
        on_loopback: true,
        key: None,
    };
    assert!(open.check_key(None).is_ok() && open.check_key(Some("x")).is_ok());
    let closed = Access {
        on_loopback: true,
        key: Some(ApiKey::new("secret".to_owned())),
    };
    assert!(closed.check_key(Some("secret")).is_ok());
    for wrong in [
        None,
        Some(""),
        Some("secre"),
        Some("secret "),
        Some("Secret"),
        Some("secretsecret"),
    ] {
        assert!(closed.check_key(wrong).is_err(), "{wrong:?} must be refused");
    }
}
