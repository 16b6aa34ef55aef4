//! Packages hold what installers expect, and no licence is left out.

use std::{fs, io::Read as _};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};

use crate::{
    error::DistError,
    glibc::version_number,
    licences::{Crate, complete, licence_files, listing},
    npm,
    payload::{Model, PackedFile, Program},
    platform::Platform,
    tarball, wheel,
};

fn program() -> Program {
    Program {
        bytes: b"\x7fELF".to_vec(),
        version: "1.2.3".to_owned(),
        texts: vec![PackedFile::new("share/streaming-llm-sidecar/licences.txt", "words")],
    }
}

fn platform() -> Platform {
    Platform {
        name: "x86_64-linux".to_owned(),
        wheel_tag: "manylinux_2_34_x86_64".to_owned(),
        npm_os: "linux",
        npm_cpu: "x64",
        npm_libc: Some("glibc"),
    }
}

fn a_crate(name: &str, licence: &str, repository: &str, texts: &[&str]) -> Crate {
    Crate {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        licence: licence.to_owned(),
        repository: repository.to_owned(),
        texts: texts.iter().map(|text| (*text).to_owned()).collect(),
        vendored: Vec::new(),
    }
}

#[test]
fn a_wheel_lists_every_file_with_its_checksum() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = wheel::write_program(folder.path(), &program(), &platform()).expect("a wheel");
    let name = path.file_name().expect("a file").to_string_lossy().into_owned();
    assert_eq!(name, "streaming_llm_sidecar-1.2.3-py3-none-manylinux_2_34_x86_64.whl");
    let mut zip = zip::ZipArchive::new(fs::File::open(&path).expect("the wheel")).expect("a zip file");
    let names: Vec<String> = zip
        .file_names()
        .map(|name| name.expect("a name in UTF-8").into_owned())
        .collect();
    let mut bytes_of = |name: &str| {
        let mut bytes = Vec::new();
        zip.by_name(name)
            .expect("it is listed")
            .read_to_end(&mut bytes)
            .expect("it is whole");
        bytes
    };
    let list = "streaming_llm_sidecar-1.2.3.dist-info/RECORD";
    let record = String::from_utf8(bytes_of(list)).expect("text");
    let listed: Vec<&str> = record.lines().collect();
    let expected: Vec<String> = names
        .iter()
        .map(|name| {
            let bytes = bytes_of(name);
            let checksum = URL_SAFE_NO_PAD.encode(Sha256::digest(&bytes));
            match *name == *list {
                true => format!("{name},,"),
                false => format!("{name},sha256={checksum},{}", bytes.len()),
            }
        })
        .collect();
    assert_eq!(listed, expected);
    let metadata = String::from_utf8(bytes_of("streaming_llm_sidecar-1.2.3.dist-info/METADATA")).expect("text");
    for line in [
        "Name: streaming-llm-sidecar",
        "Version: 1.2.3",
        "Provides-Extra: model",
        "Requires-Dist: streaming-llm-sidecar-smollm2==1.2.3 ; extra == \"model\"",
    ] {
        assert!(
            metadata.lines().any(|in_file| in_file == line),
            "no {line} in\n{metadata}"
        );
    }
    assert_eq!(
        String::from_utf8(bytes_of("streaming_llm_sidecar-1.2.3.dist-info/entry_points.txt")).expect("text"),
        "[console_scripts]\nstreaming-llm-sidecar = streaming_llm_sidecar:main\n"
    );
    // printf '\x7fELF' | sha256sum | xxd -r -p | base64
    let line =
        "streaming_llm_sidecar-1.2.3.data/scripts/sidecar,sha256=O9u0_oOXzSuEJDCznM_wGoZjx1GUXvXpoJ4mf7ix01k,4\n";
    assert!(record.contains(line), "{record}");
    let program = zip
        .by_name("streaming_llm_sidecar-1.2.3.data/scripts/sidecar")
        .expect("the program");
    assert_eq!(program.unix_mode().map(|mode| mode & 0o777), Some(0o755));
}

#[test]
fn an_archive_keeps_who_may_run_what() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = tarball::write(folder.path(), &program(), &platform()).expect("an archive");
    let file = flate2::read::GzDecoder::new(fs::File::open(path).expect("the archive"));
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries().expect("entries").map(|entry| {
        let entry = entry.expect("an entry");
        let path = entry.path().expect("a path").to_string_lossy().into_owned();
        (path, entry.header().mode().expect("a mode"))
    });
    assert_eq!(
        entries.collect::<Vec<_>>(),
        [
            ("streaming-llm-sidecar-1.2.3-x86_64-linux/bin/sidecar".to_owned(), 0o755),
            (
                "streaming-llm-sidecar-1.2.3-x86_64-linux/share/streaming-llm-sidecar/licences.txt".to_owned(),
                0o644
            ),
        ]
    );
}

#[test]
fn equal_inputs_give_equal_packages() {
    let model = Model {
        version: "1.2.3".to_owned(),
        files: vec![PackedFile::new("share/streaming-llm-sidecar/models/m.gguf", [7; 100])],
    };
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let packages = folders.each_ref().map(|folder| {
        let out = folder.path();
        let paths = [
            wheel::write_program(out, &program(), &platform()),
            wheel::write_model(out, &model),
            npm::write_program(out, &program(), &platform()),
            npm::write_model(out, &model),
        ];
        paths.map(|path| fs::read(path.expect("a package")).expect("its bytes"))
    });
    assert_eq!(packages[0], packages[1]);
}

#[test]
fn versions_of_glibc_are_compared_as_numbers() {
    assert_eq!(version_number("GLIBC_2.34"), Some((2, 34)));
    assert_eq!(version_number("GLIBC_2.2.5"), Some((2, 2)));
    assert_eq!(version_number("GLIBC_PRIVATE"), None);
    assert_eq!(version_number("GCC_3.0"), None);
    assert!(version_number("GLIBC_2.4") < version_number("GLIBC_2.34"));
}

#[test]
fn a_missing_licence_is_found() {
    let complete = |crates: &mut Vec<Crate>| complete(crates, "the Apache licence");
    let mut crates = vec![
        a_crate("a", "MIT", "https://r", &["MIT of a"]),
        a_crate("b", "MIT", "https://r", &[]),
    ];
    complete(&mut crates).expect("b is of a's repository");
    assert_eq!(crates[1].texts, ["MIT of a"]);

    let mut crates = vec![
        a_crate("c", "MIT OR Apache-2.0", "", &[]),
        a_crate("d", "MIT/Apache-2.0", "", &[]),
    ];
    complete(&mut crates).expect("they may be Apache-2.0");
    assert_eq!(crates[1].texts, ["the Apache licence"]);

    let mut crates = vec![
        a_crate("e", "MIT", "", &[]),
        a_crate("f", "Apache-2.0 AND MIT", "", &[]),
    ];
    let error = complete(&mut crates).expect_err("neither has a text");
    assert!(
        matches!(&error, DistError::MissingLicences { crates } if crates.len() == 2),
        "{error}"
    );
}

#[test]
fn the_licence_of_a_library_that_a_crate_has_taken_in_is_found() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("it can be made");
        fs::write(path, text).expect("it can be written");
    };
    write("LICENSE-MIT", "MIT");
    write("src/license.rs", "fn of_a_function() {}");
    write("library/COPYING", "BSD");
    write("library/NOTICE.txt", "made by");
    let (own, vendored) = licence_files(folder.path()).expect("they can be read");
    assert_eq!(
        (own, vendored),
        (vec!["MIT".to_owned()], vec!["BSD".to_owned(), "made by".to_owned()])
    );
}

#[test]
fn equal_texts_are_listed_once() {
    let listed = listing(&[
        a_crate("a", "MIT", "", &["one\n"]),
        a_crate("b", "MIT", "", &["two"]),
        a_crate("c", "MIT", "", &["one"]),
    ]);
    assert_eq!(listed.matches("\none\n").count(), 1, "{listed}");
    assert!(listed.contains("a 1.0.0 (MIT)\nc 1.0.0 (MIT)\n"), "{listed}");
}
