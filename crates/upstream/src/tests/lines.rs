use crate::{Framing, LineReader};

/// However the bytes are cut, these are the pieces.
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
fn lines_end_in_either_way_and_empty_ones_mean_nothing() {
    check(
        Framing::Lines,
        "{\"a\":1}\n\n{\"b\":\"ü\"}\r\n \r\nlast",
        &["{\"a\":1}", "{\"b\":\"ü\"}", "last"],
    );
}

#[test]
fn an_event_is_its_data() {
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
fn a_line_has_a_limit_however_it_comes() {
    let mut reader = LineReader::new(Framing::Events);
    let line = format!("data: {}\n", "x".repeat(1_000));
    let refused = (0..2_000).find_map(|_| reader.push(line.as_bytes(), &mut Vec::new()).err());
    assert_eq!(
        refused.map(|error| error.to_string()).as_deref(),
        Some("a line of its answer has more than 1048576 bytes")
    );
}

#[test]
fn what_comes_before_a_broken_line_is_read_however_it_comes() {
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
