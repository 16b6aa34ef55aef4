//! Where the model computes: the CPU, or a GPU that wgpu can use.
//!
//! The only place that chooses a burn device. A [`DeviceChoice`] goes in, an open [`ComputeDevice`] comes out; what it
//! encloses never leaves this crate.

#[cfg(feature = "gpu")]
mod gpu;

use std::fmt;
use std::sync::Arc;

use burn::tensor::Device;

use crate::{BurnEngineError, DeviceChoice};

/// An open device, ready to hold a model. Clones are the same device.
#[derive(Clone)]
pub struct ComputeDevice {
    device: Device,
    name: String,
    /// The threads of the CPU path; `None` on a GPU.
    threads: Option<Arc<rayon::ThreadPool>>,
}

impl fmt::Debug for ComputeDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComputeDevice")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ComputeDevice {
    /// Opens the device of choice; `threads` is for the CPU, `None` takes one for each core.
    ///
    /// # Errors
    /// [`BurnEngineError::NoGpu`] when a GPU was asked for and none can be used, or the feature `gpu` is off;
    /// [`BurnEngineError::Threads`].
    pub fn open(choice: DeviceChoice, threads: Option<usize>) -> Result<Self, BurnEngineError> {
        match choice {
            DeviceChoice::Cpu => Self::cpu(threads),
            DeviceChoice::Gpu => Self::gpu(),
            DeviceChoice::Auto => Self::hardware_gpu().map_or_else(|| Self::cpu(threads), Ok),
        }
    }

    /// The device as users know it, for example `CPU, 8 threads`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is the CPU.
    #[must_use]
    pub fn is_cpu(&self) -> bool {
        self.threads.is_some()
    }

    /// Threads that compute; 1 on a GPU, which has its own.
    pub(crate) fn n_threads(&self) -> usize {
        self.threads.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    pub(crate) fn burn(&self) -> &Device {
        &self.device
    }

    /// Runs a computation on the device's threads; the caller waits.
    pub(crate) fn run<T: Send>(&self, compute: impl FnOnce() -> T + Send) -> T {
        match &self.threads {
            Some(pool) => pool.install(compute),
            None => compute(),
        }
    }

    fn cpu(threads: Option<usize>) -> Result<Self, BurnEngineError> {
        // rayon takes 0 as one thread for each core.
        let builder = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0));
        let pool = builder
            .thread_name(|idx| format!("model-{idx}"))
            .build()
            .map_err(|error| BurnEngineError::Threads {
                threads: threads.unwrap_or(0),
                reason: error.to_string(),
            })?;
        let name = format!("CPU, {} threads", pool.current_num_threads());
        Ok(Self {
            device: Device::flex(),
            name,
            threads: Some(Arc::new(pool)),
        })
    }

    #[cfg(feature = "gpu")]
    fn gpu() -> Result<Self, BurnEngineError> {
        let (device, name) = gpu::open_any()?;
        Ok(Self {
            device,
            name,
            threads: None,
        })
    }

    #[cfg(feature = "gpu")]
    fn hardware_gpu() -> Option<Self> {
        let (device, name) = gpu::open_hardware()?;
        Some(Self {
            device,
            name,
            threads: None,
        })
    }

    #[cfg(not(feature = "gpu"))]
    fn gpu() -> Result<Self, BurnEngineError> {
        Err(BurnEngineError::NoGpu {
            reason: "this program was built without the feature `gpu`".to_owned(),
        })
    }

    #[cfg(not(feature = "gpu"))]
    fn hardware_gpu() -> Option<Self> {
        None
    }
}
