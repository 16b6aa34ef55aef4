//! Reads a model's weights from its files into the form that a backend computes with.
//!
//! Matrices that share their input become one. One matrix at a time is in flight: memory peaks at the model's size and
//! twice its largest matrix, in the form that it has then.

use model_files::{LayerTensor, ModelFiles, TensorName};

use super::stacked::StackedTensors;
use super::weights::{FeedForward, Layer, Weights};
use crate::BurnEngineError;

/// Puts weights where a backend computes with them.
pub(super) trait WeightLoader {
    /// A norm of the backend.
    type Norm;
    /// A matrix of the backend.
    type Linear;

    /// Takes a norm's weights over.
    fn norm(&self, weight: Vec<f32>, eps: f32) -> Self::Norm;

    /// Reads tensors into one matrix.
    ///
    /// # Errors
    /// A [`BurnEngineError`] that names the tensor.
    fn linear(&mut self, tensors: &StackedTensors<'_>) -> Result<Self::Linear, BurnEngineError>;
}

/// Reads all weights but the embedding.
///
/// # Errors
/// A [`BurnEngineError`] that names the tensor.
pub(super) fn load<L: WeightLoader>(
    files: &ModelFiles,
    loader: &mut L,
) -> Result<Weights<L::Norm, L::Linear>, BurnEngineError> {
    let config = &files.config;
    let layers = (0..config.n_layers).map(|layer_idx| load_layer(files, layer_idx, loader));
    let layers = layers.collect::<Result<_, _>>()?;
    let output = if config.tied_embedding {
        TensorName::Embedding
    } else {
        TensorName::Output
    };
    let norm = load_norm(files, TensorName::OutputNorm, loader)?;
    let lm_head = StackedTensors::new(files, &[(output, config.vocab_size)], config.hidden_size)?;
    Ok(Weights {
        layers,
        norm,
        lm_head: loader.linear(&lm_head)?,
    })
}

fn load_layer<L: WeightLoader>(
    files: &ModelFiles,
    layer_idx: usize,
    loader: &mut L,
) -> Result<Layer<L::Norm, L::Linear>, BurnEngineError> {
    let name = |tensor| TensorName::Layer(layer_idx, tensor);
    let config = &files.config;
    let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
    let (queries, keys) = (config.query_size(), config.kv_size());
    let qkv = [
        (name(LayerTensor::Query), queries),
        (name(LayerTensor::Key), keys),
        (name(LayerTensor::Value), keys),
    ];
    let gate_up = [
        (name(LayerTensor::FfnGate), intermediate),
        (name(LayerTensor::FfnUp), intermediate),
    ];
    // What was read before is in memory in its own form by now, and the file may be several times larger than that.
    files.release_pages();
    let attention_norm = load_norm(files, name(LayerTensor::AttnNorm), loader)?;
    let norm = load_norm(files, name(LayerTensor::FfnNorm), loader)?;
    let mut linear =
        |tensors: &[(TensorName, usize)], inputs| loader.linear(&StackedTensors::new(files, tensors, inputs)?);
    Ok(Layer {
        attention_norm,
        qkv_proj: linear(&qkv, hidden)?,
        o_proj: linear(&[(name(LayerTensor::AttnOutput), hidden)], queries)?,
        feed_forward: FeedForward {
            norm,
            gate_up_proj: linear(&gate_up, hidden)?,
            down_proj: linear(&[(name(LayerTensor::FfnDown), hidden)], intermediate)?,
        },
    })
}

fn load_norm<L: WeightLoader>(files: &ModelFiles, name: TensorName, loader: &L) -> Result<L::Norm, BurnEngineError> {
    let config = &files.config;
    let weight = StackedTensors::new(files, &[(name, 1)], config.hidden_size)?.to_f32()?;
    Ok(loader.norm(weight, config.norm_eps))
}
