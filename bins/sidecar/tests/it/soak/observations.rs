//! What the clients received, and whether the sidecar still has it.
//!
//! Everything that any client receives is recorded here; after each fault all logs are read and compared with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::report::Report;

/// Everything that was received, by conversation.
#[derive(Debug)]
pub struct Observations {
    logs: Mutex<BTreeMap<String, Observed>>,
    report: Arc<Report>,
}

/// What was received of one conversation.
#[derive(Debug, Default, Clone)]
pub struct Observed {
    /// Frames that stand for one event, by `seq`.
    frames: BTreeMap<u64, Value>,
    /// Token frames that stand for several events.
    joined: Vec<Value>,
    /// Turns that were refused: the log must not contain them.
    refused: BTreeSet<String>,
    pub deletion: Deletion,
    /// The lines that were imported: an export must return them.
    pub imported: Option<String>,
    /// The log's length when it was last compared, and a digest of it.
    compared: (u64, u64),
}

/// Whether a conversation was deleted.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    #[default]
    No,
    /// The request got no response: either is right.
    Unconfirmed,
    Confirmed,
}

impl Observations {
    pub fn new(report: Arc<Report>) -> Self {
        Self {
            logs: Mutex::default(),
            report,
        }
    }

    /// Records a frame, if it is a logged one.
    pub fn record(&self, frame: &Value) {
        let (Some(seq), Some(conversation)) = (frame["seq"].as_u64(), frame["conversationId"].as_str()) else {
            return;
        };
        let mut logs = self.lock();
        let observed = logs.entry(conversation.to_owned()).or_default();
        if frame["firstSeq"].is_u64() {
            observed.joined.push(frame.clone());
        } else if let Some(before) = observed.frames.insert(seq, frame.clone()) {
            self.report
                .check("no number stands for two events", before == *frame, || {
                    format!("{conversation}: {before} and {frame}")
                });
        }
    }

    /// Records that a turn was refused.
    pub fn refused(&self, conversation: &str, turn: &str) {
        self.change(conversation, |observed| {
            observed.refused.insert(turn.to_owned());
        });
    }

    pub fn change(&self, conversation: &str, change: impl FnOnce(&mut Observed)) {
        change(self.lock().entry(conversation.to_owned()).or_default());
    }

    /// Returns the highest `seq` that any client received.
    pub fn last_seq(&self, conversation: &str) -> u64 {
        self.lock().get(conversation).map_or(0, Observed::last_seq)
    }

    pub fn conversations(&self) -> Vec<String> {
        self.lock().keys().cloned().collect()
    }

    pub fn observed(&self, conversation: &str) -> Observed {
        self.lock().get(conversation).cloned().unwrap_or_default()
    }

    /// Compares a whole log, in order, with what was received of it.
    pub fn compare(&self, conversation: &str, log: &[Value]) {
        let mut logs = self.lock();
        let observed = logs.entry(conversation.to_owned()).or_default();
        let report = &self.report;
        let numbers = log.iter().map(|event| event["seq"].as_u64().unwrap_or_default());
        let last = log.len() as u64;
        report.check("logs are numbered 1, 2, 3 without a gap", numbers.eq(1..=last), || {
            format!("{conversation}, {last} events")
        });
        let received = observed.last_seq();
        report.check("nothing that a client received is missing", last >= received, || {
            format!("{conversation} ends at {last}, and {received} was received")
        });
        for (seq, frame) in &observed.frames {
            let logged = log.get(*seq as usize - 1);
            report.check(
                "what a client received is what is stored",
                logged == Some(frame),
                || format!("{conversation} {seq}: {frame} is stored as {logged:?}"),
            );
        }
        for frame in &observed.joined {
            let logged = text_between(log, frame["firstSeq"].as_u64(), frame["seq"].as_u64());
            report.check(
                "joined tokens are those that are stored",
                frame["token"] == logged,
                || format!("{conversation}: {frame} is stored as {logged:?}"),
            );
        }
        let (length, digest) = observed.compared;
        let is_same = digest_of(log.get(..length as usize).unwrap_or_default()) == digest;
        report.check("a log only ever grows", length == 0 || is_same, || {
            format!("{conversation}, the first {length} events")
        });
        // What was compared once needs no second comparison: the digest stands for it.
        observed.frames.clear();
        observed.joined.clear();
        observed.compared = (last, digest_of(log));
        let refused = &observed.refused;
        let turn = |event: &&Value| event["turnId"].as_str().is_some_and(|turn| refused.contains(turn));
        let found = log.iter().find(turn);
        report.check("no refused turn is stored", found.is_none(), || {
            format!("{conversation}: {found:?}")
        });
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Observed>> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observed {
    fn last_seq(&self) -> u64 {
        let frame = self.frames.keys().next_back().copied().unwrap_or_default();
        let joined = self.joined.iter().filter_map(|frame| frame["seq"].as_u64()).max();
        frame.max(joined.unwrap_or_default()).max(self.compared.0)
    }
}

fn text_between(log: &[Value], first: Option<u64>, last: Option<u64>) -> String {
    let (first, last) = (first.unwrap_or(1) as usize, last.unwrap_or_default() as usize);
    let events = log.get(first - 1..last).unwrap_or_default();
    events.iter().filter_map(|event| event["token"].as_str()).collect()
}

/// Computes FNV-1a over the events as text.
fn digest_of(log: &[Value]) -> u64 {
    let mut digest = 0xcbf2_9ce4_8422_2325_u64;
    for event in log {
        for byte in event.to_string().bytes() {
            digest = (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    digest
}
