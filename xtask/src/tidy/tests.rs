//! Every rule finds its violation, on the right line, and leaves its look-alikes alone.

use super::{
    File, Finding, arrows,
    blank::blank,
    circles::{self, circles},
    look_at,
    modules::ModuleTree,
    numbers,
};

/// Expects exactly these findings (`line: part of the message`) in a file with a proper first line.
#[track_caller]
fn check(path: &str, body: &str, expected: &[(usize, &str)]) {
    let text = if path.ends_with(".rs") {
        format!("//! A file.\n{body}")
    } else {
        body.to_owned()
    };
    check_text(path, &text, expected);
}

#[track_caller]
fn check_text(path: &str, text: &str, expected: &[(usize, &str)]) {
    let mut findings = Vec::new();
    look_at(&File::new(path, text), &mut findings);
    let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(findings.len(), expected.len(), "{shown:#?}");
    for (line, part) in expected {
        let found = findings
            .iter()
            .any(|finding| finding.line == *line && finding.message.contains(part));
        assert!(found, "no finding on line {line} says {part:?}: {shown:#?}");
    }
}

const LIB: &str = "crates/chat/src/turn.rs";
const TEST: &str = "crates/chat/src/tests.rs";
const MAPPED: &str = "crates/model-files/src/mapped.rs";

#[test]
fn long_files_are_found() {
    check(LIB, &"\n".repeat(399), &[]);
    check(LIB, &"\n".repeat(400), &[(1, "401 lines")]);
    check(TEST, &"\n".repeat(1000), &[]);
    check("ts-client/src/generated/protocol.ts", &"\n".repeat(1000), &[]);
    check("ts-client/src/socket.ts", &"\n".repeat(401), &[(1, "401 lines")]);
    check("xtask/src/test/rust.rs", &"\n".repeat(400), &[(1, "401 lines")]);
}

#[test]
fn long_examples_are_found() {
    check("crates/chat/examples/chat.rs", &"\n".repeat(59), &[]);
    check("crates/chat/examples/chat.rs", &"\n".repeat(60), &[(1, "61 lines")]);
}

#[test]
fn large_files_are_found() {
    check("fixtures/model.gguf", &"x".repeat(1 << 20), &[]);
    check(
        "fixtures/model.gguf",
        &"x".repeat((1 << 20) + 1),
        &[(1, "1048577 bytes")],
    );
}

#[test]
fn a_missing_purpose_is_found() {
    check_text(LIB, "use std::fs;\n", &[(1, "begin with")]);
    check_text(LIB, "", &[(1, "begin with")]);
    check_text(TEST, "use super::*;\n", &[]);
    check_text("bins/sidecar/tests/it/main.rs", "mod chat;\n", &[]);
}

#[test]
fn empty_names_are_found() {
    check("crates/chat/src/utils.rs", "", &[(1, "`utils.rs` says nothing")]);
    check("crates/common/src/lib.rs", "", &[(1, "`common` says nothing")]);
    check(LIB, "struct TurnManager;\nfn commonly() {}\n", &[(2, "`TurnManager`")]);
    check(
        LIB,
        "mod test_helpers;\nfn common_prefix() {}\n",
        &[(2, "`test_helpers`")],
    );
    check(LIB, "// struct Manager;\nconst TEXT: &str = \"struct Manager\";\n", &[]);
}

#[test]
fn private_words_are_found() {
    check(
        LIB,
        "struct TurnLedger;\nfn tell_queue() {}\n",
        &[(2, "`ledger`"), (3, "`tell`")],
    );
    check(LIB, "fn intelligent_bellows() { let shelfish = 1; }\n", &[]);
    check(LIB, "// judged by a ledger\nconst TEXT: &str = \"told\";\n", &[]);
    check(LIB, "struct Lane;\n", &[(2, "`lane`")]);
    check(
        "crates/quant/src/kernel.rs",
        "struct Lane;\nconst LANES: usize = 8;\n",
        &[],
    );
    check(
        LIB,
        "/// Whoever asks gets it anew.\nfn f() {}\n",
        &[(2, "`whoever`"), (2, "`anew`")],
    );
    check(LIB, "fn f() -> &'static str { \"it is told for ever\" }\n", &[]);
    check("README.md", "It runs\nfor ever.\n", &[(2, "`for ever`")]);
    check("README.md", "forever and whoeverest, if there is none\n", &[]);
    check("README.md", "Its id is none.\n", &[(1, "`is none`")]);
}

#[test]
fn unfinished_work_is_found() {
    check(LIB, "// TODO: later\n", &[(2, "`TODO`")]);
    check(LIB, "/* a\n FIXME */\n", &[(3, "`FIXME`")]);
    check(LIB, "// TODOS are a list\nconst TODO: u8 = 0;\n", &[]);
}

#[test]
fn prose_that_is_not_wrapped_is_found() {
    let long = "word ".repeat(30);
    check("README.md", &format!("short\n{long}\n"), &[(2, "wraps at 120")]);
    check("README.md", &format!("| {long} |\n```sh\n{long}\n```\n"), &[]);
    check(
        LIB,
        &format!("/// {long}\nconst TEXT: &str = \"{long}\";\n"),
        &[(2, "wraps at 120")],
    );
}

#[test]
fn registry_hosts_are_found() {
    let host = concat!("pypi", ".org");
    check("README.md", &format!("one\nsee {host}\n"), &[(2, "names the registry")]);
    check(
        "Cargo.lock",
        concat!(
            "source = \"registry+https://github.com/rust-lang/crates",
            ".io-index\"\n"
        ),
        &[],
    );
}

#[test]
fn paths_of_one_machine_are_found() {
    check(
        "README.md",
        concat!("cd /ho", "me/me/project\n"),
        &[(1, "path of one machine")],
    );
    check(
        LIB,
        concat!("const DIR: &str = \"/ro", "ot/models\";\n"),
        &[(2, "path of one machine")],
    );
    check(
        "README.md",
        concat!(
            "$HOME/.cache ~/wo",
            "rk/ https://example.com/ho",
            "me/ /api/workspaces/1\n"
        ),
        &[],
    );
}

#[test]
fn unsafe_elsewhere_is_found() {
    check(MAPPED, "unsafe impl Send for X {}\n", &[]);
    check(LIB, "// SAFETY: none.\nunsafe impl Send for X {}\n", &[(3, "only for")]);
    check(TEST, "unsafe fn f() {}\n", &[(2, "only for")]);
    check(
        LIB,
        "#![forbid(unsafe_code)]\n// unsafe {}\nconst T: &str = \"unsafe {\";\n",
        &[],
    );
}

#[test]
fn ignored_tests_are_found() {
    check(TEST, "#[test]\n#[ignore = \"slow\"]\nfn f() {}\n", &[(3, "`#[ignore`")]);
    check(
        LIB,
        "mod tests {\n    #[ignore]\n    fn f() {}\n}\n",
        &[(3, "`#[ignore`")],
    );
    check(TEST, "// #[ignore]\nconst TEXT: &str = \"#[ignore]\";\n", &[]);
}

#[test]
fn sleeping_tests_are_found() {
    check(TEST, "fn f() { std::thread::sleep(D); }\n", &[(2, "`sleep`")]);
    check(LIB, "fn f() { std::thread::sleep(D); }\n", &[]);
}

#[test]
fn switched_off_typescript_is_found() {
    check(
        "ts-client/test/chat.test.ts",
        "it.only('x', () => {})\n// @ts-ignore\n",
        &[(1, ".only("), (2, "@ts-ignore")],
    );
    check(
        "ts-client/src/chat.ts",
        "console.log(1)\nlet a: any\n",
        &[(1, "console."), (2, ": any")],
    );
    check(
        "ts-client/src/chat.ts",
        "/**\n * console.log(event)\n */\nconst company = 1\n",
        &[],
    );
}

#[test]
fn code_is_set_apart_from_comments_and_strings() {
    let expect = |text: &str, code: &str| assert_eq!(blank(text).code, code);
    expect("a // b\nc", "a     \nc");
    expect("a /* b /* c */ d */ e", "a                   e");
    expect(r#"f("a\"b // c")"#, "f(           )");
    expect("br#\"a\"b\"# c", "b         c");
    expect("'\"' 'a '\\'' b", "    'a      b");
    expect("\"é\" x", "     x");
    expect("\"é", "   ");
    expect("/* é", "     ");
    assert_eq!(blank("a // b\n\"// c\"/* é\n*/").comments, "  // b\n      /* é\n*/");
}

#[test]
fn arrows_on_one_side_only_are_found() {
    let text = "text\n```arrows\nsidecar -> chat engine\nchat    -> engine\nengine  ->\n```\n";
    let drawn = arrows::drawn(text);
    let mut findings: Vec<Finding> = Vec::new();
    arrows::compare(&drawn, &drawn, &mut findings);
    assert_eq!(findings, []);

    let other = "```arrows\nsidecar -> engine\nengine -> chat\nrelay ->\n```";
    arrows::compare(&drawn, &arrows::drawn(other), &mut findings);
    let messages: Vec<&str> = findings.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "`engine` uses `chat`, and no arrow is drawn",
            "`relay` isn't drawn",
            "`chat` is drawn and doesn't exist",
            "`sidecar -> chat` is drawn and isn't used",
        ]
    );
}

/// Expects exactly these circles, each as `a b`, in a crate of these files below `src`.
#[track_caller]
fn check_circles(files: &[(&str, &str)], expected: &[&str]) {
    let files: Vec<File> = files
        .iter()
        .map(|(path, text)| File::new(&format!("crates/chat/src/{path}"), *text))
        .collect();
    let found = ModuleTree::all(&files).iter().flat_map(circles).collect::<Vec<_>>();
    let found: Vec<String> = found
        .iter()
        .map(|circle| {
            circle
                .iter()
                .map(|module| module.join("::"))
                .collect::<Vec<_>>()
                .join(" ")
        })
        .collect();
    assert_eq!(found, expected);
    let mut findings = Vec::new();
    circles::check(&files, &mut findings);
    assert_eq!(findings.len(), expected.len(), "{findings:#?}");
}

#[test]
fn circles_of_modules_are_found() {
    let lib = ("lib.rs", "mod a; mod b;");
    check_circles(
        &[lib, ("a.rs", "use crate::b::B;"), ("b.rs", "fn f() { crate::a::g() }")],
        &["a b"],
    );
    check_circles(
        &[
            lib,
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "// use crate::a::A;\nfn f() {}"),
        ],
        &[],
    );
    check_circles(
        &[
            lib,
            ("a.rs", "use super::b::{C, B as D};"),
            ("b.rs", "use super::{\n    a::{A},\n};"),
        ],
        &["a b"],
    );
    // By way of a child, whose parent may use it.
    check_circles(
        &[
            lib,
            ("a.rs", "mod x; use self::x::X;"),
            ("a/x.rs", "use crate::b;"),
            ("b.rs", "use crate::a::A;"),
        ],
        &["a b"],
    );
    check_circles(
        &[
            ("lib.rs", ""),
            ("a.rs", ""),
            ("a/x.rs", "use super::y::Y;"),
            ("a/y.rs", "use crate::a::x::X;"),
        ],
        &["a::x a::y"],
    );
}

#[test]
fn nesting_is_no_circle() {
    check_circles(&[("lib.rs", "mod a; use a::A;"), ("a.rs", "use crate::Lib;")], &[]);
    check_circles(
        &[
            ("lib.rs", ""),
            ("a.rs", "mod x; use x::X;"),
            ("a/x.rs", "use super::A;"),
        ],
        &[],
    );
    // Tests may use everything.
    check_circles(
        &[
            ("lib.rs", ""),
            ("a.rs", "use crate::b::B;"),
            ("b.rs", "mod tests {\n    use crate::a;\n}"),
            ("tests.rs", "use crate::a;"),
            ("b/tests.rs", "use crate::a;"),
        ],
        &[],
    );
}

#[test]
fn names_that_are_passed_on_lead_to_their_file() {
    let lib = (
        "lib.rs",
        "mod a; mod b; pub use a::{A, inner::Inner as Renamed}; pub use b::B;",
    );
    check_circles(&[lib, ("a.rs", "use crate::B;"), ("b.rs", "use crate::A;")], &["a b"]);
    check_circles(
        &[
            lib,
            ("a.rs", "use crate::B;"),
            ("a/inner.rs", ""),
            ("b.rs", "use crate::Renamed;"),
        ],
        &["a b"],
    );
    check_circles(&[lib, ("a.rs", "use crate::B;"), ("b.rs", "use crate::Unknown;")], &[]);
    // Names that are passed on in a circle end somewhere.
    check_circles(&[("lib.rs", "pub use a::X;"), ("a.rs", "pub use crate::X;")], &[]);
}

#[test]
fn functions_and_public_items_are_measured() {
    let code = "pub fn a() {\n    b(|| { 1 });\n}\n\nfn b(x: [u8; 2]) -> u8 { 1 }\ntrait T {\n    fn c();\n}\npub(crate) fn d() where A: B\n{\n}\n";
    assert_eq!(numbers::function_lengths(code), [3, 1, 3]);
    assert_eq!(
        numbers::public_items("pub fn a() {}\npub(crate) fn b() {}\npub struct C;\npub use d::E;\n"),
        2
    );
}
