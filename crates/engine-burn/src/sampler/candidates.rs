//! The tokens that may be drawn, found without sorting the vocabulary.
//!
//! Only likely tokens survive top-k and top-p, so they are looked for from the top: all those within a few nats of the best,
//! then within more, until what was found is certain to hold the answer. Only that much is sorted.

use std::cmp::Ordering;

use engine::Options;

/// Distances from the best logit, in nats after temperature, within which candidates are looked for, one after the other.
const DEPTHS: [f32; 4] = [4.0, 8.0, 16.0, f32::INFINITY];

/// Tokens and their weights; the weights needn't sum to 1.
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
    /// Keeps the tokens that the options leave; the highest of `logits` is 0.
    pub(super) fn fill(&mut self, logits: &[f32], options: &Options) -> &Self {
        let top_k = if options.top_k == 0 {
            usize::MAX
        } else {
            options.top_k as usize
        };
        if top_k < logits.len() {
            self.collect_until(logits, |found| found.len() >= top_k);
            self.keep_best(top_k);
            self.keep_mass(options.top_p, self.mass());
        } else if options.top_p < 1.0 {
            let mass: f64 = logits.iter().map(|&logit| f64::from(logit.exp())).sum();
            let enough = f64::from(options.top_p) * mass;
            self.collect_until(logits, |found| {
                found.iter().map(|token| f64::from(token.weight)).sum::<f64>() >= enough
            });
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

    /// The token at the place `unit` (in [0, 1)) of all weights laid end to end.
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

    /// Collects in order of id all tokens down to the first depth at which `is_enough`.
    fn collect_until(&mut self, logits: &[f32], is_enough: impl Fn(&[Candidate]) -> bool) {
        for depth in DEPTHS {
            self.collect(logits, depth);
            if is_enough(&self.tokens) {
                return;
            }
        }
    }

    /// Collects in order of id all tokens within `depth` of the best.
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

/// Likeliest first; of equals, the lower id.
fn by_weight(a: &Candidate, b: &Candidate) -> Ordering {
    b.weight.total_cmp(&a.weight).then(a.id.cmp(&b.id))
}
