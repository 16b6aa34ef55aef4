//! Reads the weights from the files onto the device.
//!
//! Matrices that share their input become one, and the rows of queries and keys are put into one order, so that there is one
//! model code whatever the file. One matrix at a time is in flight: memory peaks at the model's size and its largest matrix.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use model_files::{LayerTensor, ModelFiles, RopeLayout, TensorName, TensorView};
use quant::QuantMatrix;

use super::linear::{FeedForward, Linear, RmsNorm};
use crate::{BurnEngineError, ComputeDevice};

/// All weights but the embedding.
pub(super) struct ModelWeights {
    pub(super) layers: Vec<LayerWeights>,
    pub(super) output_norm: RmsNorm,
    pub(super) output: Linear,
}

/// One layer's weights.
pub(super) struct LayerWeights {
    pub(super) attn_norm: RmsNorm,
    /// `[(n_heads + 2 * n_kv_heads) * head_dim, hidden_size]`; queries' and keys' rows are half-split, whatever the file.
    pub(super) query_key_value: Linear,
    pub(super) attn_output: Linear,
    pub(super) feed_forward: FeedForward,
}

impl ModelWeights {
    pub(super) fn load(files: &ModelFiles, device: &ComputeDevice) -> Result<Self, BurnEngineError> {
        let loader = Loader { files, device };
        let config = &files.config;
        let layers = (0..config.n_layers)
            .map(|layer_idx| loader.layer(layer_idx))
            .collect::<Result<_, _>>()?;
        let output = if config.tied_embedding {
            TensorName::Embedding
        } else {
            TensorName::Output
        };
        Ok(Self {
            layers,
            output_norm: loader.norm(TensorName::OutputNorm)?,
            output: loader.linear(&[(output, config.vocab_size)], config.hidden_size)?,
        })
    }
}

struct Loader<'a> {
    files: &'a ModelFiles,
    device: &'a ComputeDevice,
}

impl Loader<'_> {
    fn layer(&self, layer_idx: usize) -> Result<LayerWeights, BurnEngineError> {
        let name = |tensor| TensorName::Layer(layer_idx, tensor);
        let config = &self.files.config;
        let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
        let (queries, keys) = (config.query_size(), config.kv_size());
        let query_key_value = [
            (name(LayerTensor::Query), queries),
            (name(LayerTensor::Key), keys),
            (name(LayerTensor::Value), keys),
        ];
        let gate_up = [
            (name(LayerTensor::FfnGate), intermediate),
            (name(LayerTensor::FfnUp), intermediate),
        ];
        Ok(LayerWeights {
            attn_norm: self.norm(name(LayerTensor::AttnNorm))?,
            query_key_value: self.linear(&query_key_value, hidden)?,
            attn_output: self.linear(&[(name(LayerTensor::AttnOutput), hidden)], queries)?,
            feed_forward: FeedForward {
                norm: self.norm(name(LayerTensor::FfnNorm))?,
                gate_up: self.linear(&gate_up, hidden)?,
                down: self.linear(&[(name(LayerTensor::FfnDown), hidden)], intermediate)?,
            },
        })
    }

    fn norm(&self, name: TensorName) -> Result<RmsNorm, BurnEngineError> {
        let config = &self.files.config;
        let mut values = vec![0.0; config.hidden_size];
        self.read(name, [1, config.hidden_size], &mut values)?;
        Ok(RmsNorm::new(values, config.norm_eps, self.device.burn()))
    }

    fn linear(&self, parts: &[(TensorName, usize)], cols: usize) -> Result<Linear, BurnEngineError> {
        if let Some(products) = self.device.products()
            && let Some(matrices) = self.quantised(parts, cols)?
        {
            return Ok(Linear::quantised(matrices, Arc::clone(products)));
        }
        Ok(Linear::new(self.stacked(parts, cols)?, self.device.n_threads()))
    }

    /// Tensors with the given rows as they are stored, those below each other as one matrix while their blocks are the same; `None`
    /// if one of them isn't quantised: then all that share its input become f32.
    fn quantised(
        &self,
        parts: &[(TensorName, usize)],
        cols: usize,
    ) -> Result<Option<Vec<QuantMatrix>>, BurnEngineError> {
        let mut views = Vec::with_capacity(parts.len());
        for &(name, rows) in parts {
            views.push((name, self.view(name, [rows, cols])?));
        }
        let n_quantised = views
            .iter()
            .filter(|(_, view)| QuantMatrix::holds(view.block_type))
            .count();
        if n_quantised < views.len() {
            if n_quantised > 0 {
                let names: Vec<String> = parts.iter().map(|(name, _)| name.to_string()).collect();
                tracing::warn!(tensors = ?names, "some tensors that share their input aren't quantised: they are all computed with in f32");
            }
            return Ok(None);
        }
        let alike = views.chunk_by(|(_, a), (_, b)| a.block_type == b.block_type);
        alike
            .map(|views| self.matrix(views, cols))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Tensors of the same blocks, one below the other.
    fn matrix(&self, views: &[(TensorName, TensorView<'_>)], cols: usize) -> Result<QuantMatrix, BurnEngineError> {
        let mut bytes = Vec::with_capacity(views.iter().map(|(_, view)| view.bytes.len()).sum());
        for (name, view) in views {
            for row in 0..view.rows {
                bytes.extend_from_slice(view.row_bytes(self.stored_row(*name, row)));
            }
        }
        let rows = views.iter().map(|(_, view)| view.rows).sum();
        let (tensor, first) = &views[0];
        QuantMatrix::new(first.block_type, rows, cols, &bytes).map_err(|source| BurnEngineError::ReadTensor {
            tensor: *tensor,
            source,
        })
    }

    /// Tensors with the given rows, one below the other.
    fn stacked(&self, parts: &[(TensorName, usize)], cols: usize) -> Result<Tensor<2>, BurnEngineError> {
        let rows: usize = parts.iter().map(|(_, rows)| rows).sum();
        let mut values = vec![0.0; rows * cols];
        let mut rest = values.as_mut_slice();
        for &(name, part_rows) in parts {
            let (part, after) = rest.split_at_mut(part_rows * cols);
            self.read(name, [part_rows, cols], part)?;
            rest = after;
        }
        Ok(Tensor::from_data(
            TensorData::new(values, [rows, cols]),
            self.device.burn(),
        ))
    }

    fn read(&self, name: TensorName, [rows, cols]: [usize; 2], out: &mut [f32]) -> Result<(), BurnEngineError> {
        let view = self.view(name, [rows, cols])?;
        for (row, values) in out.chunks_exact_mut(cols).enumerate() {
            view.dequantize_row(self.stored_row(name, row), values)
                .map_err(|source| BurnEngineError::ReadTensor { tensor: name, source })?;
        }
        Ok(())
    }

    /// A tensor of the shape that the model's config says.
    fn view(&self, name: TensorName, [rows, cols]: [usize; 2]) -> Result<TensorView<'_>, BurnEngineError> {
        let view = self
            .files
            .tensor(name)
            .map_err(|source| BurnEngineError::MissingTensor { tensor: name, source })?;
        if (view.rows, view.cols) != (rows, cols) {
            let (expected_rows, expected_cols) = (rows, cols);
            return Err(BurnEngineError::TensorShape {
                tensor: name,
                rows: view.rows,
                cols: view.cols,
                expected_rows,
                expected_cols,
            });
        }
        Ok(view)
    }

    /// Where a row is in the file. Where rotated pairs are neighbours there, `(2i, 2i + 1)` of a head, they become
    /// `(i, i + head_dim / 2)`.
    fn stored_row(&self, name: TensorName, row: usize) -> usize {
        let is_rotated = matches!(name, TensorName::Layer(_, LayerTensor::Query | LayerTensor::Key));
        match self.files.config.rope_layout {
            RopeLayout::Interleaved if is_rotated => {
                let n_pairs = self.files.config.head_dim / 2;
                let (head, i) = (row / (2 * n_pairs), row % (2 * n_pairs));
                let stored = if i < n_pairs { 2 * i } else { 2 * (i - n_pairs) + 1 };
                head * 2 * n_pairs + stored
            }
            RopeLayout::Interleaved | RopeLayout::HalfSplit => row,
        }
    }
}
