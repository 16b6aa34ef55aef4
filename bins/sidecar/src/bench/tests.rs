//! Plans, refusals, statistics and output formats. No test here depends on how fast anything is.

use clap::Parser;
use expect_test::{Expect, expect};
use serde_json::json;

use super::arguments::{BenchArguments, NumberList, numbers};
use super::bandwidth::{self, Bandwidth};
use super::plan::Plan;
use super::policy::streaming_policy;
use super::report::{Concurrency, Decode, FirstToken, FlatCost, Load, Prefill, Recompute, Report, Stream, TokenParts};
use super::sample::Sample;
use super::{prompts, svg};

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    bench: BenchArguments,
}

fn plan(arguments: &[&str]) -> Result<Plan, String> {
    let cli = Cli::try_parse_from([&["bench"], arguments].concat()).expect("clap takes them");
    Plan::new(&cli.bench).map_err(|error| error.to_string())
}

#[track_caller]
fn check_refused(arguments: &[&str], expected: Expect) {
    expected.assert_eq(&plan(arguments).expect_err("it makes no sense"));
}

fn sample(values: &[f64]) -> Sample {
    Sample(values.to_vec())
}

/// Returns a report with every part in it.
fn report() -> Report {
    Report {
        model: "a<b>.gguf".to_owned(),
        model_bytes: Some(98_362_432),
        device: "CPU, 2 threads".to_owned(),
        weights: "Q4_1 63 MiB, Q8_0 29 MiB".to_owned(),
        threads: Some(2),
        view: Some((4, 2_048)),
        load: Some(Load {
            ready_ms: 612.4,
            loaded_bytes: Some(120 << 20),
            serving_bytes: None,
        }),
        bandwidth: Some(Bandwidth {
            threads: 2,
            bytes: 1 << 30,
            runs: sample(&[18e9, 20e9, 19e9]),
        }),
        prefill: Some(Prefill {
            prompt: vec![7; 512],
            ms: sample(&[1_024.0, 2_048.0, 1_280.0]),
        }),
        decode: vec![Decode {
            prompt: vec![7; 128],
            tokens: 128,
            token_ms: sample(&[10.0, 12.5, 8.0]),
            read_bytes: 100_000_000,
        }],
        conversations: vec![Concurrency {
            count: 2,
            prompts: vec![vec![7; 3], vec![8; 3]],
            answer_tokens: 256,
            seconds: sample(&[2.0]),
        }],
        first_token: Some(FirstToken {
            new_ms: sample(&[90.0]),
            second_ms: sample(&[80.0, 100.0]),
            late_turn: 50,
            late_ms: sample(&[88.0, 100.0]),
        }),
        recompute: Some(Recompute {
            seen_tokens: 1_024,
            streamed_ms: sample(&[10.0]),
            recomputed_ms: sample(&[2_000.0]),
        }),
        token_parts: Some(TokenParts {
            context: 1_024,
            layers_ms: sample(&[5.0]),
            output_ms: sample(&[2.0]),
            cache_ms: sample(&[1.5]),
        }),
        flat_cost: Some(FlatCost {
            position: 1_000_000,
            window_tokens: 252,
            full_ms: sample(&[10.0, 10.0]),
            far_ms: sample(&[10.1, 10.3]),
        }),
        stream: Some(Stream {
            tokens: 10_000,
            window_tokens: 252,
            block_ms: Sample((0..20).map(|block| if block < 2 { 10.0 } else { 11.0 }).collect()),
            growth_bytes: Some(-4_096),
        }),
    }
}

#[test]
fn without_parts_the_default_ones_are_measured() {
    let plan = plan(&[]).expect("it makes sense");
    assert!(plan.load && plan.prefill == Some(512));
    assert_eq!(
        (plan.decode.as_slice(), plan.conversations.as_slice()),
        (&[128, 1_024][..], &[1, 2, 4, 8][..])
    );
    let longer = [
        plan.memory,
        plan.stream,
        plan.recompute,
        plan.flat_cost,
        plan.token_parts,
    ];
    assert!(longer.iter().all(Option::is_none) && plan.first_token.is_none());
}

#[test]
fn a_part_is_measured_alone() {
    let alone = plan(&["--decode", "--memory=2"]).expect("it makes sense");
    assert_eq!(
        (alone.decode.as_slice(), alone.memory),
        (&[128, 1_024][..], Some(2 << 20))
    );
    assert!(!alone.load && alone.prefill.is_none() && alone.conversations.is_empty());
    assert!(!alone.needs_engine() && alone.needs_model());
    let load = plan(&["--load"]).expect("it makes sense");
    assert!(load.needs_engine() && !load.needs_model());
}

#[test]
fn all_means_every_part_and_a_part_keeps_its_number() {
    let plan = plan(&["--all", "--decode=5", "--first-token=9"]).expect("it makes sense");
    assert!(plan.load && plan.decode == [5] && plan.first_token == Some(9));
    let rest = [
        plan.memory,
        plan.prefill,
        plan.stream,
        plan.recompute,
        plan.flat_cost,
        plan.token_parts,
    ];
    assert_eq!(rest, [1 << 30, 512, 10_000, 1_024, 20, 1_024].map(Some));
}

#[test]
fn invalid_arguments_are_named() {
    check_refused(&["--decode=128,0"], expect!["--decode has a 0, but must be at least 1"]);
    check_refused(&["--repeat=0"], expect!["--repeat has a 0, but must be at least 1"]);
    check_refused(&["--stream=0"], expect!["--stream has a 0, but must be at least 1"]);
    check_refused(&["--conversations=65"], expect!["--conversations 65 is more than 64"]);
    check_refused(
        &["--first-token=2"],
        expect!["--first-token 2 is no turn after the second, with which it is compared"],
    );
    check_refused(
        &["--recompute=4"],
        expect!["--recompute 4 leaves no window behind the sinks"],
    );
    check_refused(
        &["--memory=99999999"],
        expect!["--memory 99999999 is more than 65536 MiB"],
    );
    check_refused(
        &["--tokens=nowhere.bin"],
        expect!["cannot read token ids from nowhere.bin: No such file or directory (os error 2)"],
    );
    let refused = streaming_policy(4, 508, 512).expect_err("the token that looks needs a place");
    expect!["4 sinks and a window of 508 tokens don't fit a model trained for 512 tokens"]
        .assert_eq(&refused.to_string());
    assert!(streaming_policy(4, 507, 512).is_ok());
}

#[test]
fn lists_are_numbers_and_commas() {
    assert_eq!(numbers("1, 2,8"), Ok(NumberList(vec![1, 2, 8])));
    let refused = numbers("128,-1").expect_err("it is negative");
    assert_eq!(refused, "\"-1\" is no whole number; expected for example 128,1024");
    assert!(Cli::try_parse_from(["bench", "--ids"]).is_err(), "ids go into the JSON");
}

#[test]
fn ids_are_given_or_generated() {
    assert_eq!(prompts::ids(&[5, 6], 5, 10), [5, 6, 5, 6, 5]);
    let made = prompts::ids(&[], 300, 49_152);
    assert!(made.iter().all(|&id| id < 49_152) && made.len() == 300);
}

#[test]
fn a_sample_has_a_median_and_a_range() {
    let odd = sample(&[3.0, 1.0, 2.0]);
    assert_eq!((odd.median(), odd.min(), odd.max()), (2.0, 1.0, 3.0));
    assert_eq!(sample(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
    assert!(Sample::default().median().is_nan());
    assert_eq!(odd.over(&sample(&[1.0, 2.0, 4.0])), sample(&[3.0, 0.5, 0.5]));
}

#[test]
fn all_of_the_memory_is_read() {
    let read = bandwidth::measure(4_096, Some(3)).expect("there is a page");
    assert_eq!((read.threads, read.bytes, read.runs.0.len()), (3, 4_096, 5));
    assert!(read.best() > 0.0);
}

#[test]
fn the_report_is_a_table_for_people() {
    expect![[r#"
        a<b>.gguf, 98 MB, as Q4_1 63 MiB, Q8_0 29 MiB, CPU, 2 threads, 4 + 2048 tokens in view

        ready after                               612 ms
        memory, loaded                            120.0 MiB
        memory, 2 threads over 1024 MiB           20.0 GB/s         18.0 – 20.0
        prefill of 512 tokens                     400 tok/s         250 – 500
        decode at 128                             100 tok/s         80.0 – 125   50 % of the memory limit
        2 conversations                           128 tok/s in all               3 in, 128 out
        first token, new conversation             90.0 ms
        first token, turn 2                       90.0 ms           80.0 – 100
        first token, turn 50                      94.0 ms           88.0 – 100
        turn 50 against turn 2                    1.05 ×            1.00 – 1.10
        a streamed token that sees 1024           10.0 ms
        reading 1024 anew                         2000 ms
        recomputing against streaming             200 ×
        of a token: layers                        5.00 ms
        of a token: output                        2.00 ms
        of a token: the cache of 1024             1.50 ms
        a token at 1,000,000 against a young one  1.020 ×           1.01 – 1.03  window of 252, 2 pairs
        a stream of 10,000 tokens                 90.9 tok/s        90.9 – 100   window of 252
        its last tenth against its first          1.100 ×
        memory that it added                      0.0 MiB
    "#]]
    .assert_eq(&report().table());
}

#[test]
fn the_report_is_json_for_programs() {
    let json = report().json(true);
    let keys: Vec<_> = json
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys.len(), 16, "{keys:?}");
    assert_eq!(json["model"], json!({ "name": "a<b>.gguf", "bytes": 98_362_432 }));
    assert_eq!(json["view"], json!({ "sinks": 4, "window": 2_048 }));
    assert_eq!(
        json["load"],
        json!({ "readyMs": 612.4, "loadedBytes": 120 << 20, "servingBytes": null })
    );
    assert_eq!(json["memory"]["bytesPerSecond"], 20e9);
    assert_eq!(json["prefill"]["tokensPerSecond"], 400.0);
    assert_eq!(json["prefill"]["prompt"].as_array().map(Vec::len), Some(512));
    assert_eq!(json["decode"][0]["context"], 128);
    assert_eq!(json["decode"][0]["shareOfMemoryLimit"], 0.5);
    assert_eq!(json["conversations"][0]["prompts"], json!([[7, 7, 7], [8, 8, 8]]));
    assert_eq!(json["conversations"][0]["tokensPerSecond"], 128.0);
    assert_eq!(json["recompute"]["recomputedOverStreamed"]["median"], 200.0);
    assert_eq!(json["stream"]["growthBytes"], -4_096);
    let without_ids = report().json(false);
    assert!(without_ids["prefill"].get("prompt").is_none());
    assert!(without_ids["conversations"][0].get("prompts").is_none());
}

#[test]
fn skipped_parts_are_not_shown() {
    let report = Report {
        model: "m".to_owned(),
        ..Report::default()
    };
    assert_eq!(report.table(), "m, dense cache\n\n");
    let json = report.json(true);
    let keys: Vec<_> = json
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(keys, ["device", "model", "threads", "version", "view", "weights"]);
}

#[test]
fn the_chart_has_a_bar_for_each_speed() {
    let chart = svg::render(&report());
    assert!(chart.starts_with("<svg ") && chart.ends_with("</svg>\n"));
    assert_eq!(chart.matches("<rect x=").count(), 3);
    assert_eq!(chart.matches("<polyline ").count(), 1);
    assert!(
        chart.contains(">a&lt;b>.gguf<") && chart.contains(">400 tok/s<"),
        "{chart}"
    );
    assert!(!svg::render(&Report::default()).contains("NaN"));
}
