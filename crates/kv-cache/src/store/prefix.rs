//! Copies the common prefix of two streams instead of computing it again.

use super::KvStore;
use crate::Ring;
use crate::layout::PAGE_TOKENS;

impl KvStore {
    /// Starts an empty stream with the first `tokens` of another one of the same model, as if they had been written
    /// here. Returns false, and changes nothing, if the other stream no longer holds them or they don't fit. Nothing
    /// else of the other stream is copied. The two policies may differ.
    ///
    /// # Panics
    /// If the ring isn't empty, or the two differ in their heads or layers.
    pub fn copy_prefix(&mut self, ring: &mut Ring, other: (&Ring, &Self), tokens: u64) -> bool {
        let (other_ring, other) = other;
        assert!(ring.position() == 0, "a stream begins once");
        assert!(
            self.layout.heads == other.layout.heads && self.layers.len() == other.layers.len(),
            "streams of one model have the same heads and layers"
        );
        if !other_ring.holds_first(tokens) || !ring.fits_without_wrapping(tokens) {
            return false;
        }
        if tokens == 0 {
            return true;
        }
        ring.start_at(tokens);
        let page_tokens = PAGE_TOKENS as u64;
        let shape = self.layout.page_shape;
        for (layer, other) in self.layers.iter_mut().zip(&other.layers) {
            for (pages, other_pages) in layer.heads.iter_mut().zip(&other.heads) {
                pages.clear();
                for page_idx in 0..tokens.div_ceil(page_tokens) {
                    // Until a ring wraps, pages are stored in order.
                    let mut page = other_pages[other.layout.page_ring.index_of(page_idx)].clone();
                    let written = (tokens - page_idx * page_tokens).min(page_tokens);
                    page.clear_from(shape, written as usize);
                    pages.push(page);
                }
            }
        }
        true
    }
}
