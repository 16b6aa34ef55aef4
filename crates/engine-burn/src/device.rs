//! Where a model computes: on the CPU by kernels of our own, or by burn on the CPU or on a GPU.
//!
//! A [`DeviceChoice`] and a [`Precision`] go in, an open [`ComputeDevice`] comes out. This is the only place that
//! chooses; a model and its caches follow the device that they are made for. What the device encloses never leaves this
//! crate.

mod burn_device;
#[cfg(feature = "gpu")]
mod gpu;
mod on_backend;

use std::fmt;
use std::num::NonZero;
use std::sync::Arc;
use std::thread;

use quant::Kernel;

use crate::threads::Threads;
use crate::{BurnEngineError, DeviceChoice, Precision};

pub(crate) use burn_device::BurnDevice;
pub(crate) use on_backend::OnBackend;

/// An open device, ready to hold a model. Clones are the same device.
#[derive(Clone)]
pub struct ComputeDevice {
    name: String,
    backend: OnBackend<Arc<Threads>, BurnDevice>,
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

    /// Returns true if this is the CPU.
    #[must_use]
    pub fn is_cpu(&self) -> bool {
        match &self.backend {
            OnBackend::Cpu(_) => true,
            OnBackend::Burn(burn) => burn.is_cpu(),
        }
    }

    /// Returns true if a sequence's keys and values are kept in f16, in the form that can be copied and saved.
    pub(crate) fn keeps_f16_caches(&self) -> bool {
        matches!(self.backend, OnBackend::Cpu(_))
    }

    /// What models compute with here: the CPU's threads, or a burn device.
    pub(crate) fn backend(&self) -> &OnBackend<Arc<Threads>, BurnDevice> {
        &self.backend
    }

    fn cpu(precision: Precision, threads: Option<usize>) -> Result<Self, BurnEngineError> {
        let n_threads = threads
            .filter(|&threads| threads > 0)
            .unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
        // Without instructions of its own, a product of whole numbers is slower than one of floats.
        let is_quantised = match precision {
            Precision::Auto => Kernel::detect() != Kernel::portable(),
            Precision::F32 => false,
        };
        let backend = if is_quantised {
            let threads = Threads::new(n_threads).map_err(|error| BurnEngineError::Threads {
                threads: n_threads,
                reason: error.to_string(),
            })?;
            OnBackend::Cpu(Arc::new(threads))
        } else {
            OnBackend::Burn(BurnDevice::cpu(n_threads)?)
        };
        Ok(Self {
            name: format!("CPU, {n_threads} threads"),
            backend,
        })
    }

    #[cfg(feature = "gpu")]
    fn gpu() -> Result<Self, BurnEngineError> {
        let (device, name) = gpu::open_any()?;
        Ok(Self {
            name,
            backend: OnBackend::Burn(BurnDevice::gpu(device)),
        })
    }

    #[cfg(feature = "gpu")]
    fn hardware_gpu() -> Option<Self> {
        let (device, name) = gpu::open_hardware()?;
        Some(Self {
            name,
            backend: OnBackend::Burn(BurnDevice::gpu(device)),
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
