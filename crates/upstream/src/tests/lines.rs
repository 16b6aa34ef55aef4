use crate::{Framing, LineReader};

/// Checks the pieces of a body that arrives in chunks of different sizes.
#[track_caller]
fn check(framing: Framing, body: &str, pieces: &[&str]) {
    for size in [1, 2, 3, 5, 7, body.len()] {
        let mut reader = LineReader::new(framing);
        let mut read = Vec::new();
        for bytes in body.as_bytes().chunks(size) {
            reader.push(bytes, &mut read).expect("the body is in order");
        }
        read.extend(reader.finish().expect("the body is in order"));
        assert_eq!(read, pieces, "in chunks of {size} bytes");
    }
}

#[test]
fn lines_have_either_line_end_and_empty_ones_are_ignored() {
    check(
        Framing::Lines,
        "{\"a\":1}\n\n{\"b\":\"ü\"}\r\n \r\nlast",
        &["{\"a\":1}", "{\"b\":\"ü\"}", "last"],
    );
}

#[test]
fn the_data_of_events_is_read() {
    check(
        Framing::Events,
        ": comment\n\nevent: message\nid: 1\nretry: 10\ndata: {\"a\":\"👋\"}\n\ndata:no space\r\n\r\n: ping\n\nid: 2\n\ndata: [DONE]",
        &["{\"a\":\"👋\"}", "no space", "[DONE]"],
    );
}

#[test]
fn data_of_several_lines_is_joined() {
    check(Framing::Events, "data: a\ndata:  b\ndata\n\n\n", &["a\n b\n"]);
}

#[test]
fn a_line_has_a_limit_however_it_arrives() {
    let mut reader = LineReader::new(Framing::Events);
    let line = format!("data: {}\n", "x".repeat(1_000));
    let refused = (0..2_000).find_map(|_| reader.push(line.as_bytes(), &mut Vec::new()).err());
    assert_eq!(
        refused.map(|error| error.to_string()).as_deref(),
        Some("a line of its answer has more than 1048576 bytes")
    );
}

#[test]
fn lines_before_a_broken_one_are_read_however_they_arrive() {
    let body = b"one\ntwo\n\xff\nthree\n";
    for size in [1, 2, 5, body.len()] {
        let (mut reader, mut read) = (LineReader::new(Framing::Lines), Vec::new());
        let broken = body.chunks(size).find_map(|bytes| reader.push(bytes, &mut read).err());
        assert_eq!(
            broken.map(|error| error.to_string()).as_deref(),
            Some("its answer isn't UTF-8")
        );
        assert_eq!(read, ["one", "two"], "in chunks of {size} bytes");
    }
}
