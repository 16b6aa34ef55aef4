//! Memory in large pages, for data that a processor reads from end to end.
//!
//! A processor caches the addresses of some thousand pages (in its TLB); the address of any other page must be looked
//! up in memory, which takes twice as many accesses in a virtual machine. Each token reads all weights. A hundred
//! megabytes in pages of 4 KiB are ten times as many pages as the TLB holds; in pages of 2 MiB they are fifty. An
//! [`Arena`] takes memory from the system in chunks, requests large pages for it, and hands out [`Region`]s one after
//! the other, each for as long as its owner keeps it. A chunk is returned to the system when its last region is
//! dropped.
//!
//! Where the system has no large pages, or none free, this is ordinary memory. It never looks at what is stored in it.
#![expect(
    unsafe_code,
    reason = "the compiler can't be shown that the regions of a chunk don't overlap, since each has an owner of its own"
)]

#[cfg(test)]
mod tests;

use std::io;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;

use memmap2::MmapMut;

/// Size of a large page on x86-64, and on aarch64 with base pages of 4 KiB.
pub const LARGE_PAGE: usize = 2 << 20;

/// Alignment of every region: one cache line.
pub const ALIGNMENT: usize = 64;

/// Allocates regions of memory, many of them from one chunk.
#[derive(Debug)]
pub struct Arena {
    chunk_bytes: usize,
    current: Option<Chunk>,
}

/// The chunk that regions are currently cut from.
#[derive(Debug)]
struct Chunk {
    map: Arc<MmapMut>,
    /// Start of the next region.
    next: NonNull<u8>,
    remaining: usize,
}

/// Part of a chunk, zeroed when it is allocated. Its owner has exclusive access, as with a `Box<[u8]>`.
#[derive(Debug)]
pub struct Region {
    start: NonNull<u8>,
    len: usize,
    /// Keeps the chunk mapped; never accessed through this field.
    _map: Arc<MmapMut>,
}

// SAFETY: the owner of a region has exclusive access to its memory, and memory from the system isn't bound to a thread.
unsafe impl Send for Region {}
// SAFETY: a shared region is only read.
unsafe impl Sync for Region {}
// SAFETY: the memory behind `next` has no other owner.
unsafe impl Send for Chunk {}
// SAFETY: a shared `Chunk` offers no operation.
unsafe impl Sync for Chunk {}

impl Arena {
    /// Creates an arena that takes at least `chunk_bytes` from the system at once, rounded up to whole large pages.
    /// Memory that has not been written to yet takes no physical memory.
    #[must_use]
    pub const fn new(chunk_bytes: usize) -> Self {
        Self {
            chunk_bytes,
            current: None,
        }
    }

    /// Allocates `len` zeroed bytes that start at a multiple of [`ALIGNMENT`].
    ///
    /// # Errors
    /// The system's error if it has no more memory.
    pub fn allocate(&mut self, len: usize) -> io::Result<Region> {
        let aligned_len = len
            .checked_next_multiple_of(ALIGNMENT)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let chunk = match &mut self.current {
            Some(chunk) if chunk.remaining >= aligned_len => chunk,
            current => current.insert(Chunk::new(self.chunk_bytes.max(aligned_len))?),
        };
        let start = chunk.next;
        // SAFETY: `aligned_len` is at most what remains of the chunk, so the result lies within the chunk or at its
        // end.
        chunk.next = unsafe { start.add(aligned_len) };
        chunk.remaining -= aligned_len;
        Ok(Region {
            start,
            len,
            _map: Arc::clone(&chunk.map),
        })
    }
}

impl Chunk {
    /// Maps at least `len` bytes, starting at the beginning of a large page.
    fn new(len: usize) -> io::Result<Self> {
        let len = len
            .checked_next_multiple_of(LARGE_PAGE)
            .ok_or(io::ErrorKind::OutOfMemory)?;
        let with_edge = len.checked_add(LARGE_PAGE).ok_or(io::ErrorKind::OutOfMemory)?;
        let mut map = MmapMut::map_anon(with_edge)?;
        // A system without large pages returns an error here, and its small pages serve as well.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let edge = map.as_ptr().align_offset(LARGE_PAGE).min(LARGE_PAGE);
        let next = NonNull::from(&mut map[edge..][..len]).cast();
        Ok(Self {
            map: Arc::new(map),
            next,
            remaining: len,
        })
    }
}

impl Deref for Region {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the chunk's map is kept alive, `allocate` gave these `len` bytes to no other region, and the system
        // zeroed them.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Region {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and the owner of a mutable region has exclusive access.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}
