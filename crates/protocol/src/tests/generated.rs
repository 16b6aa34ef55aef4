//! The TypeScript types in ts-client are the ones that this crate's types give.

use std::{env, fs, path::Path};

#[test]
fn typescript_types_are_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ts-client/src/generated/protocol.ts");
    let expected = crate::typescript();
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(path.parent().expect("the path has a folder")).expect("the folder can be made");
        fs::write(&path, &expected).expect("the generated types can be written");
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not up to date: run this test with UPDATE_GENERATED=1",
        path.display()
    );
}
