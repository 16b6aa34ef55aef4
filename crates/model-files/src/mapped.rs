//! Files mapped into memory, read-only.

use std::{fs::File, path::Path};

use memmap2::Mmap;
#[cfg(unix)]
use memmap2::UncheckedAdvice;

use crate::ModelFileError;

/// Maps the whole file at `path`.
///
/// # Errors
/// If it is not a regular file, is empty, or can't be opened or mapped.
pub(crate) fn map_file(path: &Path) -> Result<Mmap, ModelFileError> {
    let open = |source| ModelFileError::Open {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(open)?;
    let metadata = file.metadata().map_err(open)?;
    if !metadata.is_file() {
        return Err(ModelFileError::NotAFile { path: path.to_owned() });
    }
    if metadata.len() == 0 {
        return Err(ModelFileError::Empty { path: path.to_owned() });
    }
    #[expect(
        unsafe_code,
        reason = "mapping a file is the one thing here that can't be done safely"
    )]
    // SAFETY: the map is read-only and private to this process, and `Mmap` keeps it alive. What can't be ruled out is
    // another process that truncates or rewrites a model while it is used: reading a page that is gone ends this
    // process with SIGBUS. Every engine that maps its weights has this limitation; the alternative is a copy of the
    // whole file in memory.
    let map = unsafe { Mmap::map(&file) };
    map.map_err(open)
}

/// Returns the pages of a map to the system; a later access reads them again. On systems other than Unix they stay.
pub(crate) fn release(map: &Mmap) {
    #[cfg(unix)]
    {
        #[expect(unsafe_code, reason = "the same advice is unsound for maps that were written to")]
        // SAFETY: the advice discards changes that were made in memory only, and there are none: the map is read-only
        // and of a file, from which the same bytes are read again.
        let _pages_may_stay = unsafe { map.unchecked_advise(UncheckedAdvice::DontNeed) };
    }
}
