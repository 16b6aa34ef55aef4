//! Options are in range, or refused by name; they are never clamped.

use crate::{OptionsPatch, Setting};

#[track_caller]
fn check(text: &str, expected: OptionsPatch) {
    assert_eq!(OptionsPatch::parse(text), Ok(expected));
}

#[track_caller]
fn refuse(key: &str, value: &str) {
    let error = OptionsPatch::parse(&format!("{{\"{key}\":{value}}}"))
        .expect_err("the value is wrong")
        .to_string();
    assert!(error.contains(&format!("\"{key}\"")), "{error:?} doesn't name {key}");
    assert!(error.len() < 500, "an error is short: {error:?}");
}

#[test]
fn every_option_has_two_spellings() {
    let all = OptionsPatch {
        temperature: Setting::Value(0.2),
        top_p: Setting::Value(0.9),
        top_k: Setting::Value(40),
        min_p: Setting::Value(0.05),
        repeat_penalty: Setting::Value(1.1),
        seed: Setting::Value(9_007_199_254_740_991),
        max_new_tokens: Setting::Value(8192),
        stop: Setting::Value(vec!["\n\n".to_owned()]),
        sink_tokens: Setting::Value(0),
        window_tokens: Setting::Value(131_072),
        model: Setting::Value("ollama:llama3.2".to_owned()),
    };
    let camel = r#"{"temperature":0.2,"topP":0.9,"topK":40,"minP":0.05,"repeatPenalty":1.1,"seed":9007199254740991,"maxNewTokens":8192,"stop":["\n\n"],"sinkTokens":0,"windowTokens":131072,"model":"ollama:llama3.2"}"#;
    let snake = r#"{"temperature":0.2,"top_p":0.9,"top_k":40,"min_p":0.05,"repeat_penalty":1.1,"seed":9007199254740991,"max_new_tokens":8192,"stop":["\n\n"],"sink_tokens":0,"window_tokens":131072,"model":"ollama:llama3.2"}"#;
    check(camel, all.clone());
    check(snake, all.clone());
    assert_eq!(serde_json::to_string(&all).expect("options can be written"), camel);
}

#[test]
fn null_sets_the_default() {
    let patch = OptionsPatch {
        temperature: Setting::Default,
        ..OptionsPatch::default()
    };
    check(r#"{"temperature":null}"#, patch);
    check("{}", OptionsPatch::default());
}

#[test]
fn layers_are_merged_key_by_key() {
    let agent = OptionsPatch::parse(r#"{"temperature":1,"topK":5,"maxNewTokens":9}"#).expect("in range");
    let hello = OptionsPatch::parse(r#"{"temperature":2,"topK":null}"#).expect("in range");
    let message = OptionsPatch::parse(r#"{"temperature":3}"#).expect("in range");
    let merged = message.over(hello).over(agent);
    let expected = OptionsPatch::parse(r#"{"temperature":3,"topK":null,"maxNewTokens":9}"#).expect("in range");
    assert_eq!(merged, expected);
    assert_eq!(merged.top_k.unwrap_or(7), 7);
}

#[test]
fn wrong_values_are_refused_by_name() {
    for (camel, snake) in [
        ("topP", "top_p"),
        ("topK", "top_k"),
        ("minP", "min_p"),
        ("repeatPenalty", "repeat_penalty"),
        ("maxNewTokens", "max_new_tokens"),
        ("sinkTokens", "sink_tokens"),
        ("windowTokens", "window_tokens"),
        ("temperature", "temperature"),
        ("seed", "seed"),
    ] {
        for value in [
            "-1", "-0.5", "\"5\"", "true", "false", "[]", "{}", "1e308", "1e999", "-1e999", "NaN", "Infinity", "01",
            "+1",
        ] {
            refuse(camel, value);
            refuse(snake, value);
        }
    }
}

#[test]
fn caps_are_exact() {
    for (key, most, over) in [
        ("temperature", "10", "10.001"),
        ("topP", "1", "1.001"),
        ("topK", "1000000", "1000001"),
        ("minP", "0.999", "1"),
        ("repeatPenalty", "10", "10.001"),
        ("seed", "9007199254740991", "9007199254740992"),
        ("maxNewTokens", "8192", "8193"),
        ("sinkTokens", "131072", "131073"),
        ("windowTokens", "131072", "2147483648"),
    ] {
        assert!(
            OptionsPatch::parse(&format!("{{\"{key}\":{most}}}")).is_ok(),
            "{key} may be {most}"
        );
        refuse(key, over);
    }
    for (key, value) in [
        ("topP", "0"),
        ("repeatPenalty", "0"),
        ("maxNewTokens", "0"),
        ("windowTokens", "0"),
        ("maxNewTokens", "1.5"),
    ] {
        refuse(key, value);
    }
}

#[test]
fn stop_strings_are_bounded() {
    let list = |count: usize, text: &str| format!("[{}]", vec![format!("\"{text}\""); count].join(","));
    assert!(OptionsPatch::parse(&format!("{{\"stop\":{}}}", list(16, &"x".repeat(256)))).is_ok());
    assert!(OptionsPatch::parse(r#"{"stop":[]}"#).is_ok());
    for value in [
        list(17, "x"),
        list(10_000, "x"),
        list(1, ""),
        list(1, &"x".repeat(257)),
        list(1, &"é".repeat(129)),
        list(1, &"x".repeat(1 << 20)),
        "\"x\"".to_owned(),
        "[1]".to_owned(),
        r#"["\ud800"]"#.to_owned(),
    ] {
        refuse("stop", &value);
    }
}

#[test]
fn unknown_options_are_refused_by_name() {
    for key in ["max_tokens", "Temperature", "", "__proto__", "constructor"] {
        refuse(key, "1");
    }
    refuse("temperature", "1,\"temperature\":1");
}

/// `f32` has no number between these and their bound.
#[test]
fn numbers_next_to_a_bound_stay_within_it() {
    let read = |text: &str| OptionsPatch::parse(text).expect("it is in range");
    let top_p = read(r#"{"topP":1e-300}"#).top_p.unwrap_or(0.0);
    assert!(top_p > 0.0, "{top_p}");
    let min_p = read(r#"{"minP":0.9999999999999}"#).min_p.unwrap_or(1.0);
    assert!(min_p < 1.0, "{min_p}");
    refuse("topP", "1.0000000001");
    refuse("temperature", "10.0000000001");
    refuse("repeatPenalty", "0.0999999999999");
}

#[test]
fn a_whole_number_may_have_a_zero_fraction() {
    let patch = OptionsPatch {
        top_k: Setting::Value(40),
        seed: Setting::Value(7),
        ..OptionsPatch::default()
    };
    check(r#"{"topK":40.0,"seed":7e0}"#, patch);
    refuse("topK", "40.5");
    refuse("seed", "-1.0");
    refuse("maxNewTokens", "1e300");
}
