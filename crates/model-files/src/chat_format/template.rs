//! Renders a model's Jinja template in a sandbox: limited work, limited memory, and a result that doesn't depend on the
//! time.

use minijinja::{
    Environment, Error, ErrorKind, State, UndefinedBehavior, Value, context,
    syntax::SyntaxConfig,
    value::{ValueKind, from_args},
};

use crate::ModelFileError;

/// Work of one render: an instruction costs one, and so do 64 bytes. The longest templates in use need a few thousand
/// for the seven messages rendered here; this limit takes milliseconds and at most 6 MB.
const FUEL: u64 = 100_000;
/// Bytes of one render; seven markers and the literals of the wordiest template take 20,000.
const MAX_OUTPUT_BYTES: usize = 256 << 10;
/// Nesting depth of macros and blocks; templates in use nest three deep.
const MAX_RECURSION: usize = 32;
/// The name of the only template in an environment.
const NAME: &str = "chat_template";

/// A message to render.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) role: &'static str,
    pub(super) content: &'a str,
}

/// A compiled template.
pub(super) struct Template {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

impl Template {
    pub(super) fn compile(source: &str, bos: &str, eos: &str) -> Result<Self, ModelFileError> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(MAX_RECURSION);
        environment.set_undefined_behavior(UndefinedBehavior::Lenient);
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        // Treats white space around blocks like Hugging Face's own renderer.
        let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
        environment.set_syntax(syntax.map_err(template_error)?);
        environment.set_unknown_method_callback(python_method);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(template_error)?;
        Ok(Self {
            environment,
            bos: bos.to_owned(),
            eos: eos.to_owned(),
        })
    }

    /// Renders a conversation, with or without the prompt for an answer.
    pub(super) fn render(&self, messages: &[Message<'_>], answer_next: bool) -> Result<String, ModelFileError> {
        let messages: Vec<Value> = messages
            .iter()
            .map(|message| context! { role => message.role, content => message.content })
            .collect();
        let context = context! {
            messages,
            add_generation_prompt => answer_next,
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
            tools => (),
            documents => (),
        };
        let template = self.environment.get_template(NAME).map_err(template_error)?;
        let text = template.render(context).map_err(template_error)?;
        if text.len() > MAX_OUTPUT_BYTES {
            let reason = format!(
                "a render of {} bytes is over the limit of {MAX_OUTPUT_BYTES}",
                text.len()
            );
            return Err(ModelFileError::Template { reason });
        }
        Ok(text)
    }
}

fn template_error(error: Error) -> ModelFileError {
    ModelFileError::Template {
        reason: error.to_string(),
    }
}

fn raise_exception(message: &str) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, format!("raised \"{message}\"")))
}

/// Formats the date for a template, always the same one: a prompt must not depend on when it is rendered.
fn strftime_now(format: &str) -> String {
    /// Friday, 26 July 2024, 00:00:00: the day that Llama 3's template falls back to.
    const FIELDS: [(&str, &str); 11] = [
        ("%Y", "2024"),
        ("%m", "07"),
        ("%d", "26"),
        ("%b", "Jul"),
        ("%B", "July"),
        ("%a", "Fri"),
        ("%A", "Friday"),
        ("%H", "00"),
        ("%M", "00"),
        ("%S", "00"),
        ("%y", "24"),
    ];
    FIELDS
        .iter()
        .fold(format.to_owned(), |text, (field, value)| text.replace(field, value))
}

/// Implements the methods of Python's strings and dictionaries that chat templates call.
fn python_method(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    match (value.kind(), method) {
        (ValueKind::Map, "items") => {
            let () = from_args(args)?;
            state.apply_filter("items", std::slice::from_ref(value))
        }
        (ValueKind::Map, "get") => {
            let (key, default): (Value, Option<Value>) = from_args(args)?;
            let found = value.get_item(&key)?;
            Ok(if found.is_undefined() {
                default.unwrap_or(Value::from(()))
            } else {
                found
            })
        }
        (ValueKind::String, _) => string_method(value.as_str().unwrap_or_default(), method, args),
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}

fn string_method(text: &str, method: &str, args: &[Value]) -> Result<Value, Error> {
    let trimmed = |front: bool, back: bool| -> Result<Value, Error> {
        let (set,): (Option<&str>,) = from_args(args)?;
        let drop = |c: char| set.map_or(c.is_whitespace(), |set| set.contains(c));
        let text = if front { text.trim_start_matches(drop) } else { text };
        Ok(Value::from(if back { text.trim_end_matches(drop) } else { text }))
    };
    match method {
        "strip" => trimmed(true, true),
        "lstrip" => trimmed(true, false),
        "rstrip" => trimmed(false, true),
        "startswith" => from_args(args).map(|(prefix,): (&str,)| Value::from(text.starts_with(prefix))),
        "endswith" => from_args(args).map(|(suffix,): (&str,)| Value::from(text.ends_with(suffix))),
        "upper" => from_args(args).map(|()| Value::from(text.to_uppercase())),
        "lower" => from_args(args).map(|()| Value::from(text.to_lowercase())),
        "split" => {
            let (separator,): (Option<&str>,) = from_args(args)?;
            Ok(match separator {
                Some("") => return Err(Error::new(ErrorKind::InvalidOperation, "empty separator")),
                Some(separator) => text.split(separator).map(Value::from).collect(),
                None => text.split_whitespace().map(Value::from).collect(),
            })
        }
        _ => Err(Error::from(ErrorKind::UnknownMethod)),
    }
}
