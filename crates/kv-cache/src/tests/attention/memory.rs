//! Tests of the memory that a sequence takes, and of what is stored for numbers beyond the range of an f16.

use half::f16;

use super::{Case, Run, heads};
use crate::{CachePolicy, Kernel, KvStore, PAGE_TOKENS, Ring, RingSizes, SinkWindow};

#[test]
fn a_token_of_the_default_model_takes_23_040_bytes() {
    let policy = CachePolicy::Streaming(SinkWindow::new(4, 2_048));
    let sizes = RingSizes {
        max_chunk: 512,
        rewind_tokens: 1_024,
    };
    let ring = Ring::new(policy, sizes).expect("the default ring");
    let mut store = KvStore::new(&ring, heads(9, 3, 64), 30, Kernel::detect());
    assert_eq!(store.bytes(), 0);
    // A page of sinks, 3,584 slots behind them, and one more page since neither end is aligned.
    assert_eq!(store.max_bytes(), (1 + 56 + 1) * PAGE_TOKENS * 23_040);
    store.fill(129, || 0.5);
    assert_eq!(store.bytes(), 3 * PAGE_TOKENS * 23_040);
    store.fill(1_000_000_007, || 0.5);
    assert_eq!(store.bytes(), store.max_bytes());
}

#[test]
fn pages_are_allocated_as_the_stream_reaches_them_and_none_once_the_ring_wraps() {
    let heads = heads(2, 2, 20);
    let case = Case::random(heads, SinkWindow::new(70, 100), 1_000, 1);
    let mut sequence = case.sequence(Run::on_one_thread(&[50], Kernel::detect()));
    // f16: keys of 20 numbers, values of 24, since they are rounded up to whole vectors.
    let page = PAGE_TOKENS * (20 + 24) * 2 * heads.n_kv_heads;
    let expected = [1, 2, 3, 4, 4, 5, 6, 6, 6, 6];
    for pages in expected {
        sequence.write(50);
        let reached = sequence.position().div_ceil(PAGE_TOKENS);
        assert_eq!(sequence.store.bytes(), pages * page, "{reached} pages were reached");
    }
    assert_eq!(sequence.store.max_bytes(), 6 * page);
}

#[test]
fn numbers_beyond_f16_are_stored_as_its_largest_number() {
    let values = [
        1e6,
        -1e6,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        65_519.0,
        // Ties, to even.
        2_049.0,
        1e-8,
    ];
    let expected = [
        65_504.0, -65_504.0, 65_504.0, -65_504.0, 65_504.0, 65_504.0, 2_048.0, 0.0,
    ];
    for kernel in [Kernel::portable(), Kernel::detect()] {
        let mut rounded = [[f16::ONE; 8]];
        kernel.round(&[values], &mut rounded);
        assert_eq!(rounded[0].map(f16::to_f32), expected, "{kernel}");
    }
}
