//! What one socket hears: checked against its lines, or taken down for them.

use serde_json::{Value, json};

use super::matching::{Names, join};
use super::recording::Recorder;
use crate::client::{Heard, Socket};

/// Checks that a socket hears these lines: frames in their order within a conversation, runs of tokens however they are cut.
///
/// How many turns are ahead is told beside the log, and may be told of a turn that has just ended as well: what the lines have of
/// it must come, at any place, and more may.
pub async fn check(socket: &mut Socket, lines: &[Value], names: &mut Names) -> Result<(), String> {
    let (mut frames, close) = apart(lines);
    let mut run: Option<Value> = None;
    while !frames.is_empty() {
        let frame = match socket.next().await {
            Heard::Frame(frame) => frame,
            Heard::Closed(code, reason) => return Err(format!("closed with {code} ({reason}) before {}", frames[0])),
            Heard::Lost => return Err(format!("the socket broke before {}", frames[0])),
        };
        if is_queued(&frame) {
            frames.retain(|expected| names.known(expected) != frame);
            continue;
        }
        let is_lane = |expected: &Value| {
            !is_queued(expected) && names.known(expected)["conversationId"] == frame["conversationId"]
        };
        let in_lane = frames.iter().position(is_lane);
        let is_open = |expected: &Value| expected["conversationId"].get("$any").is_some();
        let index = in_lane
            .or_else(|| frames.iter().position(is_open))
            .ok_or_else(|| format!("not expected: {frame}"))?;
        let is_token = frame["type"] == "token";
        let joined = if is_token { join(run.as_ref(), &frame) } else { frame };
        let expected = frames[index]["token"].as_str().unwrap_or_default();
        let so_far = joined["token"].as_str().unwrap_or_default();
        if is_token && expected.len() > so_far.len() && expected.starts_with(so_far) {
            run = Some(joined);
            continue;
        }
        run = None;
        names
            .check(&frames[index], &joined)
            .map_err(|why| format!("{why}, in {joined}"))?;
        frames.remove(index);
    }
    match close {
        Some(code) if json!(closed(socket).await?) != code => Err(format!("not closed with {code}")),
        _ => Ok(()),
    }
}

/// Takes down what a socket hears until it has heard what the lines ask for, by type; the lines that say so.
pub async fn record(
    socket: &mut Socket,
    lines: &[Value],
    names: &mut Names,
    recorder: &Recorder,
) -> Result<Vec<Value>, String> {
    let (wanted, close) = apart(lines);
    let mut heard: Vec<Value> = Vec::new();
    while !has_all(&heard, &wanted) {
        match socket.next().await {
            Heard::Frame(frame) => take(&mut heard, frame),
            Heard::Closed(code, reason) => return Err(format!("closed with {code} ({reason}) after {heard:?}")),
            Heard::Lost => return Err(format!("the socket broke after {heard:?}")),
        }
    }
    let (mut queued, logged): (Vec<_>, Vec<_>) = heard.into_iter().partition(is_queued);
    queued.retain(|_| wanted.iter().any(is_queued));
    let frames = logged.iter().chain(&queued).map(|frame| {
        let kind = frame["type"].as_str().unwrap_or_default().to_owned();
        let fields = frame.as_object().expect("a frame is an object").iter();
        fields
            .map(|(key, value)| (key.clone(), recorder.write(names, &[&kind, key], value)))
            .collect::<Value>()
    });
    let frames: Vec<Value> = frames.map(|frame| json!({ "gets": frame })).collect();
    let end = match close {
        Some(_) => Some(json!({ "closed": closed(socket).await? })),
        None => None,
    };
    Ok(frames.into_iter().chain(end).collect())
}

/// The frames that lines expect, and the code of the close that follows, if one does.
fn apart(lines: &[Value]) -> (Vec<Value>, Option<Value>) {
    let frames = lines.iter().filter_map(|line| line.get("gets")).cloned().collect();
    (frames, lines.iter().find_map(|line| line.get("closed")).cloned())
}

async fn closed(socket: &mut Socket) -> Result<u16, String> {
    loop {
        match socket.next().await {
            Heard::Closed(code, _) => return Ok(code),
            Heard::Lost => return Ok(1006),
            Heard::Frame(frame) if is_queued(&frame) => {}
            Heard::Frame(frame) => return Err(format!("not closed, but told {frame}")),
        }
    }
}

fn is_queued(frame: &Value) -> bool {
    frame["type"] == "queued"
}

/// Adds a frame, joined to the tokens before it.
fn take(heard: &mut Vec<Value>, frame: Value) {
    let goes_on = |last: &Value| {
        let same = |key: &str| last[key] == frame[key];
        frame["type"] == "token" && same("type") && same("turnId") && same("conversationId")
    };
    match heard.last_mut().filter(|last| goes_on(last)) {
        Some(last) => *last = join(Some(last), &frame),
        None => heard.push(frame),
    }
}

fn has_all(heard: &[Value], wanted: &[Value]) -> bool {
    wanted.iter().all(|frame| {
        let is_wanted = |other: &&Value| {
            let ends = |token: &str| other["token"].as_str().is_some_and(|text| text.ends_with(token));
            let is_whole = frame["type"] != "token" || frame["token"].as_str().is_some_and(ends);
            other["type"] == frame["type"] && is_whole
        };
        let count = |frames: &[Value]| frames.iter().filter(is_wanted).count();
        count(heard) >= count(wanted)
    })
}
