//! Block-quantised tensors: layouts and dequantisers.
