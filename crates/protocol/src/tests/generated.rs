//! The generated files are up to date; with `UPDATE_GENERATED=1` these tests write them.

use std::{env, fs, path::Path};

#[track_caller]
fn check(path: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(path.parent().expect("the path has a folder")).expect("the folder can be made");
        fs::write(&path, expected).expect("the file can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not up to date: run this test with UPDATE_GENERATED=1",
        path.display()
    );
}

#[test]
fn typescript_types_are_up_to_date() {
    check("../../ts-client/src/generated/protocol.ts", &crate::typescript());
}

#[test]
fn json_schema_is_up_to_date() {
    check("generated/schema.json", &crate::json_schema());
}

#[test]
fn openapi_is_up_to_date() {
    check("generated/openapi.json", &crate::openapi());
}

#[test]
fn asyncapi_is_up_to_date() {
    check("generated/asyncapi.json", &crate::asyncapi());
}
