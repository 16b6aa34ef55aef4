//! Which texts are agent ids.

use crate::AgentId;

#[track_caller]
fn check(text: &str, broken_rule: Option<&str>) {
    let rule = AgentId::parse(text).err().map(|error| error.rule);
    assert_eq!(rule, broken_rule, "{text:?}");
}

#[test]
fn ids_that_follow_the_rule() {
    for text in [
        "a",
        "0",
        "reviewer",
        "a-b_c.d",
        "foo.md",
        "foo.md.md",
        "con-1",
        "console",
        "com10",
        &"x".repeat(64),
    ] {
        check(text, None);
    }
}

#[test]
fn ids_that_could_leave_the_folder_or_share_a_file() {
    let character = Some("has a character other than a-z, 0-9, '.', '_' and '-'");
    for text in [
        "../x",
        "..%2f",
        "%2e%2e",
        "....//",
        "/etc/passwd",
        "C:\\",
        "c:",
        "a/b",
        "a\\b",
        "a\0",
        "Planner",
        "pl\u{e0}n",
        "p\u{200b}lan",
        "\u{ff50}lan",
        "plan ",
        " plan",
        "a\n",
        "a\u{202e}b",
    ] {
        check(text, character);
    }
    check("", Some("is empty"));
    check("..", Some("does not begin with a-z or 0-9"));
    check(".hidden", Some("does not begin with a-z or 0-9"));
    check("-rf", Some("does not begin with a-z or 0-9"));
    check("a..b", Some("has two dots in a row"));
    check("a.", Some("ends in a dot"));
    for device in ["con", "nul", "com1", "lpt9", "con.foo", "aux.md"] {
        check(device, Some("is the name of a device"));
    }
    check(&"x".repeat(65), Some("is longer than 64 bytes"));
}

#[test]
fn an_error_about_a_long_id_is_short() {
    let error = AgentId::parse(&"X".repeat(10_000)).expect_err("it is too long");
    assert_eq!(error.id.len(), 64);
}
