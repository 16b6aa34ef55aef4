//! Where the model computes: the CPU, or a GPU that wgpu can use.
//!
//! The only place that chooses a burn device. A [`DeviceChoice`] goes in, an open [`ComputeDevice`] comes out; what it
//! encloses never leaves this crate.

#[cfg(feature = "gpu")]
mod gpu;

use std::fmt;
use std::sync::Arc;

use burn::tensor::Device;
use quant::Kernel;

use crate::products::Products;
use crate::{BurnEngineError, DeviceChoice, Precision};

/// An open device, ready to hold a model. Clones are the same device.
#[derive(Clone)]
pub struct ComputeDevice {
    device: Device,
    name: String,
    /// The threads of the CPU path; `None` on a GPU.
    threads: Option<Arc<rayon::ThreadPool>>,
    /// What quantised matrices are multiplied with; `None` where weights are f32.
    products: Option<Arc<Products>>,
}

impl fmt::Debug for ComputeDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComputeDevice")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl ComputeDevice {
    /// Opens the device of choice; `precision` and `threads` are for the CPU, `None` takes a thread for each core.
    ///
    /// # Errors
    /// [`BurnEngineError::NoGpu`] when a GPU was asked for and none can be used, or the feature `gpu` is off;
    /// [`BurnEngineError::Threads`].
    pub fn open(choice: DeviceChoice, precision: Precision, threads: Option<usize>) -> Result<Self, BurnEngineError> {
        match choice {
            DeviceChoice::Cpu => Self::cpu(precision, threads),
            DeviceChoice::Gpu => Self::gpu(),
            DeviceChoice::Auto => Self::hardware_gpu().map_or_else(|| Self::cpu(precision, threads), Ok),
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

    /// What multiplies quantised matrices, if weights stay quantised.
    pub(crate) fn products(&self) -> Option<&Arc<Products>> {
        self.products.as_ref()
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

    fn cpu(precision: Precision, threads: Option<usize>) -> Result<Self, BurnEngineError> {
        let no_threads = |reason: String| BurnEngineError::Threads {
            threads: threads.unwrap_or(0),
            reason,
        };
        // rayon takes 0 as one thread for each core.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads.unwrap_or(0))
            .thread_name(|idx| format!("model-{idx}"))
            .build()
            .map_err(|error| no_threads(error.to_string()))?;
        let n_threads = pool.current_num_threads();
        // Without instructions of its own, a product of whole numbers is slower than one of floats.
        let products = match precision {
            Precision::Auto if Kernel::detect() != Kernel::portable() => {
                let products = Products::new(n_threads).map_err(|error| no_threads(error.to_string()))?;
                Some(Arc::new(products))
            }
            Precision::Auto | Precision::F32 => None,
        };
        Ok(Self {
            device: Device::flex(),
            name: format!("CPU, {n_threads} threads"),
            threads: Some(Arc::new(pool)),
            products,
        })
    }

    #[cfg(feature = "gpu")]
    fn gpu() -> Result<Self, BurnEngineError> {
        let (device, name) = gpu::open_any()?;
        Ok(Self {
            device,
            name,
            threads: None,
            products: None,
        })
    }

    #[cfg(feature = "gpu")]
    fn hardware_gpu() -> Option<Self> {
        let (device, name) = gpu::open_hardware()?;
        Some(Self {
            device,
            name,
            threads: None,
            products: None,
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
