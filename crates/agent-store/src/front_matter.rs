//! The front matter: parses YAML into checked fields, and renders it without losing unknown keys.

use serde_json::{Map, Value as Json};
use serde_norway::{Mapping, Value as Yaml};

use crate::{Draft, FileProblem, agent::Behaviour, budget};

/// The most bytes of front matter with its aliases expanded: the file's own limit, and as much again for small values.
const MAX_EXPANDED_BYTES: usize = 2 << 20;

/// The most models of one agent: they are tried one after the other while a client waits.
const MAX_MODELS: usize = 8;

/// The keys that a draft writes.
const OWN_KEYS: [&str; 3] = ["id", "name", "system_prompt"];

/// The checked fields of an agent's front matter.
#[derive(Debug)]
pub(crate) struct FrontMatter {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) system_prompt: String,
    pub(crate) behaviour: Behaviour,
}

impl FrontMatter {
    /// Parses the text between the two `---` lines.
    pub(crate) fn parse(text: &str) -> Result<Self, FileProblem> {
        let mapping = parse_mapping(text)?;
        let text_of = |key: &'static str| match mapping.get(key) {
            None => Ok(None),
            Some(Yaml::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(FileProblem::NotText { key }),
        };
        let needed = |key| text_of(key)?.ok_or(FileProblem::MissingKey { key });
        let (id, name, system_prompt) = (text_of("id")?, needed("name")?, needed("system_prompt")?);
        if name.trim().is_empty() {
            return Err(FileProblem::BlankName);
        }
        let options = match mapping.get("options") {
            None | Some(Yaml::Null) => Map::new(),
            Some(Yaml::Mapping(options)) => json_object(options, "options")?,
            Some(_) => {
                return Err(FileProblem::Option {
                    path: "options".into(),
                    expected: "a mapping",
                });
            }
        };
        Ok(Self {
            id,
            name,
            system_prompt,
            behaviour: Behaviour {
                options,
                models: models(mapping.get("model"))?,
                tools: tools(mapping.get("tools"))?,
            },
        })
    }
}

/// Reads `model`: one name, or a list of names.
fn models(value: Option<&Yaml>) -> Result<Vec<String>, FileProblem> {
    let expected = "a model's name, or a list of 1 to 8 of them";
    let name = |value: &Yaml| match value.as_str().map(str::trim) {
        Some(name) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(expected_value("model", expected)),
    };
    match value {
        None | Some(Yaml::Null) => Ok(Vec::new()),
        Some(Yaml::Sequence(names)) if (1..=MAX_MODELS).contains(&names.len()) => names.iter().map(name).collect(),
        Some(Yaml::Sequence(_)) => Err(expected_value("model", expected)),
        Some(value) => Ok(vec![name(value)?]),
    }
}

fn tools(value: Option<&Yaml>) -> Result<Vec<Json>, FileProblem> {
    match value {
        None | Some(Yaml::Null) => Ok(Vec::new()),
        Some(list @ Yaml::Sequence(_)) => match json(list, "tools")? {
            Json::Array(tools) => Ok(tools),
            _ => Err(expected_value("tools", "a list")),
        },
        Some(_) => Err(expected_value("tools", "a list")),
    }
}

/// Renders a draft's front matter. Every other key of `before`, the text that it replaces, is kept.
pub(crate) fn render(draft: &Draft, before: Option<&str>) -> Result<String, FileProblem> {
    let mut mapping = own_mapping(draft);
    let own = serde_norway::to_string(&mapping).map_err(FileProblem::Yaml)?;
    let Some(before) = before else { return Ok(own) };
    let rest = parse_mapping(before)?.into_iter().filter(|(key, _)| !is_own(key));
    mapping.extend(rest);
    // Other keys are copied as text, with their comments and the notation of their numbers. If lines alone don't
    // separate the keys (quoted keys, anchors), the text doesn't read back as the same mapping, and the values are
    // serialised instead.
    let copied = own + &lines_of_other_keys(before);
    match parse_mapping(&copied) {
        Ok(read_back) if read_back == mapping => Ok(copied),
        _ => serde_norway::to_string(&mapping).map_err(FileProblem::Yaml),
    }
}

/// Returns the keys that a draft doesn't write, with their values.
#[cfg(feature = "fuzz")]
pub(crate) fn other_keys(text: &str) -> Option<Mapping> {
    let mapping = parse_mapping(text).ok()?;
    Some(mapping.into_iter().filter(|(key, _)| !is_own(key)).collect())
}

fn parse_mapping(text: &str) -> Result<Mapping, FileProblem> {
    if let Some(limit) = budget::too_many_brackets(text) {
        return Err(FileProblem::TooManyBrackets { limit });
    }
    if !budget::fits(text, MAX_EXPANDED_BYTES).map_err(FileProblem::Yaml)? {
        return Err(FileProblem::Expands {
            limit: MAX_EXPANDED_BYTES,
        });
    }
    match serde_norway::from_str(text).map_err(FileProblem::Yaml)? {
        Yaml::Mapping(mapping) => Ok(mapping),
        Yaml::Null => Ok(Mapping::new()),
        _ => Err(FileProblem::NotAMapping),
    }
}

fn own_mapping(draft: &Draft) -> Mapping {
    let values = [draft.id.as_str(), &draft.name, &draft.system_prompt];
    OWN_KEYS
        .into_iter()
        .zip(values)
        .map(|(key, value)| (key.into(), value.into()))
        .collect()
}

fn is_own(key: &Yaml) -> bool {
    key.as_str().is_some_and(|key| OWN_KEYS.contains(&key))
}

/// Returns the lines that don't belong to `id`, `name` or `system_prompt`.
fn lines_of_other_keys(text: &str) -> String {
    let mut own = false;
    let mut kept = String::new();
    for line in text.split_inclusive('\n') {
        // A dash begins an item of a list only with space after it; otherwise it belongs to a key.
        let is_item = line
            .strip_prefix('-')
            .is_some_and(|rest| rest.trim_start() != rest || rest.is_empty());
        let starts_a_key = !is_item && !line.starts_with([' ', '\t', '\r', '\n', '#']);
        if starts_a_key {
            own = OWN_KEYS.into_iter().any(|key| {
                line.strip_prefix(key)
                    .is_some_and(|rest| rest.trim_start().starts_with(':'))
            });
        }
        // A comment at the left margin can't be inside a value.
        if !own || line.starts_with('#') {
            // A leading empty line would follow the draft's own keys, and count as theirs at the next write.
            if kept.is_empty() && line.trim().is_empty() {
                continue;
            }
            kept.push_str(line);
        }
    }
    if !kept.is_empty() && !kept.ends_with('\n') {
        kept.push('\n');
    }
    kept
}

fn json_object(mapping: &Mapping, path: &str) -> Result<Map<String, Json>, FileProblem> {
    let entry = |(key, value): (&Yaml, &Yaml)| {
        let key = key
            .as_str()
            .ok_or_else(|| expected_value(path, "a mapping with text keys only"))?;
        Ok((key.to_owned(), json(value, &format!("{path}.{key}"))?))
    };
    mapping.iter().map(entry).collect()
}

/// Converts a value to JSON. NaN and infinity are refused: JSON has neither, and `null` means something else.
fn json(yaml: &Yaml, path: &str) -> Result<Json, FileProblem> {
    Ok(match yaml {
        Yaml::Null => Json::Null,
        Yaml::Bool(value) => Json::Bool(*value),
        Yaml::String(text) => Json::String(text.clone()),
        Yaml::Number(number) => {
            let whole = number
                .as_u64()
                .map(Json::from)
                .or_else(|| number.as_i64().map(Json::from));
            let finite = || number.as_f64().and_then(serde_json::Number::from_f64).map(Json::Number);
            whole
                .or_else(finite)
                .ok_or_else(|| expected_value(path, "a finite number"))?
        }
        Yaml::Sequence(values) => {
            let value = |(index, value)| json(value, &format!("{path}[{index}]"));
            Json::Array(values.iter().enumerate().map(value).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(mapping) => Json::Object(json_object(mapping, path)?),
        Yaml::Tagged(_) => return Err(expected_value(path, "a plain value")),
    })
}

fn expected_value(path: &str, expected: &'static str) -> FileProblem {
    FileProblem::Option {
        path: path.chars().take(200).collect(),
        expected,
    }
}
