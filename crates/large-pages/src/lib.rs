//! Memory in large pages, for what a processor reads from end to end.
//!
//! A processor keeps the places of some thousand pages at hand; every other page's place it must look up in memory, twice over in a
//! virtual machine. A token reads all weights, and a hundred megabytes in pages of 4 KiB are ten times as many pages as it keeps; in
//! pages of 2 MiB they are fifty. An [`Arena`] takes memory from the system in chunks, asks for large pages, and gives out
//! [`Region`]s one after the other, each for as long as its owner wants it; a chunk goes back when the last of its regions does.
//!
//! Where the system has no large pages, or none free, this is memory like any other.
#![expect(
    unsafe_code,
    reason = "that the regions of a chunk don't overlap can't be said to the compiler while they have owners of their own"
)]

#[cfg(test)]
mod tests;

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use memmap2::MmapMut;

/// A large page of x86-64, and of aarch64 with small pages of 4 KiB.
pub const LARGE_PAGE: usize = 2 << 20;

/// Where regions begin: a line of the processor's caches.
pub const ALIGNMENT: usize = 64;

/// Gives out memory.
#[derive(Debug)]
pub struct Arena {
    chunk_bytes: usize,
    open: Option<Open>,
}

/// The chunk that regions are taken from.
#[derive(Debug)]
struct Open {
    map: Arc<MmapMut>,
    /// Where the next region begins.
    next: NonNull<u8>,
    left: usize,
}

/// Some memory of a chunk, zeros at first. It is its owner's alone, as a `Box<[u8]>` is.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    len: usize,
    /// What is never looked at through this.
    _map: Arc<MmapMut>,
}

// SAFETY: whoever has the region has its memory alone, and a system's memory is no thread's.
unsafe impl Send for Region {}
// SAFETY: a shared region is only read.
unsafe impl Sync for Region {}
// SAFETY: the memory behind `next` belongs to nobody else.
unsafe impl Send for Open {}
// SAFETY: nothing can be done with one that is shared.
unsafe impl Sync for Open {}

impl Arena {
    /// An arena that takes at least `chunk_bytes` from the system at once, rounded up to whole large pages. What nobody has written to yet
    /// takes no memory.
    #[must_use]
    pub const fn new(chunk_bytes: usize) -> Self {
        Self {
            chunk_bytes,
            open: None,
        }
    }

    /// Memory of `len` bytes, which are 0, from a multiple of [`ALIGNMENT`] on.
    ///
    /// # Errors
    /// Whatever the system says when it has no more.
    pub fn take(&mut self, len: usize) -> io::Result<Region> {
        let taken = len
            .checked_next_multiple_of(ALIGNMENT)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let open = match &mut self.open {
            Some(open) if open.left >= taken => open,
            open => open.insert(Open::new(self.chunk_bytes.max(taken))?),
        };
        let start = open.next;
        // SAFETY: `taken` is at most what is left of the chunk, so this is within it, or at its end.
        open.next = unsafe { start.add(taken) };
        open.left -= taken;
        Ok(Region {
            start,
            len,
            _map: Arc::clone(&open.map),
        })
    }
}

impl Open {
    /// At least `len` bytes from the system, from the beginning of a large page on.
    fn new(len: usize) -> io::Result<Self> {
        let len = len
            .checked_next_multiple_of(LARGE_PAGE)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let with_edge = len.checked_add(LARGE_PAGE).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut map = MmapMut::map_anon(with_edge)?;
        // A system without them says so, and its small pages do.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let edge = map.as_ptr().align_offset(LARGE_PAGE).min(LARGE_PAGE);
        let next = NonNull::from(&mut map[edge..][..len]).cast();
        Ok(Self {
            map: Arc::new(map),
            next,
            left: len,
        })
    }
}

impl Deref for Region {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the chunk's map is kept, `take` gave these `len` bytes of it to nobody else, and the system set them to 0.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and whoever has the region mutably has it alone.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}
