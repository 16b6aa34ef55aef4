//! What an input costs that lies about its size, or that grows when it is read: the most that is allocated at once.

use fuzz_targets::TARGETS;
use peak_alloc::PeakAlloc;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Checks that a target needs no more than so many bytes for an input, beside the input itself.
#[track_caller]
fn check(what: &str, target: &str, input: &[u8], limit: usize) {
    let target = TARGETS.into_iter().find(|known| known.name == target);
    let target = target.expect("there is a target of that name");
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    (target.check)(input);
    let needed = MEMORY.peak_usage().saturating_sub(before);
    assert!(needed <= limit, "{what}: {needed} bytes for {} of input", input.len());
}

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// A GGUF header with these counts, and a first key or tensor name of that length.
fn gguf(n_tensors: u64, n_metadata: u64, length: u64) -> Vec<u8> {
    let counts = [n_tensors, n_metadata, length];
    let counts = counts.iter().flat_map(|count| count.to_le_bytes());
    b"GGUF\x03\0\0\0"
        .iter()
        .copied()
        .chain(counts)
        .chain([b'x'; 64])
        .collect()
}

fn safetensors(length: u64, header: &str) -> Vec<u8> {
    [&length.to_le_bytes()[..], header.as_bytes()].concat()
}

/// One test, so that nothing else allocates meanwhile.
#[test]
fn an_input_costs_what_it_is_and_not_what_it_says() {
    for (counts, what) in [
        ((u64::MAX, 0, 0), "2^64-1 tensors"),
        ((1_000_000, 0, 0), "a million tensors"),
        ((0, 1 << 63, 0), "2^63 metadata entries"),
        ((0, 1, 1 << 63), "a key of 2^63 bytes"),
        ((1, 0, 1 << 63), "a tensor's name of 2^63 bytes"),
    ] {
        check(what, "gguf", &gguf(counts.0, counts.1, counts.2), 4 * KIB);
    }
    for length in [0, 1, 99_999_999, 100_000_001, u64::MAX >> 1, u64::MAX] {
        check("a header's length", "safetensors", &safetensors(length, "{}"), 4 * KIB);
    }
    let tensor = |name: usize| format!(r#""{name}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#);
    let million = format!("{{{}}}", (0..1_000_000).map(tensor).collect::<Vec<_>>().join(","));
    check(
        "a million tensors",
        "safetensors",
        &safetensors(million.len() as u64, &million),
        16 * MIB,
    );
    let deep = format!("{{\"a\":{}", "[".repeat(1_000_000));
    check(
        "a million brackets",
        "safetensors",
        &safetensors(deep.len() as u64, &deep),
        2 * MIB,
    );

    let frame = |length: u64| [&b"\x08\x81\xff"[..], &length.to_be_bytes(), &[0; 64]].concat();
    for length in [1 << 40, 0_u64.wrapping_sub(21), u64::MAX] {
        check("a frame's length", "frames", &frame(length), 0);
    }

    let unknown = format!("{{\"x\":\"{}\",\"message\":\"a\"}}", "y".repeat(64 * MIB));
    check("64 MiB that nobody asks for", "messages", unknown.as_bytes(), 64 * KIB);
    drop(unknown);
    let nested = format!(
        "{{\"x\":{}{},\"message\":\"a\"}}",
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    check("100,000 levels", "messages", nested.as_bytes(), 256 * KIB);
    let stops = format!(
        "{{\"message\":\"a\",\"options\":{{\"stop\":[{}\"\"]}}}}",
        "\"xy\",".repeat(10_000)
    );
    check("10,000 stop strings", "messages", stops.as_bytes(), MIB);
    let stop = format!(
        "{{\"message\":\"a\",\"options\":{{\"stop\":[\"{}\"]}}}}",
        "x".repeat(MIB)
    );
    check("a stop string of 1 MiB", "messages", stop.as_bytes(), 3 * MIB);

    let mut aliases = "---\nname: X\nsystem_prompt: P\na0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..12 {
        let before = vec![format!("*a{}", level - 1); 9].join(", ");
        aliases += &format!("a{level}: &a{level} [{before}]\n");
    }
    check("aliases of aliases", "agent-files", (aliases + "---\n").as_bytes(), MIB);
    let brackets = format!("---\nname: X\nsystem_prompt: P\na: {}\n---\n", "[".repeat(1_000_000));
    check(
        "a million brackets in YAML",
        "agent-files",
        brackets.as_bytes(),
        4 * MIB,
    );

    let line = [&b"\x07data: "[..], &vec![b'x'; 64 * MIB]].concat();
    check("a line without an end", "openai-events", &line, 8 * MIB);
    check("a line without an end", "ollama-lines", &line, 8 * MIB);
}
