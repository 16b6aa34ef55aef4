//! Sixty-four rows of activations at once: a register holds four columns of eight of them.
//!
//! Each of the eight rows of weights is unpacked once and then meets all rows of the panel, whose quants are memory
//! operands of the multiplications. So there are hardly more instructions than products and their sums, unlike where
//! the rows of weights are in a register and each row of activations must be loaded and broadcast for every one of
//! them.

use std::arch::x86_64::{
    __m256, __m256i, _mm256_add_epi16, _mm256_castpd_ps, _mm256_castps_pd, _mm256_cvtepi32_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_mul_ps,
    _mm256_permute2f128_ps, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_sub_epi32,
    _mm256_unpackhi_pd, _mm256_unpackhi_ps, _mm256_unpacklo_pd, _mm256_unpacklo_ps,
};
use std::hint::black_box;

use super::{load_bytes, load_f16, nibbles};
use crate::kernel::tile_kernel::PanelOutputs;
use crate::layout::{BLOCK, FourBitGroup, GROUP_ROWS, OCTET_ROWS, OCTETS, Panel, WORD};

/// Sums of one row of weights with each row of a panel.
type RowSums = [__m256; OCTETS];

/// As [`super::four_bits`] for every row of the panels. The order of an output's sums is the same, and so are its bits.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) fn four_bits<G: FourBitGroup>(group: &[G], panels: &[Panel], out: &mut PanelOutputs) {
    let mut sums = [[_mm256_setzero_ps(); OCTETS]; GROUP_ROWS];
    for (weights, panel) in group.iter().zip(panels) {
        let unpacked = Unpacked::new(weights);
        for (row, sums) in sums.iter_mut().enumerate() {
            // `black_box` makes it look like another panel for every row: otherwise the compiler would load all 64
            // registers of it ahead of the rows, for which there are only 16, and spill them to memory again.
            add_row(&unpacked, row, black_box(panel), sums);
        }
    }
    transpose(&sums, out);
}

/// The content of a group's blocks, one number per row.
#[repr(align(32))]
struct Unpacked {
    /// In word `k`, number `r` is the quants `4k` to `4k + 3` of row `r`.
    words: [[i32; GROUP_ROWS]; BLOCK / WORD],
    scales: [f32; GROUP_ROWS],
    mins: Option<[f32; GROUP_ROWS]>,
}

impl Unpacked {
    #[inline]
    #[target_feature(enable = "avx2,fma,f16c")]
    fn new<G: FourBitGroup>(group: &G) -> Self {
        let mut words = [[0; GROUP_ROWS]; BLOCK / WORD];
        let (low_words, high_words) = words.split_at_mut(BLOCK / WORD / 2);
        for ((quants, low_word), high_word) in group.quants().iter().zip(low_words).zip(high_words) {
            let (low, high) = nibbles(load_bytes(quants));
            store_words(low, low_word);
            store_words(high, high_word);
        }
        Self {
            words,
            scales: store_f32(load_f16(group.scales())),
            mins: group.mins().map(|mins| store_f32(load_f16(mins))),
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn add_row(weights: &Unpacked, row: usize, panel: &Panel, sums: &mut RowSums) {
    let mut pairs = [_mm256_setzero_si256(); OCTETS];
    for (word_idx, word) in weights.words.iter().enumerate() {
        let word = _mm256_set1_epi32(word[row]);
        for (pairs, octet) in pairs.iter_mut().zip(&panel.0) {
            let products = _mm256_maddubs_epi16(word, quants(&octet.quants[word_idx]));
            *pairs = _mm256_add_epi16(*pairs, products);
        }
    }
    let scale = _mm256_set1_ps(weights.scales[row]);
    for ((sum, pairs), octet) in sums.iter_mut().zip(pairs).zip(&panel.0) {
        let dots = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
        let scales = _mm256_mul_ps(scale, load_f32(&octet.scales));
        *sum = match &weights.mins {
            None => {
                let eights = _mm256_slli_epi32::<3>(load_words(&octet.sums));
                let dots = _mm256_sub_epi32(dots, eights);
                _mm256_fmadd_ps(scales, _mm256_cvtepi32_ps(dots), *sum)
            }
            Some(mins) => {
                let sum = _mm256_fmadd_ps(scales, _mm256_cvtepi32_ps(dots), *sum);
                _mm256_fmadd_ps(_mm256_set1_ps(mins[row]), load_f32(&octet.scaled_sums), sum)
            }
        };
    }
}

/// Transposes the sums to one row per row of activations, eight by eight.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn transpose(sums: &[RowSums; GROUP_ROWS], out: &mut PanelOutputs) {
    let (octets, _) = out.as_chunks_mut::<OCTET_ROWS>();
    for (octet, out) in octets.iter_mut().enumerate() {
        // First pairs of rows, then fours, each for the octet's activations 0, 1, 4, 5 and 2, 3, 6, 7 and so on, then
        // all eight.
        let row = |row: usize| sums[row][octet];
        let pairs: [[__m256; 2]; 4] = std::array::from_fn(|i| {
            let (a, b) = (row(2 * i), row(2 * i + 1));
            [_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b)]
        });
        let fours: [[__m256; 4]; 2] = std::array::from_fn(|i| {
            let (a, b) = (pairs[2 * i], pairs[2 * i + 1]);
            std::array::from_fn(|j| {
                let (a, b) = (_mm256_castps_pd(a[j / 2]), _mm256_castps_pd(b[j / 2]));
                let four = if j % 2 == 0 {
                    _mm256_unpacklo_pd(a, b)
                } else {
                    _mm256_unpackhi_pd(a, b)
                };
                _mm256_castpd_ps(four)
            })
        });
        for j in 0..4 {
            let (a, b) = (fours[0][j], fours[1][j]);
            out[j] = store_f32(_mm256_permute2f128_ps::<0x20>(a, b));
            out[j + 4] = store_f32(_mm256_permute2f128_ps::<0x31>(a, b));
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn quants(quants: &[i8; OCTET_ROWS * WORD]) -> __m256i {
    // SAFETY: the array has 32 bytes, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(quants.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load_words(words: &[i32; 8]) -> __m256i {
    // SAFETY: the array has 32 bytes, and the load needs no alignment.
    unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn load_f32(floats: &[f32; 8]) -> __m256 {
    // SAFETY: the array has 32 bytes, and the load needs no alignment.
    unsafe { _mm256_loadu_ps(floats.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store_words(vector: __m256i, words: &mut [i32; 8]) {
    // SAFETY: the array has 32 bytes, and the store needs no alignment.
    unsafe { _mm256_storeu_si256(words.as_mut_ptr().cast(), vector) };
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
fn store_f32(vector: __m256) -> [f32; 8] {
    let mut floats = [0.0; 8];
    // SAFETY: the array has 32 bytes, and the store needs no alignment.
    unsafe { _mm256_storeu_ps(floats.as_mut_ptr(), vector) };
    floats
}
