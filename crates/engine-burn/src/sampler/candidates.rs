//! Finds the tokens that may be drawn, without sorting the vocabulary.
//!
//! Only likely tokens remain after top-k and top-p. A histogram over the distance from the best token shows how far
//! below it the last remaining one can be; only tokens above that are collected and sorted.

use std::cmp::Ordering;

use engine::Options;

/// Bins of the histogram per nat: up to half a nat more than needed is collected, which adds few candidates.
const BINS_PER_NAT: f32 = 2.0;

/// Bins of the histogram: 32 nats, below which a token is never drawn; the last bin has all lower ones.
const BINS: usize = 64;

/// Tokens and their weights. The weights needn't sum to 1.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    tokens: Vec<Candidate>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    id: u32,
    /// Probability relative to the best token's, which is 1.
    weight: f32,
}

impl Candidates {
    /// Selects the tokens that the options allow. The highest of `logits` is 0.
    pub(super) fn fill(&mut self, logits: &[f32], options: &Options) -> &Self {
        let top_k = if options.top_k == 0 {
            usize::MAX
        } else {
            options.top_k as usize
        };
        if top_k < logits.len() {
            self.collect(logits, depth_holding(logits, |_| 1.0, |_| f64::from(options.top_k)));
            self.keep_best(top_k);
            self.keep_mass(options.top_p, self.mass());
        } else if options.top_p < 1.0 {
            let mut mass = 0.0;
            let needed = |all| {
                mass = all;
                all * f64::from(options.top_p)
            };
            self.collect(logits, depth_holding(logits, |logit| f64::from(logit.exp()), needed));
            self.keep_best(usize::MAX);
            self.keep_mass(options.top_p, mass);
        } else {
            self.collect(logits, f32::INFINITY);
        }
        if options.min_p > 0.0 {
            self.tokens.retain(|token| token.weight >= options.min_p);
        }
        self
    }

    /// Returns the token at the point `unit` (in [0, 1)) of the cumulative weights.
    pub(super) fn draw(&self, unit: f64) -> u32 {
        let target = unit * self.mass();
        let mut reached = 0.0;
        for token in &self.tokens {
            reached += f64::from(token.weight);
            if reached > target {
                return token.id;
            }
        }
        // Only reached when `unit * mass` rounds up to the whole mass.
        let last = self.tokens.iter().rfind(|token| token.weight > 0.0);
        last.expect("the best token is always a candidate, with weight 1").id
    }

    fn mass(&self) -> f64 {
        self.tokens.iter().map(|token| f64::from(token.weight)).sum()
    }

    /// Collects all tokens within `depth` of the best, in order of id.
    fn collect(&mut self, logits: &[f32], depth: f32) {
        self.tokens.clear();
        let deep_enough = logits.iter().zip(0_u32..).filter(|&(&logit, _)| logit >= -depth);
        self.tokens.extend(deep_enough.map(|(&logit, id)| Candidate {
            id,
            weight: logit.exp(),
        }));
    }

    /// Keeps the `count` likeliest tokens, likeliest first.
    fn keep_best(&mut self, count: usize) {
        if count < self.tokens.len() {
            self.tokens.select_nth_unstable_by(count, by_weight);
            self.tokens.truncate(count);
        }
        self.tokens.sort_unstable_by(by_weight);
    }

    /// Keeps the fewest of the sorted tokens whose weights reach `top_p` of `mass`.
    fn keep_mass(&mut self, top_p: f32, mass: f64) {
        if top_p >= 1.0 {
            return;
        }
        let enough = f64::from(top_p) * mass;
        let mut reached = 0.0;
        let last = self.tokens.iter().position(|token| {
            reached += f64::from(token.weight);
            reached >= enough
        });
        if let Some(last) = last {
            self.tokens.truncate(last + 1);
        }
    }
}

/// Returns the distance from the best token within which the tokens weigh at least `needed`, a function of the weight
/// of all.
fn depth_holding(logits: &[f32], weigh: impl Fn(f32) -> f64, needed: impl FnOnce(f64) -> f64) -> f32 {
    let mut bins = [0.0; BINS];
    for &logit in logits {
        // The cast saturates, for a logit of minus infinity too.
        let bin = (-logit * BINS_PER_NAT) as usize;
        bins[bin.min(BINS - 1)] += weigh(logit);
    }
    let needed = needed(bins.iter().sum());
    let mut reached = 0.0;
    let last = bins[..BINS - 1].iter().position(|weight| {
        reached += weight;
        reached >= needed
    });
    last.map_or(f32::INFINITY, |bin| (bin + 1) as f32 / BINS_PER_NAT)
}

/// Orders the likeliest first; of equals, the lower id.
fn by_weight(a: &Candidate, b: &Candidate) -> Ordering {
    b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id))
}
