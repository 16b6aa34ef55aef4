//! What a program runs on, as each kind of package says it.
//!
//! Linux with glibc is tried in the tests. macOS is untested: these packages haven't been tried there.

use crate::{
    error::{DistError, Result},
    glibc,
};

/// The first macOS for Apple's own processors; older Macs run it, too.
const MACOS_VERSION: &str = "11_0";

/// One platform.
#[derive(Debug)]
pub(crate) struct Platform {
    /// In the name of the `tar.gz`, such as `x86_64-linux`.
    pub(crate) name: String,
    /// The platform tag of a wheel (PEP 600), such as `manylinux_2_34_x86_64`.
    pub(crate) wheel_tag: String,
    /// `os` of an npm package.
    pub(crate) npm_os: &'static str,
    /// `cpu` of an npm package.
    pub(crate) npm_cpu: &'static str,
    /// `libc` of an npm package, where there are several.
    pub(crate) npm_libc: Option<&'static str>,
}

impl Platform {
    /// The platform that this tool was built for, and so the program beside it.
    pub(crate) fn of_program(program: &[u8]) -> Result<Self> {
        let (arch, npm_cpu) = match std::env::consts::ARCH {
            "x86_64" => ("x86_64", "x64"),
            "aarch64" => ("aarch64", "arm64"),
            other => return Err(unknown(format!("processors of the kind {other:?} are unknown here"))),
        };
        match std::env::consts::OS {
            "linux" => {
                let needed = glibc::needed(program).map_err(|error| unknown(error.to_string()))?;
                let (major, minor) = needed.ok_or_else(|| unknown("it imports no glibc".to_owned()))?;
                Ok(Self {
                    name: format!("{arch}-linux"),
                    wheel_tag: format!("manylinux_{major}_{minor}_{arch}"),
                    npm_os: "linux",
                    npm_cpu,
                    npm_libc: Some("glibc"),
                })
            }
            "macos" => Ok(Self {
                name: format!("{arch}-macos"),
                wheel_tag: format!(
                    "macosx_{MACOS_VERSION}_{}",
                    if arch == "aarch64" { "arm64" } else { arch }
                ),
                npm_os: "darwin",
                npm_cpu,
                npm_libc: None,
            }),
            other => Err(unknown(format!("packages for {other:?} are unknown here"))),
        }
    }
}

fn unknown(reason: String) -> DistError {
    DistError::Platform { reason }
}
