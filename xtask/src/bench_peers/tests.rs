//! Reading what both programs say, and what is made of it. Nothing is timed here.

use serde_json::{Value, json};

use super::{
    comparison::{Comparison, Speeds, median},
    files::Format,
    listed, parsed,
};

fn report() -> Value {
    json!({
        "prefill": { "tokens": 512, "tokensPerSecond": 300.0 },
        "decode": [
            { "context": 128, "tokensPerSecond": 60.0 },
            { "context": 1024, "tokensPerSecond": 40.0 },
        ],
        "conversations": [{ "count": 8, "tokensPerSecond": 90.0 }],
    })
}

fn speeds(values: [f64; 4]) -> Speeds {
    let [prefill, first, second, together] = values;
    let alone = json!({ "prefill": prefill, "decode": [first, second] });
    Speeds::of_llama_cpp(&alone, &[json!({ "conversations": together })]).expect("it is whole")
}

#[test]
fn a_report_of_the_sidecar_is_read() {
    let Speeds(speeds) = Speeds::of_sidecar(&report()).expect("it is whole");
    let names: Vec<_> = speeds.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        ["prefill of 512", "decode at 128", "decode at 1024", "8 at once"]
    );
    let values: Vec<_> = speeds.iter().map(|(_, value)| *value).collect();
    assert_eq!(values, [300.0, 60.0, 40.0, 90.0]);
}

#[test]
fn what_is_missing_is_named() {
    for key in ["prefill", "decode", "conversations"] {
        let mut report = report();
        report[key] = Value::Null;
        let error = Speeds::of_sidecar(&report).expect_err("a part is missing");
        assert!(error.to_string().contains("there is no"), "{key}: {error}");
    }
    let error = Speeds::of_llama_cpp(&json!({ "decode": [] }), &[]).expect_err("a part is missing");
    assert_eq!(
        error.to_string(),
        "could not read a program's speeds: there is no \"prefill\""
    );
}

#[test]
fn the_last_line_is_the_answer() {
    assert_eq!(
        parsed("x", "loading\n{\"a\": 1}\n").expect("it is JSON"),
        json!({ "a": 1 })
    );
    let error = parsed("llama.cpp's speeds", "killed\n").expect_err("it is none");
    assert!(
        error.to_string().starts_with("could not read llama.cpp's speeds: "),
        "{error}"
    );
    assert!(parsed("x", "").is_err());
}

#[test]
fn ratios_are_those_of_rounds() {
    let mut comparison = Comparison::new("Q4_1");
    let ours = Speeds::of_sidecar(&report()).expect("it is whole");
    for theirs in [
        [150.0, 60.0, 80.0, 45.0],
        [100.0, 30.0, 40.0, 90.0],
        [300.0, 120.0, 20.0, 30.0],
    ] {
        comparison.add(ours.clone(), speeds(theirs));
    }
    let json = comparison.json();
    assert_eq!(json["format"], "Q4_1");
    let rows = json["rows"].as_array().expect("there are rows");
    let ratios: Vec<_> = rows.iter().map(|row| row["ratio"].as_f64()).collect();
    assert_eq!(ratios, [2.0, 1.0, 1.0, 2.0].map(Some));
    assert_eq!(rows[0]["llamaCpp"], json!([150.0, 100.0, 300.0]));
    assert_eq!(
        (&rows[0]["sidecarMedian"], &rows[0]["llamaCppMedian"]),
        (&json!(300.0), &json!(150.0))
    );
    assert_eq!(
        comparison.table(2),
        "Q4_1, 2 threads, 3 rounds\n\
        \u{20}                      sidecar   llama.cpp     ratio   range\n\
        prefill of 512           300.0       150.0    2.00 ×   1.00 – 3.00\n\
        decode at 128             60.0        60.0    1.00 ×   0.50 – 2.00\n\
        decode at 1024            40.0        40.0    1.00 ×   0.50 – 2.00\n\
        8 at once                 90.0        45.0    2.00 ×   1.00 – 3.00\n"
    );
}

#[test]
fn medians_are_in_the_middle() {
    assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
    assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
    assert!(median(&[]).is_nan());
}

#[test]
fn formats_have_names() {
    for name in ["q4_1", "Q8_0", " q4_0"] {
        let format = Format::parse(name).expect("it is one");
        assert!(format.name().eq_ignore_ascii_case(name.trim()));
    }
    assert_eq!(
        Format::parse("q5_1"),
        Err("\"q5_1\" is none of q4_1, q8_0 and q4_0".to_owned())
    );
    assert_eq!(listed(&[128, 1024]), "128,1024");
}
