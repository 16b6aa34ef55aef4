//! Weights for the CPU: matrices in blocks, as they are stored or quantised here, and in f32 where neither is possible.
//!
//! Rows of one that is quantised here are written by all threads straight into blocks, so no matrix is ever f32 as a
//! whole. Blocks lie in large pages.

use std::sync::Arc;

use large_pages::Arena;
use model_files::{LayerTensor, ModelFiles, TensorName};
use quant::{BlockType, QuantError, QuantMatrix, quantize};

use super::elementwise::RmsNorm;
use super::f32_linear::F32Linear;
use super::linear::Linear;
use super::quant_linear::QuantLinear;
use crate::device::BurnDevice;
use crate::model::loader::WeightLoader;
use crate::model::stacked::{StackedTensor, StackedTensors};
use crate::threads::Threads;
use crate::{BurnEngineError, Quantise};

/// What quantised matrices take from the system at once: many large pages, of which the last may stay empty.
const CHUNK_BYTES: usize = 32 << 20;

/// Puts a model's weights into the CPU's memory.
pub(crate) struct CpuLoader {
    threads: Arc<Threads>,
    /// For quantised matrices.
    arena: Arena,
    /// What matrices become that can't be multiplied as they are stored; `None`: f32.
    quantised_as: Option<BlockType>,
    /// What multiplies in f32, once a matrix needs it.
    burn: Option<BurnDevice>,
}

/// A tensor, and the blocks that it is multiplied as.
#[derive(Clone, Copy)]
struct InBlocks<'a> {
    tensor: &'a StackedTensor<'a>,
    blocks: BlockType,
}

/// Returns the blocks that some matrices of a model become when it is loaded; `None` if all stay as they are stored or
/// become f32.
pub(crate) fn quantised_at_load(files: &ModelFiles, quantise: Quantise) -> Option<BlockType> {
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

/// Returns true if so many values are whole blocks.
const fn fills(cols: usize, blocks: BlockType) -> bool {
    cols.is_multiple_of(blocks.block_len())
}

impl CpuLoader {
    /// A loader for one model.
    pub(crate) fn new(files: &ModelFiles, threads: Arc<Threads>, quantise: Quantise) -> Self {
        Self {
            threads,
            arena: Arena::new(CHUNK_BYTES),
            quantised_as: quantised_at_load(files, quantise),
            burn: None,
        }
    }

    /// Reads tensors into blocks, neighbours of the same blocks as one matrix. Returns `None` if one of them must be
    /// f32: then all that share its input are.
    fn quantised(&mut self, stacked: &StackedTensors<'_>) -> Result<Option<Vec<QuantMatrix>>, BurnEngineError> {
        let tensors = stacked.tensors();
        let in_blocks = tensors.iter().filter_map(|tensor| {
            let blocks = self.blocks(tensor)?;
            Some(InBlocks { tensor, blocks })
        });
        let in_blocks: Vec<InBlocks<'_>> = in_blocks.collect();
        if in_blocks.len() < tensors.len() {
            if !in_blocks.is_empty() {
                let names: Vec<String> = tensors.iter().map(|tensor| tensor.name.to_string()).collect();
                tracing::warn!(tensors = ?names, "some tensors that share their input aren't quantised: they are all computed with in f32");
            }
            return Ok(None);
        }
        let alike = in_blocks.chunk_by(|a, b| a.blocks == b.blocks);
        let matrices = alike.map(|parts| self.matrix(parts));
        matrices.collect::<Result<_, _>>().map(Some)
    }

    /// Returns the blocks that a tensor is multiplied in; `None`: f32. The output matrix keeps 8 bits: 4 would cost
    /// more there than in any layer.
    fn blocks(&self, tensor: &StackedTensor<'_>) -> Option<BlockType> {
        let stored = tensor.view.block_type;
        if QuantMatrix::holds(stored) {
            return Some(stored);
        }
        let is_output = matches!(tensor.name, TensorName::Embedding | TensorName::Output);
        let blocks = self.quantised_as?;
        let blocks = if is_output { BlockType::Q8_0 } else { blocks };
        fills(tensor.view.cols, blocks).then_some(blocks)
    }

    /// Puts tensors of the same blocks one below the other.
    fn matrix(&mut self, parts: &[InBlocks<'_>]) -> Result<QuantMatrix, BurnEngineError> {
        let InBlocks { tensor, blocks } = parts[0];
        let cols = tensor.view.cols;
        let rows: usize = parts.iter().map(|part| part.tensor.view.rows).sum();
        let row_bytes = cols / blocks.block_len() * blocks.block_bytes();
        let mut bytes = vec![0; rows * row_bytes];
        let mut rest = bytes.as_mut_slice();
        for part in parts {
            let (out, after) = rest.split_at_mut(part.tensor.view.rows * row_bytes);
            self.write_rows(*part, row_bytes, out)
                .map_err(|source| part.tensor.unreadable(source))?;
            rest = after;
        }
        QuantMatrix::new_in(&mut self.arena, blocks, [rows, cols], &bytes).map_err(|source| tensor.unreadable(source))
    }

    /// Writes the rows of a tensor in its blocks. No row depends on another, so threads share them.
    fn write_rows(&self, part: InBlocks<'_>, row_bytes: usize, out: &mut [u8]) -> Result<(), QuantError> {
        let rows_per_part = part.tensor.view.rows.div_ceil(self.threads.max_parts()).max(1);
        let parts = out.chunks_mut(rows_per_part * row_bytes);
        let mut written = vec![Ok(()); parts.len()];
        let parts = parts.enumerate().zip(&mut written);
        self.threads.for_each(parts, |((idx, out), written)| {
            let mut rows = (idx * rows_per_part..).zip(out.chunks_exact_mut(row_bytes));
            let mut values = vec![0.0; part.tensor.view.cols];
            *written = rows.try_for_each(|(row, out)| part.write_row(row, &mut values, out));
        });
        written.into_iter().collect()
    }
}

impl InBlocks<'_> {
    /// Writes a row as it is stored, or quantised; `values` has room for it in f32.
    fn write_row(self, row: usize, values: &mut [f32], out: &mut [u8]) -> Result<(), QuantError> {
        if self.tensor.view.block_type == self.blocks {
            out.copy_from_slice(self.tensor.row_bytes(row));
            return Ok(());
        }
        self.tensor.read_row(row, values)?;
        quantize(self.blocks, values, out)
    }
}

impl WeightLoader for CpuLoader {
    type Norm = RmsNorm;
    type Linear = Linear;

    fn norm(&self, weight: Vec<f32>, eps: f32) -> RmsNorm {
        RmsNorm { weight, eps }
    }

    fn linear(&mut self, tensors: &StackedTensors<'_>) -> Result<Linear, BurnEngineError> {
        if let Some(matrices) = self.quantised(tensors)? {
            return Ok(Linear::Quantised(QuantLinear::new(matrices)));
        }
        let burn = match self.burn.take() {
            Some(burn) => burn,
            None => BurnDevice::cpu(self.threads.n_threads())?,
        };
        self.burn = Some(burn.clone());
        let matrix = F32Linear::new(tensors.to_f32()?, tensors.shape(), burn);
        Ok(Linear::F32(Box::new(matrix)))
    }
}
