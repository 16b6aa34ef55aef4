//! The choice between backends as a type: a model, its device and the caches of its sequences are each one of two.

/// What belongs to a model, for the backend that was chosen at the start.
///
/// A [`ComputeDevice`](crate::ComputeDevice) is opened as one of these, a [`LlamaModel`](crate::LlamaModel) that is
/// loaded onto it is the same one, and so are the caches that the model makes. Another backend is another variant, and
/// the compiler names the places that have to know it.
#[derive(Debug, Clone)]
pub(crate) enum OnBackend<C, B> {
    /// The CPU by kernels of our own: rows of f32, quantised matrices, keys and values in f16.
    Cpu(C),
    /// burn's tensors in f32, on a GPU or on the CPU.
    Burn(B),
}
