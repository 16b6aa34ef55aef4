//! Converts text without control tokens to ids: normalises, splits into words, merges.

use tokenizers::{
    Model, ModelWrapper, Normalizer, NormalizerWrapper, PreTokenizedString, PreTokenizer, PreTokenizerWrapper,
    normalizers::Sequence as NormalizerSequence, pre_tokenizers::metaspace::PrependScheme,
};

use crate::ModelFileError;

/// The position of a text; tokenizers that put a space before a text do so only at some of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextPosition {
    /// At the start of the prompt.
    Start,
    /// After a control token.
    AfterControl,
    /// Anywhere else.
    Within,
}

/// The steps for each position.
pub(super) struct Pipeline {
    model: ModelWrapper,
    at_start: Steps,
    after_control: Steps,
    within: Steps,
}

#[derive(Clone)]
struct Steps {
    normalizer: Option<NormalizerWrapper>,
    pre_tokenizer: Option<PreTokenizerWrapper>,
}

impl Pipeline {
    pub(super) fn new(
        model: ModelWrapper,
        normalizer: Option<NormalizerWrapper>,
        pre_tokenizer: Option<PreTokenizerWrapper>,
    ) -> Self {
        let at_start = Steps {
            normalizer,
            pre_tokenizer,
        };
        let mut after_control = at_start.clone();
        after_control
            .pre_tokenizer
            .iter_mut()
            .for_each(|step| drop_space(step, true));
        let mut within = after_control.clone();
        within.pre_tokenizer.iter_mut().for_each(|step| drop_space(step, false));
        within.normalizer = within.normalizer.and_then(without_prepend);
        Self {
            model,
            at_start,
            after_control,
            within,
        }
    }

    /// Appends the ids of `text` to `ids`.
    pub(super) fn encode(&self, text: &str, position: TextPosition, ids: &mut Vec<u32>) -> Result<(), ModelFileError> {
        if text.is_empty() {
            return Ok(());
        }
        let steps = match position {
            TextPosition::Start => &self.at_start,
            TextPosition::AfterControl => &self.after_control,
            TextPosition::Within => &self.within,
        };
        let failed = |error: tokenizers::Error| ModelFileError::Tokenizer {
            reason: error.to_string(),
        };
        let mut words = PreTokenizedString::from(text);
        if let Some(normalizer) = &steps.normalizer {
            words.normalize(|text| normalizer.normalize(text)).map_err(failed)?;
        }
        if let Some(pre_tokenizer) = &steps.pre_tokenizer {
            pre_tokenizer.pre_tokenize(&mut words).map_err(failed)?;
        }
        words.tokenize(|word| self.model.tokenize(word.get())).map_err(failed)?;
        let encoding = words
            .into_encoding(None, 0, tokenizers::OffsetType::None)
            .map_err(failed)?;
        ids.extend_from_slice(encoding.get_ids());
        Ok(())
    }
}

/// Stops a step from putting a space in front; with `only_first`, only if it does so at the very start.
fn drop_space(step: &mut PreTokenizerWrapper, only_first: bool) {
    match step {
        PreTokenizerWrapper::Metaspace(metaspace)
            if !only_first || metaspace.get_prepend_scheme() == PrependScheme::First =>
        {
            metaspace.set_prepend_scheme(PrependScheme::Never);
        }
        PreTokenizerWrapper::ByteLevel(byte_level) if !only_first => byte_level.add_prefix_space = false,
        PreTokenizerWrapper::Sequence(sequence) => {
            let steps: &mut [PreTokenizerWrapper] = sequence.as_mut();
            steps.iter_mut().for_each(|step| drop_space(step, only_first));
        }
        _ => {}
    }
}

/// Returns the normaliser without the step that puts a space in front.
fn without_prepend(normalizer: NormalizerWrapper) -> Option<NormalizerWrapper> {
    match normalizer {
        NormalizerWrapper::Prepend(_) => None,
        NormalizerWrapper::Sequence(sequence) => {
            let steps: &[NormalizerWrapper] = sequence.as_ref();
            let steps = steps.iter().cloned().filter_map(without_prepend).collect();
            Some(NormalizerWrapper::Sequence(NormalizerSequence::new(steps)))
        }
        other => Some(other),
    }
}
