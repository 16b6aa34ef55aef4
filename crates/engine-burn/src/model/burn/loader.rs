//! Weights as burn's tensors: everything becomes f32 while it is read.

use super::linear::{Linear, RmsNorm};
use crate::BurnEngineError;
use crate::device::BurnDevice;
use crate::model::loader::WeightLoader;
use crate::model::stacked::StackedTensors;

/// Puts a model's weights onto a burn device.
pub(crate) struct BurnLoader(pub(crate) BurnDevice);

impl WeightLoader for BurnLoader {
    type Norm = RmsNorm;
    type Linear = Linear;

    fn norm(&self, weight: Vec<f32>, eps: f32) -> RmsNorm {
        RmsNorm::new(weight, eps, &self.0)
    }

    fn linear(&mut self, tensors: &StackedTensors<'_>) -> Result<Linear, BurnEngineError> {
        Ok(Linear::new(tensors.to_f32()?, tensors.shape(), &self.0))
    }
}
