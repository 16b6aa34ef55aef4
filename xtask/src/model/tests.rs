//! The checksum is what stands between a bad download and the model's place.

use super::*;

#[track_caller]
fn check(bytes: &[u8], expected: &'static str, accepted: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("file");
    fs::write(&file, bytes).expect("a temporary folder can be written");
    assert_eq!(verify(&file, expected).is_ok(), accepted);
}

#[test]
fn a_checksum_accepts_only_its_own_bytes() {
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    check(b"abc", ABC, true);
    check(b"abd", ABC, false);
    check(b"", ABC, false);
}

#[test]
fn a_wrong_checksum_names_both_sums() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let file = folder.path().join("model.gguf");
    fs::write(&file, b"abc").expect("a temporary folder can be written");
    let message = verify(&file, "00").expect_err("the sum is wrong").to_string();
    assert!(
        message.contains("ba7816bf") && message.ends_with("expected 00"),
        "{message}"
    );
}
