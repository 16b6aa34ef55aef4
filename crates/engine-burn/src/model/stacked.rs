//! Tensors of a model's file that become one matrix, one below the other.
//!
//! Shapes are checked, and the rows of queries and keys are put into one order, so that a backend knows only one.

use model_files::{LayerTensor, ModelFiles, RopeLayout, TensorName, TensorView};
use quant::QuantError;

use crate::BurnEngineError;

/// Tensors that share their input.
pub(super) struct StackedTensors<'a> {
    tensors: Vec<StackedTensor<'a>>,
    cols: usize,
}

/// One of them.
#[derive(Clone, Copy)]
pub(super) struct StackedTensor<'a> {
    pub(super) name: TensorName,
    pub(super) view: TensorView<'a>,
    /// The size of a head whose rotated pairs are neighbours in the file; `None` if its rows stay in their order.
    interleaved_head_dim: Option<usize>,
}

impl<'a> StackedTensors<'a> {
    /// Finds tensors of the given rows and `cols` columns each.
    ///
    /// # Errors
    /// [`BurnEngineError::MissingTensor`] or [`BurnEngineError::TensorShape`].
    pub(super) fn new(
        files: &'a ModelFiles,
        tensors: &[(TensorName, usize)],
        cols: usize,
    ) -> Result<Self, BurnEngineError> {
        let tensors = tensors
            .iter()
            .map(|&(name, rows)| StackedTensor::new(files, name, [rows, cols]));
        Ok(Self {
            tensors: tensors.collect::<Result<_, _>>()?,
            cols,
        })
    }

    /// The tensors from top to bottom, at least one.
    pub(super) fn tensors(&self) -> &[StackedTensor<'a>] {
        &self.tensors
    }

    /// Rows and columns of all of them together.
    pub(super) fn shape(&self) -> [usize; 2] {
        [self.tensors.iter().map(|tensor| tensor.view.rows).sum(), self.cols]
    }

    /// All values in f32.
    ///
    /// # Errors
    /// [`BurnEngineError::ReadTensor`].
    pub(super) fn to_f32(&self) -> Result<Vec<f32>, BurnEngineError> {
        let [rows, cols] = self.shape();
        let mut values = vec![0.0; rows * cols];
        let mut rest = values.as_mut_slice();
        for tensor in &self.tensors {
            let (part, after) = rest.split_at_mut(tensor.view.rows * cols);
            for (row, out) in part.chunks_exact_mut(cols).enumerate() {
                tensor.read_row(row, out).map_err(|source| tensor.unreadable(source))?;
            }
            rest = after;
        }
        Ok(values)
    }
}

impl<'a> StackedTensor<'a> {
    fn new(files: &'a ModelFiles, name: TensorName, [rows, cols]: [usize; 2]) -> Result<Self, BurnEngineError> {
        let view = files
            .tensor(name)
            .map_err(|source| BurnEngineError::MissingTensor { tensor: name, source })?;
        if (view.rows, view.cols) != (rows, cols) {
            return Err(BurnEngineError::TensorShape {
                tensor: name,
                rows: view.rows,
                cols: view.cols,
                expected_rows: rows,
                expected_cols: cols,
            });
        }
        let is_rotated = matches!(name, TensorName::Layer(_, LayerTensor::Query | LayerTensor::Key));
        let interleaved_head_dim = match files.config.rope_layout {
            RopeLayout::Interleaved if is_rotated => Some(files.config.head_dim),
            RopeLayout::Interleaved | RopeLayout::HalfSplit => None,
        };
        Ok(Self {
            name,
            view,
            interleaved_head_dim,
        })
    }

    /// Writes the values of a row to `out`, in f32.
    pub(super) fn read_row(&self, row: usize, out: &mut [f32]) -> Result<(), QuantError> {
        self.view.dequantize_row(self.stored_row(row), out)
    }

    /// The bytes of a row, as it is stored.
    pub(super) fn row_bytes(&self, row: usize) -> &'a [u8] {
        self.view.row_bytes(self.stored_row(row))
    }

    /// The error of a tensor whose values can't be read.
    pub(super) fn unreadable(&self, source: QuantError) -> BurnEngineError {
        BurnEngineError::ReadTensor {
            tensor: self.name,
            source,
        }
    }

    /// Where a row is in the file. Where rotated pairs are neighbours there, `(2i, 2i + 1)` of a head, they become
    /// `(i, i + head_dim / 2)`.
    fn stored_row(&self, row: usize) -> usize {
        let Some(head_dim) = self.interleaved_head_dim else {
            return row;
        };
        let (n_pairs, head, i) = (head_dim / 2, row / head_dim, row % head_dim);
        let stored = if i < n_pairs { 2 * i } else { 2 * (i - n_pairs) + 1 };
        head * head_dim + stored
    }
}
