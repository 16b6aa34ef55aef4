//! Attention of chunks over the keys and values of their sequences, split into parts that threads can run.
//!
//! In go the chunks of any number of sequences, with their rows and the buffers for their outputs. Out come
//! [`AttentionPart`]s, which the caller's threads run in any order, and [`Attention::finish`], which combines what was
//! split along the keys. It never starts a thread.
//!
//! **An output is identical to the last bit** however the work is split, whatever else is in the chunk or the batch,
//! and wherever pages are stored. A query's keys are summed in one order, which depends on positions alone: first the
//! sinks, then the window, each in *spans* of eight pages, aligned to positions in the stream. Within a span,
//! pages are added one after the other; each span starts from zero, and spans are added in order.

mod queries;
mod span;

use std::sync::Arc;

use crate::Chunk;
use crate::kernel::PartialSums;
use crate::store::{KvLayer, StoreLayout};
use queries::{BLOCK_TOKENS, QueryBlock};
use span::Span;

/// A chunk of one sequence in one layer, whose keys and values have been written.
#[derive(Debug)]
pub struct AttentionInput<'a> {
    /// Positions and angles of its tokens.
    pub chunk: &'a Chunk,
    /// Keys and values, including those of the chunk.
    pub layer: &'a KvLayer,
    /// `[tokens, row_size]` ([`HeadShape`](crate::HeadShape)), not rotated; only the queries are read.
    pub rows: &'a [f32],
    /// Outputs, `[tokens, n_heads * head_dim]`.
    pub out: &'a mut [f32],
}

/// The attention of a batch in one layer.
#[derive(Debug)]
pub struct Attention<'a> {
    blocks: Vec<Block<'a>>,
}

/// Some queries of one key head, with everything needed to compute their outputs.
#[derive(Debug)]
struct Block<'a> {
    queries: QueryBlock<'a>,
    /// The spans of keys that the queries see, in order; shared by all heads.
    spans: Arc<[Span]>,
    /// One result per span if spans are computed separately; otherwise empty.
    partials: Vec<Option<PartialSums>>,
    /// Output rows, one per token.
    out: Vec<&'a mut [f32]>,
}

impl<'a> Attention<'a> {
    /// Prepares the attention of the chunks of some sequences.
    ///
    /// # Panics
    /// If rows or outputs don't have their chunk's shape.
    #[must_use]
    pub fn new(inputs: Vec<AttentionInput<'a>>) -> Self {
        let blocks = inputs.into_iter().flat_map(split).collect();
        Self { blocks }
    }

    /// Returns the number of multiplications of query numbers with key numbers, an estimate of the work.
    #[must_use]
    pub fn products(&self) -> usize {
        self.blocks.iter().map(Block::products).sum()
    }

    /// Splits the work into parts that can run in any order or at the same time, each exactly once: at least `n_parts`
    /// if there is enough work. Work is split by key heads and queries, and along the keys if those are too few.
    pub fn parts(&mut self, n_parts: usize) -> Vec<AttentionPart<'_, 'a>> {
        let along_keys = self.blocks.len() < n_parts;
        let mut parts = Vec::new();
        for block in &mut self.blocks {
            if !along_keys {
                parts.push(AttentionPart(Work::Block(block)));
                continue;
            }
            block.partials.resize_with(block.spans.len(), || None);
            for (span, partial) in block.spans.iter().zip(&mut block.partials) {
                let queries = &block.queries;
                parts.push(AttentionPart(Work::Span { queries, span, partial }));
            }
        }
        parts
    }

    /// Combines and writes the outputs of what was split along the keys. All parts must have been run.
    pub fn finish(self) {
        for mut block in self.blocks {
            let partials = std::mem::take(&mut block.partials);
            let mut partials = partials
                .into_iter()
                .map(|partial| partial.expect("every part is run before the end"));
            let Some(mut total) = partials.next() else {
                continue;
            };
            for partial in partials {
                block.queries.kernel().merge(&mut total, &partial);
            }
            block.write(&total);
        }
    }

    /// Computes everything on the current thread.
    pub fn run(mut self) {
        for part in self.parts(1) {
            part.run();
        }
        self.finish();
    }
}

/// A part of the work of an [`Attention`].
#[derive(Debug)]
pub struct AttentionPart<'p, 'a>(Work<'p, 'a>);

#[derive(Debug)]
enum Work<'p, 'a> {
    /// Some queries with all of their keys.
    Block(&'p mut Block<'a>),
    /// Some queries with one span of their keys.
    Span {
        queries: &'p QueryBlock<'a>,
        span: &'p Span,
        partial: &'p mut Option<PartialSums>,
    },
}

impl AttentionPart<'_, '_> {
    /// Computes this part.
    pub fn run(self) {
        match self.0 {
            Work::Block(block) => block.run(),
            Work::Span { queries, span, partial } => {
                let mut sums = queries.empty_sums();
                queries.rotated(span.kind()).add(span, &mut sums);
                *partial = Some(sums);
            }
        }
    }
}

impl Block<'_> {
    fn run(&mut self) {
        let mut total = self.queries.empty_sums();
        // The first span goes straight into `total`: merging into empty sums would change nothing.
        let mut is_first = true;
        let mut sums: Option<PartialSums> = None;
        for spans in self.spans.chunk_by(|a, b| a.kind() == b.kind()) {
            let rotated = self.queries.rotated(spans[0].kind());
            for span in spans {
                if std::mem::take(&mut is_first) {
                    rotated.add(span, &mut total);
                    continue;
                }
                let sums = sums.get_or_insert_with(|| self.queries.empty_sums());
                sums.clear();
                rotated.add(span, sums);
                self.queries.kernel().merge(&mut total, sums);
            }
        }
        self.write(&total);
    }

    fn write(&mut self, total: &PartialSums) {
        let StoreLayout { heads, .. } = self.queries.layout();
        for (token, out) in self.out.iter_mut().enumerate() {
            total.write(token * heads.group(), heads.head_dim, out);
        }
    }

    fn products(&self) -> usize {
        let n_pages: usize = self.spans.iter().map(Span::n_pages).sum();
        n_pages * self.queries.page_products()
    }
}

/// Splits a chunk by key heads and tokens.
fn split(input: AttentionInput<'_>) -> Vec<Block<'_>> {
    let AttentionInput {
        chunk,
        layer,
        rows,
        out,
    } = input;
    let heads = layer.layout().heads;
    let n_tokens = chunk.n_tokens();
    assert!(
        rows.len() == n_tokens * heads.row_size() && out.len() == n_tokens * heads.out_size(),
        "{} and {} numbers are not {n_tokens} rows of {heads:?}",
        rows.len(),
        out.len()
    );
    let mut blocks = Vec::new();
    for first in (0..n_tokens).step_by(BLOCK_TOKENS) {
        let tokens = first..n_tokens.min(first + BLOCK_TOKENS);
        let spans: Arc<[Span]> = span::spans(chunk, tokens.clone()).into();
        for kv_head in 0..heads.n_kv_heads {
            let queries = QueryBlock::new(chunk, layer, kv_head, tokens.clone(), rows);
            blocks.push(Block {
                spans: Arc::clone(&spans),
                partials: Vec::new(),
                out: Vec::with_capacity(tokens.len()),
                queries,
            });
        }
    }
    for (token, row) in out.chunks_exact_mut(heads.out_size()).enumerate() {
        let block = token / BLOCK_TOKENS * heads.n_kv_heads;
        let parts = row.chunks_exact_mut(heads.group() * heads.head_dim);
        for (block, out) in blocks[block..].iter_mut().zip(parts) {
            block.out.push(out);
        }
    }
    blocks
}
