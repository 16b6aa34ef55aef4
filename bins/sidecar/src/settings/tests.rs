use std::collections::HashMap;
use std::path::Path;

use expect_test::{Expect, expect};

use super::{EnvFile, Loaded, RelayChoice, Settings, resolve_model};

fn load(file: &str, environment: &[(&str, &str)]) -> Result<Loaded, String> {
    let environment: HashMap<String, String> = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let file = EnvFile::parse(Path::new(".env.sidecar"), file).map_err(|error| error.to_string())?;
    Settings::from_sources(Some(file), Some(environment)).map_err(|error| error.to_string())
}

/// Compares the settings of a file and an environment: those that differ from the defaults, and warnings, or the error.
#[track_caller]
fn check(file: &str, environment: &[(&str, &str)], expected: Expect) {
    let shown = match load(file, environment) {
        Err(error) => format!("error: {error}"),
        Ok(Loaded { settings, warnings }) => {
            let defaults = format!("{:#?}", load("", &[]).expect("the defaults are valid").settings);
            let settings = format!("{settings:#?}");
            let changed = settings
                .lines()
                .zip(defaults.lines())
                .filter(|(now, before)| now != before);
            let changed = changed.map(|(now, _)| now.trim().trim_end_matches(',').to_owned());
            changed.chain(warnings).collect::<Vec<_>>().join("\n")
        }
    };
    expected.assert_eq(&shown);
}

#[test]
fn the_defaults_are_the_documented_ones() {
    let settings = load("", &[]).expect("the defaults are valid").settings;
    expect![[r#"
        Settings {
            model: "smollm2-135m-instruct",
            models: [],
            streaming: true,
            start_size: 4,
            recent_size: 2048,
            agents_dir: ".agents",
            max_new_tokens: 512,
            ollama_url: "http://localhost:11434",
            openai_url: None,
            openai_key: None,
            remote_context_tokens: 8192,
            host: "localhost",
            port: 8000,
            log_dir: "./data/logs",
            summary_dir: "./data/summaries",
            data_dir: "./data",
            kv_budget_mb: 1024,
            kv_disk_mb: 2048,
            device: Auto,
            precision: Auto,
            quantise: Auto,
            threads: None,
            api_key: None,
            allow_insecure: false,
            allowed_origins: [],
            rate_per_minute: None,
            drain: 20s,
            relay: Chat,
            narrator: NarratorSettings {
                relay_limit: 45s,
                summary_refresh: 5,
                clock: Clock,
            },
            limits: Limits {
                frame_bytes: 1048576,
                message_bytes: 262144,
                body_bytes: 1048576,
                conversations_per_socket: 64,
                waiting_turns: 8,
                outbound_frames: 256,
                outbound_bytes: 1048576,
                hello_timeout_ms: 10000,
                write_stall_ms: 30000,
                stop_strings: 16,
                stop_string_bytes: 256,
                max_new_tokens: 8192,
            },
            http: HttpLimits {
                head: 10s,
                body: 30s,
                idle: 75s,
                stall: 60s,
                disconnect: 2s,
                connections: 18432,
            },
            ping_period: 30s,
        }
    "#]]
    .assert_debug_eq(&settings);
}

#[test]
fn files_may_have_comments_quotes_exports_and_foreign_line_ends() {
    check(
        "\u{feff}# a file\r\n\r\nexport STREAMING_LLM_PORT=9000 # ours\r\n",
        &[],
        expect!["port: 9000"],
    );
    check("STREAMING_LLM_MODEL = a#b\t# c", &[], expect![[r#"model: "a#b""#]]);
    check(
        "STREAMING_LLM_MODEL=\"a # \\\"b\\\"\" # c",
        &[],
        expect![[r#"model: "a # \"b\"""#]],
    );
    check(
        "STREAMING_LLM_MODEL=\"C:\\models\\tiny.gguf\"",
        &[],
        expect![[r#"model: "C:\\models\\tiny.gguf""#]],
    );
    check("STREAMING_LLM_MODEL='a \\b'", &[], expect![[r#"model: "a \\b""#]]);
    check("STREAMING_LLM_PORT=# none\nOTHER=x y z", &[], expect![""]);
    check("STREAMING_LLM_PORT=1\nSTREAMING_LLM_PORT=2", &[], expect!["port: 2"]);
}

#[test]
fn malformed_lines_are_named() {
    check("\nPORT 8", &[], expect!["error: .env.sidecar:2: expected NAME=value"]);
    check(
        "A B=8",
        &[],
        expect!["error: .env.sidecar:1: a name has only letters, digits and underscores"],
    );
    check(
        "=8",
        &[],
        expect!["error: .env.sidecar:1: a name has only letters, digits and underscores"],
    );
    check(
        "A='8",
        &[],
        expect!["error: .env.sidecar:1: the closing quote is missing"],
    );
    check(
        "A=\"8\\",
        &[],
        expect!["error: .env.sidecar:1: the closing quote is missing"],
    );
    check(
        "A='8' 9",
        &[],
        expect!["error: .env.sidecar:1: text after the closing quote"],
    );
}

#[test]
fn the_environment_overrides_the_file_unless_it_is_empty() {
    check(
        "STREAMING_LLM_PORT=1",
        &[("STREAMING_LLM_PORT", "2")],
        expect!["port: 2"],
    );
    check(
        "STREAMING_LLM_PORT=1",
        &[("STREAMING_LLM_PORT", "")],
        expect!["port: 1"],
    );
    let environment = HashMap::from([("STREAMING_LLM_API_KEY".to_owned(), "secret".to_owned())]);
    let settings = Settings::from_sources(None, Some(environment))
        .expect("the key is valid")
        .settings;
    let key = settings.api_key.expect("a key is set");
    assert_eq!((key.expose(), format!("{key:?}").as_str()), ("secret", "ApiKey(…)"));
}

#[test]
fn bad_values_are_named_with_their_source() {
    let environment = |name, value| [(name, value)];
    check(
        "STREAMING_LLM_PORT=70000",
        &[],
        expect![[
            r#"error: STREAMING_LLM_PORT="70000" (from .env.sidecar:1): expected a whole number from 0 to 65535"#
        ]],
    );
    check(
        "",
        &environment("STREAMING_LLM_ENABLE", "maybe"),
        expect![[r#"error: STREAMING_LLM_ENABLE="maybe" (from the environment): expected 1 or 0"#]],
    );
    check(
        "",
        &environment("STREAMING_LLM_START_SIZE", "0"),
        expect![[
            r#"error: STREAMING_LLM_START_SIZE="0" (from the environment): expected a whole number from 1 to 1048576"#
        ]],
    );
    check(
        "",
        &environment("STREAMING_LLM_RECENT_SIZE", "0"),
        expect![[
            r#"error: STREAMING_LLM_RECENT_SIZE="0" (from the environment): expected a whole number from 1 to 16777216"#
        ]],
    );
    check(
        "",
        &environment("STREAMING_LLM_DEVICE", "tpu"),
        expect![[r#"error: STREAMING_LLM_DEVICE="tpu" (from the environment): expected one of auto, cpu, gpu"#]],
    );
    check(
        "",
        &environment("STREAMING_LLM_PRECISION", "f16"),
        expect![[r#"error: STREAMING_LLM_PRECISION="f16" (from the environment): expected one of auto, f32"#]],
    );
    check(
        "",
        &environment("STREAMING_LLM_QUANTISE", "q5_0"),
        expect![[
            r#"error: STREAMING_LLM_QUANTISE="q5_0" (from the environment): expected one of auto, off, q8_0, q4_0"#
        ]],
    );
    check(
        "",
        &environment("STREAMING_LLM_OLLAMA_URL", "localhost"),
        expect![[
            r#"error: STREAMING_LLM_OLLAMA_URL="localhost" (from the environment): expected an http:// or https:// address"#
        ]],
    );
    check(
        "",
        &environment("STREAMING_LLM_API_KEY", "a b"),
        expect![[
            r#"error: STREAMING_LLM_API_KEY="(hidden)" (from the environment): expected printable ASCII without spaces"#
        ]],
    );
}

#[test]
fn origins_rate_and_drain_are_checked() {
    let environment = |name, value| [(name, value)];
    check(
        "",
        &environment("STREAMING_LLM_ALLOWED_ORIGINS", "https://a.example, *"),
        expect![[
            r#"error: STREAMING_LLM_ALLOWED_ORIGINS="https://a.example, *" (from the environment): * would let every page in: name each origin"#
        ]],
    );
    check(
        "",
        &environment("STREAMING_LLM_RATE_PER_MINUTE", "many"),
        expect![[
            r#"error: STREAMING_LLM_RATE_PER_MINUTE="many" (from the environment): expected a whole number from 0 to 1000000"#
        ]],
    );
    check(
        "",
        &environment("STREAMING_LLM_DRAIN_SECONDS", "-1"),
        expect![[
            r#"error: STREAMING_LLM_DRAIN_SECONDS="-1" (from the environment): expected a whole number from 0 to 3600"#
        ]],
    );
    check("STREAMING_LLM_DRAIN_SECONDS=0", &[], expect!["drain: 0ns"]);
}

#[test]
fn a_relay_is_chat_a_script_or_an_address() {
    let relay = |value| {
        let loaded = load("", &[("STREAMING_LLM_RELAY", value)]);
        loaded.expect("it is a relay").settings.relay
    };
    assert_eq!(relay("Chat"), RelayChoice::Chat);
    assert_eq!(relay(""), RelayChoice::Chat);
    assert_eq!(relay("fake:a b.json"), RelayChoice::Fake("a b.json".into()));
    assert_eq!(relay("https://host/x"), RelayChoice::Http("https://host/x".to_owned()));
    check(
        "STREAMING_LLM_RELAY=fax:1",
        &[],
        expect![[
            r#"error: STREAMING_LLM_RELAY="fax:1" (from .env.sidecar:1): expected chat, fake:FILE, or an http:// or https:// address"#
        ]],
    );
    check("STREAMING_LLM_SUMMARY_REFRESH=7", &[], expect!["summary_refresh: 7"]);
    check(
        "STREAMING_LLM_SUMMARY_REFRESH=0",
        &[],
        expect![[
            r#"error: STREAMING_LLM_SUMMARY_REFRESH="0" (from .env.sidecar:1): expected a whole number from 1 to 100"#
        ]],
    );
}

#[test]
fn unknown_names_are_warnings() {
    check(
        "STREAMING_LLM_PROT=1\nSTREAMINGS=2",
        &[("STREAMING_LLM_MODLE", "x"), ("PATH", "y")],
        expect![[r#"
            unknown setting STREAMING_LLM_MODLE (from the environment) is ignored
            unknown setting STREAMING_LLM_PROT (from .env.sidecar:1) is ignored"#]],
    );
}

#[test]
fn the_example_file_is_valid_and_means_the_defaults() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.env.sidecar.example");
    let text = std::fs::read_to_string(path).expect("the example is in the repository's root");
    check(&text, &[], expect![""]);
}

#[test]
fn models_are_found_by_path_or_name() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let models = folder.path().join("models");
    std::fs::create_dir_all(models.join("a-folder")).expect("a folder can be made");
    std::fs::write(models.join("tiny.gguf"), "").expect("a file can be written");
    let shown = |model: &str| {
        let found = resolve_model(model, std::slice::from_ref(&models))
            .map(|path| path.display().to_string())
            .map_err(|error| error.to_string());
        found
            .unwrap_or_else(|error| error)
            .replace(&folder.path().display().to_string(), "~")
    };
    let path = models.join("tiny.gguf").display().to_string();
    let asked = [
        "tiny",
        "a-folder",
        &path,
        "tiny.gguf",
        "huge",
        "./huge",
        "..",
        "llama3.2:1b",
        "ollama:x/y",
        "openai:gpt",
    ];
    expect![[r#"
        ~/models/tiny.gguf
        ~/models/a-folder
        ~/models/tiny.gguf
        ~/models/tiny.gguf
        model "huge" not found: it is neither a path nor a name in ~/models, where there is: a-folder, tiny
        model "./huge" not found: it is neither a path nor a name in ~/models, where there is: a-folder, tiny
        model ".." not found: it is neither a path nor a name in ~/models, where there is: a-folder, tiny
        model "llama3.2:1b" is one of the ollama driver, and a local model is needed here
        model "ollama:x/y" is one of the ollama driver, and a local model is needed here
        model "openai:gpt" is one of the openai driver, and a local model is needed here"#]]
    .assert_eq(&asked.map(shown).join("\n"));
}
