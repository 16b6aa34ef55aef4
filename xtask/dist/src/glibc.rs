//! The newest version of glibc that a program needs: the highest `GLIBC_x.y` among the versions that it imports.

use object::{
    LittleEndian,
    elf::FileHeader64,
    read::elf::{FileHeader as _, SectionHeader as _},
};

/// How the versions are called; `GLIBC_PRIVATE` isn't one.
const PREFIX: &str = "GLIBC_";

/// Returns major and minor version; `None` for a program that imports nothing of glibc.
pub(crate) fn needed(program: &[u8]) -> Result<Option<(u32, u32)>, object::Error> {
    let header = FileHeader64::<LittleEndian>::parse(program)?;
    let endian = header.endian()?;
    let sections = header.sections(endian, program)?;
    let mut newest = None;
    for section in sections.iter() {
        let Some((mut libraries, strings)) = section.gnu_verneed(endian, program)? else {
            continue;
        };
        let strings = sections.strings(endian, program, strings)?;
        while let Some((_, mut versions)) = libraries.next()? {
            while let Some(version) = versions.next()? {
                let name = String::from_utf8_lossy(version.name(endian, strings)?).into_owned();
                newest = newest.max(version_number(&name));
            }
        }
    }
    Ok(newest)
}

/// `GLIBC_2.34` is `(2, 34)`, and so is `GLIBC_2.34.1`.
pub(crate) fn version_number(name: &str) -> Option<(u32, u32)> {
    let mut numbers = name.strip_prefix(PREFIX)?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}
