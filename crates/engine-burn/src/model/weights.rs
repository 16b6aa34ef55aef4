//! Reads the weights from the files onto the device.
//!
//! Matrices that share their input become one, and the rows of queries and keys are put into one order, so that there is one
//! model code whatever the file. One matrix at a time is in flight, and of one that is quantised here a row for each thread: memory
//! peaks at the model's size and twice its largest matrix, in the form that it has then.

use std::sync::Arc;

use burn::tensor::{Tensor, TensorData};
use large_pages::Arena;
use model_files::{LayerTensor, ModelFiles, RopeLayout, TensorName, TensorView};
use quant::{BlockType, QuantError, QuantMatrix, quantize};
use rayon::prelude::*;

use super::linear::{FeedForward, Linear, RmsNorm};
use crate::{BurnEngineError, ComputeDevice, Quantise};

/// What quantised matrices take from the system at once: many large pages, of which the last may stay empty.
const CHUNK_BYTES: usize = 32 << 20;

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
    pub(super) fn load(
        files: &ModelFiles,
        device: &ComputeDevice,
        quantise: Quantise,
    ) -> Result<Self, BurnEngineError> {
        let mut loader = Loader {
            files,
            arena: Arena::new(CHUNK_BYTES),
            device,
            quantised_as: quantised_at_load(files, device, quantise),
        };
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

    /// All matrices, from the first layer to the output.
    pub(super) fn matrices(&self) -> impl Iterator<Item = &Linear> {
        let layers = self.layers.iter().flat_map(|layer| {
            let FeedForward { gate_up, down, .. } = &layer.feed_forward;
            [&layer.query_key_value, &layer.attn_output, gate_up, down]
        });
        layers.chain([&self.output])
    }
}

/// The blocks that some matrices of a model become when it is loaded; `None` if all stay as they are stored, or become f32.
pub(crate) fn quantised_at_load(files: &ModelFiles, device: &ComputeDevice, quantise: Quantise) -> Option<BlockType> {
    device.products()?;
    let blocks = quantise.blocks()?;
    let is_matrix = |tensor: &LayerTensor| !matches!(tensor, LayerTensor::AttnNorm | LayerTensor::FfnNorm);
    let layers = (0..files.config.n_layers).flat_map(|layer_idx| {
        let matrices = LayerTensor::ALL.into_iter().filter(is_matrix);
        matrices.map(move |tensor| TensorName::Layer(layer_idx, tensor))
    });
    let mut matrices = layers.chain([TensorName::Output]);
    let is_any = matrices.any(|name| {
        let view = files.tensor(name);
        view.is_ok_and(|view| !QuantMatrix::holds(view.block_type) && fills(view.cols, blocks))
    });
    is_any.then_some(blocks)
}

/// Whether so many values are whole blocks.
const fn fills(cols: usize, blocks: BlockType) -> bool {
    cols.is_multiple_of(blocks.block_len())
}

struct Loader<'a> {
    files: &'a ModelFiles,
    /// For quantised matrices.
    arena: Arena,
    device: &'a ComputeDevice,
    /// What matrices become that can't be multiplied as they are stored; `None`: f32.
    quantised_as: Option<BlockType>,
}

/// A tensor, and the blocks that it is multiplied as.
struct Part<'a> {
    name: TensorName,
    view: TensorView<'a>,
    blocks: BlockType,
}

impl<'a> Loader<'a> {
    fn layer(&mut self, layer_idx: usize) -> Result<LayerWeights, BurnEngineError> {
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
        // What was read before is in memory in its own form by now, and the file may be several times larger than that.
        self.files.release_pages();
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

    fn linear(&mut self, parts: &[(TensorName, usize)], cols: usize) -> Result<Linear, BurnEngineError> {
        if let Some(products) = self.device.products()
            && let Some(matrices) = self.quantised(parts, cols)?
        {
            return Ok(Linear::quantised(matrices, Arc::clone(products)));
        }
        Ok(Linear::new(self.stacked(parts, cols)?, self.device.n_threads()))
    }

    /// Tensors with the given rows in blocks, those below each other as one matrix while their blocks are the same; `None` if one of
    /// them must be f32: then all that share its input are.
    fn quantised(
        &mut self,
        parts: &[(TensorName, usize)],
        cols: usize,
    ) -> Result<Option<Vec<QuantMatrix>>, BurnEngineError> {
        let mut in_blocks = Vec::with_capacity(parts.len());
        for &(name, rows) in parts {
            let view = self.view(name, [rows, cols])?;
            in_blocks.extend(self.blocks(name, &view).map(|blocks| Part { name, view, blocks }));
        }
        if in_blocks.len() < parts.len() {
            if !in_blocks.is_empty() {
                let names: Vec<String> = parts.iter().map(|(name, _)| name.to_string()).collect();
                tracing::warn!(tensors = ?names, "some tensors that share their input aren't quantised: they are all computed with in f32");
            }
            return Ok(None);
        }
        let alike = in_blocks.chunk_by(|a, b| a.blocks == b.blocks);
        alike
            .map(|parts| self.matrix(parts, cols))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// What a tensor is multiplied as; `None`: in f32. The output matrix keeps 8 bits: 4 would cost more there than in any layer.
    fn blocks(&self, name: TensorName, view: &TensorView<'_>) -> Option<BlockType> {
        if QuantMatrix::holds(view.block_type) {
            return Some(view.block_type);
        }
        let is_output = matches!(name, TensorName::Embedding | TensorName::Output);
        let blocks = self.quantised_as?;
        let blocks = if is_output { BlockType::Q8_0 } else { blocks };
        fills(view.cols, blocks).then_some(blocks)
    }

    /// Tensors of the same blocks, one below the other.
    fn matrix(&mut self, parts: &[Part<'_>], cols: usize) -> Result<QuantMatrix, BurnEngineError> {
        let (tensor, blocks) = (parts[0].name, parts[0].blocks);
        let rows: usize = parts.iter().map(|part| part.view.rows).sum();
        let row_bytes = cols / blocks.block_len() * blocks.block_bytes();
        let mut bytes = vec![0; rows * row_bytes];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            let (out, after) = rest.split_at_mut(part.view.rows * row_bytes);
            self.write_rows(part, row_bytes, out)
                .map_err(|source| BurnEngineError::ReadTensor {
                    tensor: part.name,
                    source,
                })?;
            rest = after;
        }
        QuantMatrix::new_in(&mut self.arena, blocks, [rows, cols], &bytes)
            .map_err(|source| BurnEngineError::ReadTensor { tensor, source })
    }

    /// Writes the rows of a tensor in its blocks, as they are stored or quantised anew. No row depends on another.
    fn write_rows(&self, part: &Part<'_>, row_bytes: usize, out: &mut [u8]) -> Result<(), QuantError> {
        let Part { name, view, blocks } = part;
        out.par_chunks_exact_mut(row_bytes).enumerate().try_for_each_init(
            || vec![0.0; view.cols],
            |values, (row, out)| {
                let row = self.stored_row(*name, row);
                if view.block_type == *blocks {
                    out.copy_from_slice(view.row_bytes(row));
                    return Ok(());
                }
                view.dequantize_row(row, values)?;
                quantize(*blocks, values, out)
            },
        )
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
    fn view(&self, name: TensorName, [rows, cols]: [usize; 2]) -> Result<TensorView<'a>, BurnEngineError> {
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
