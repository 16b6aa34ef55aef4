//! Archives compressed with gzip: the one for people without a package manager, and the form of npm packages.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

use crate::{
    PACKAGE,
    error::{Context as _, Result},
    payload::{PackedFile, Program},
    platform::Platform,
};

/// Writes the archive of the program; it has one folder with `bin` and `share`.
pub(crate) fn write(out: &Path, program: &Program, platform: &Platform) -> Result<PathBuf> {
    let folder = format!("{PACKAGE}-{}-{}", program.version, platform.name);
    let path = out.join(format!("{folder}.tar.gz"));
    let executable = program.executable("bin");
    write_archive(&path, &folder, std::iter::once(&executable).chain(&program.texts))?;
    Ok(path)
}

/// Writes files into an archive, below one folder.
pub(crate) fn write_archive<'a>(path: &Path, folder: &str, files: impl Iterator<Item = &'a PackedFile>) -> Result<()> {
    let file = File::create(path).while_trying("create", path)?;
    let mut archive = tar::Builder::new(GzEncoder::new(file, Compression::best()));
    for packed in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(packed.bytes.len() as u64);
        header.set_mode(if packed.is_executable { 0o755 } else { 0o644 });
        archive
            .append_data(
                &mut header,
                format!("{folder}/{}", packed.path),
                packed.bytes.as_slice(),
            )
            .while_trying("write", path)?;
    }
    let compressed = archive.into_inner().while_trying("write", path)?;
    compressed.finish().while_trying("write", path)?;
    Ok(())
}
