//! What every kernel implements, and what is generic over kernels.

use crate::layout::{ActivationBlock, BLOCK, FourBitGroup, GROUP_ROWS, PANEL_ROWS, Panel, Q8_0Group};

/// The outputs of a group of rows for each row of a panel.
pub(crate) type PanelOutputs = [[f32; GROUP_ROWS]; PANEL_ROWS];

/// A computation that is generic over the kernel.
pub(crate) trait KernelTask {
    fn run_with(self, kernel: impl TileKernel);
}

/// What a kernel computes: eight outputs for each of `T` rows of activations, from one group of rows.
///
/// For each output, with `w` the group's block and `a` the row's, in the order of the columns and starting from 0: `acc
/// = fma(w.scale * a.scale, Σ w.quant * a.quant, acc)`, and for Q4_1 then `acc = fma(w.min, a.scaled_sum, acc)`. The
/// sums of quants are integers, so they are exact in any order.
pub(crate) trait TileKernel: Copy {
    fn quantize(self, block: impl Fn(usize) -> [f32; BLOCK], out: &mut [ActivationBlock]);
    fn four_bits<G: FourBitGroup, const T: usize>(
        self,
        group: &[G],
        rows: [&[ActivationBlock]; T],
    ) -> [[f32; GROUP_ROWS]; T];

    /// Does the same for the rows of panels and returns true, or returns false if the kernel doesn't use panels.
    fn four_bits_of_panels<G: FourBitGroup>(self, _group: &[G], _panels: &[Panel], _out: &mut PanelOutputs) -> bool {
        false
    }

    fn eight_bits<const T: usize>(self, group: &[Q8_0Group], rows: [&[ActivationBlock]; T]) -> [[f32; GROUP_ROWS]; T];
}
