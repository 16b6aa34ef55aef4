//! One head's keys and values of [`PAGE_TOKENS`] tokens.
//!
//! Rounded keys and values of single tokens go in; out comes a [`PageView`] in the order in which attention reads it,
//! or the bytes of the page. It never knows which tokens it holds.

use half::f16;

use crate::layout::{COLUMN, LANES, PAGE_TOKENS, PageShape, PageView, TILE};

/// Keys, followed by values. All are finite.
#[derive(Debug, Clone)]
pub(crate) struct Page(Box<[f16]>);

impl Page {
    pub(crate) fn new(shape: PageShape) -> Self {
        Self(vec![f16::ZERO; shape.numbers()].into_boxed_slice())
    }

    pub(crate) fn filled(shape: PageShape, mut number: impl FnMut() -> f32) -> Self {
        Self((0..shape.numbers()).map(|_| f16::from_f32(number())).collect())
    }

    pub(crate) fn write_key(&mut self, shape: PageShape, lane: usize, key: &[f16]) {
        let (column, lane) = (lane / COLUMN, lane % COLUMN);
        let column_size = shape.head_dim() * COLUMN;
        let vectors = self.0[column * column_size..][..column_size].chunks_exact_mut(COLUMN);
        for (vector, &number) in vectors.zip(key) {
            vector[lane] = number;
        }
    }

    pub(crate) fn write_value(&mut self, shape: PageShape, lane: usize, value: &[[f16; LANES]]) {
        let (mut rest, mut value) = (&mut self.0[shape.key_numbers()..], value);
        while !value.is_empty() {
            let n_vectors = if value.len() < TILE { 1 } else { TILE };
            let column_lanes = n_vectors * LANES;
            let (vectors, later) = value.split_at(n_vectors);
            let (column, columns) = rest.split_at_mut(column_lanes * PAGE_TOKENS);
            column[lane * column_lanes..][..column_lanes].copy_from_slice(vectors.as_flattened());
            (rest, value) = (columns, later);
        }
    }

    /// Zeroes the lanes from `lane` on, as they are in a new page.
    pub(crate) fn clear_from(&mut self, shape: PageShape, lane: usize) {
        let key = vec![f16::ZERO; shape.head_dim()];
        let value = vec![[f16::ZERO; LANES]; shape.width() / LANES];
        for lane in lane..PAGE_TOKENS {
            self.write_key(shape, lane, &key);
            self.write_value(shape, lane, &value);
        }
    }

    /// Appends the content, two bytes per number, little endian.
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + size_of_val(&*self.0), 0);
        for (bytes, number) in out[start..].chunks_exact_mut(size_of::<f16>()).zip(&self.0) {
            bytes.copy_from_slice(&number.to_le_bytes());
        }
    }

    /// Reads what [`Page::save`] wrote of a page of the same shape.
    pub(crate) fn restore(&mut self, bytes: &[u8]) {
        for (number, bytes) in self.0.iter_mut().zip(bytes.chunks_exact(size_of::<f16>())) {
            *number = f16::from_le_bytes([bytes[0], bytes[1]]);
        }
    }

    pub(crate) fn view(&self, shape: PageShape) -> PageView<'_> {
        let (keys, values) = self.0.split_at(shape.key_numbers());
        PageView { keys, values }
    }
}
