//! Tests of attention over stored keys: against the plain formulas, and for identical bits however the work is split.

mod cuts;
mod formulas;
mod memory;
mod prefix;
mod snapshot;

use crate::{
    Attention, AttentionInput, CachePolicy, Chunk, HeadShape, Kernel, KvStore, Ring, RingSizes, RotaryTable, SinkWindow,
};

/// The base of the angles; small, so that short streams reach large angles.
const BASE: f64 = 100.0;

/// A stream of tokens with its heads and policy.
#[derive(Debug, Clone)]
struct Case {
    heads: HeadShape,
    policy: SinkWindow,
    /// `[tokens, row_size]`.
    rows: Vec<f32>,
}

/// How a stream is computed.
#[derive(Debug, Clone, Copy)]
struct Run<'a> {
    kernel: Kernel,
    /// Lengths of chunks, repeated.
    chunks: &'a [usize],
    n_parts: usize,
    rewind_tokens: u64,
}

impl Run<'_> {
    /// Computes on one thread.
    const fn on_one_thread(chunks: &[usize], kernel: Kernel) -> Run<'_> {
        Run {
            kernel,
            chunks,
            n_parts: 1,
            rewind_tokens: 0,
        }
    }
}

impl Case {
    /// Generates numbers between -1 and 1 from a seed.
    fn random(heads: HeadShape, policy: SinkWindow, n_tokens: usize, seed: u64) -> Self {
        let mut state = seed;
        let mut number = || {
            // splitmix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0
        };
        let rows = (0..n_tokens * heads.row_size()).map(|_| number()).collect();
        Self { heads, policy, rows }
    }

    fn n_tokens(&self) -> usize {
        self.rows.len() / self.heads.row_size()
    }

    fn table(&self) -> RotaryTable {
        RotaryTable::new(self.heads.head_dim, BASE)
    }

    fn rows_of(&self, chunk: &Chunk) -> &[f32] {
        let positions = chunk.positions().start as usize..chunk.positions().end as usize;
        &self.rows[positions.start * self.heads.row_size()..positions.end * self.heads.row_size()]
    }

    fn sequence(&self, run: Run<'_>) -> Sequence<'_> {
        let sizes = RingSizes {
            max_chunk: run.chunks.iter().copied().max().unwrap_or(1) as u64,
            rewind_tokens: run.rewind_tokens,
        };
        let ring = Ring::new(CachePolicy::Streaming(self.policy), sizes).expect("a small ring");
        let store = KvStore::new(&ring, self.heads, 1, run.kernel);
        Sequence {
            case: self,
            ring,
            store,
            n_parts: run.n_parts,
        }
    }

    /// Computes the outputs of all tokens, `[tokens, out_size]`.
    fn outputs(&self, run: Run<'_>) -> Vec<f32> {
        let mut sequence = self.sequence(run);
        let mut outputs = Vec::new();
        let mut lengths = run.chunks.iter().cycle();
        while sequence.position() < self.n_tokens() {
            let left = self.n_tokens() - sequence.position();
            let len = lengths.next().map_or(left, |&len| len.min(left));
            outputs.extend(sequence.read(len));
        }
        outputs
    }
}

/// A stream that is being computed.
struct Sequence<'a> {
    case: &'a Case,
    ring: Ring,
    store: KvStore,
    n_parts: usize,
}

impl Sequence<'_> {
    fn position(&self) -> usize {
        self.ring.position() as usize
    }

    /// Writes the keys and values of the next tokens.
    fn write(&mut self, tokens: usize) -> Chunk {
        let first = self.ring.position();
        self.ring.insert(tokens as u64).expect("the chunk fits");
        let chunk = Chunk::new(&self.case.table(), self.case.policy, first..self.ring.position());
        self.store.layer_mut(0).write(&chunk, self.case.rows_of(&chunk));
        chunk
    }

    /// Writes the next tokens and computes their outputs, on one thread per part.
    fn read(&mut self, tokens: usize) -> Vec<f32> {
        let chunk = self.write(tokens);
        let mut out = vec![f32::NAN; tokens * self.case.heads.out_size()];
        let input = AttentionInput {
            chunk: &chunk,
            layer: self.store.layer(0),
            rows: self.case.rows_of(&chunk),
            out: &mut out,
        };
        let mut attention = Attention::new(vec![input]);
        if self.n_parts == 1 {
            attention.run();
            return out;
        }
        std::thread::scope(|scope| {
            for part in attention.parts(self.n_parts) {
                scope.spawn(|| part.run());
            }
        });
        attention.finish();
        out
    }
}

#[track_caller]
fn check_bits(got: &[f32], expected: &[f32], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            got.to_bits() == expected.to_bits(),
            "{what}: output {i} is {got:e} and not {expected:e}"
        );
    }
}

const fn heads(n_heads: usize, n_kv_heads: usize, head_dim: usize) -> HeadShape {
    HeadShape {
        n_heads,
        n_kv_heads,
        head_dim,
    }
}
