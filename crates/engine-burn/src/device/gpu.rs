//! Finds the GPUs that wgpu offers and opens one.

use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};

use burn::tensor::{Device, DeviceKind};
use burn_wgpu::graphics::AutoGraphicsApi;
use burn_wgpu::wgpu::{AdapterInfo, Backends, DeviceType, Instance, InstanceDescriptor};

use crate::BurnEngineError;

/// Opens the best hardware GPU, if there is one that works.
pub(super) fn open_hardware() -> Option<(Device, String)> {
    let (kind, name) = hardware(adapters())?;
    match open(kind, name) {
        Ok(opened) => Some(opened),
        Err(error) => {
            tracing::warn!(%error, "a GPU was found but can't be used; the model runs on the CPU");
            None
        }
    }
}

/// Opens the best GPU that there is, a software one if there is no other.
pub(super) fn open_any() -> Result<(Device, String), BurnEngineError> {
    let adapters = adapters();
    let software = || {
        let adapter = adapters.iter().find(|adapter| adapter.device_type == DeviceType::Cpu)?;
        Some((DeviceKind::Cpu, adapter.name.clone()))
    };
    let (kind, name) = hardware(adapters)
        .or_else(software)
        .ok_or_else(|| BurnEngineError::NoGpu {
            reason: "wgpu finds no adapter on this machine".to_owned(),
        })?;
    open(kind, name)
}

/// The best kind of hardware among the adapters, and the name of the first of that kind.
fn hardware(adapters: &[AdapterInfo]) -> Option<(DeviceKind, String)> {
    let preference = [
        (DeviceType::DiscreteGpu, DeviceKind::DiscreteGpu(0)),
        (DeviceType::IntegratedGpu, DeviceKind::IntegratedGpu(0)),
        (DeviceType::VirtualGpu, DeviceKind::VirtualGpu(0)),
    ];
    preference.into_iter().find_map(|(device_type, kind)| {
        let adapter = adapters.iter().find(|adapter| adapter.device_type == device_type)?;
        Some((kind, adapter.name.clone()))
    })
}

/// Opens a device once in a process; burn never closes it and refuses to open it again.
fn open(kind: DeviceKind, name: String) -> Result<(Device, String), BurnEngineError> {
    static OPENED: OnceLock<Result<Device, String>> = OnceLock::new();
    let opened = OPENED.get_or_init(|| {
        Device::wgpu_options()
            .device_kind(kind)
            .init()
            .map_err(|error| error.to_string())
    });
    match opened {
        Ok(device) => Ok((device.clone(), name)),
        Err(reason) => Err(BurnEngineError::NoGpu {
            reason: format!("{name}: {reason}"),
        }),
    }
}

/// Returns the adapters of the first graphics API that reaches a hardware GPU, else of the first that reaches any;
/// burn's own choice goes the same way. OpenGL is left out: what it alone reaches is too old to gain anything.
/// Enumerated once: Vulkan's loader crashes when instances come and go on several threads.
fn adapters() -> &'static [AdapterInfo] {
    static ADAPTERS: OnceLock<Vec<AdapterInfo>> = OnceLock::new();
    ADAPTERS.get_or_init(|| {
        let found: Vec<Vec<AdapterInfo>> = AutoGraphicsApi::chain()
            .into_iter()
            .map(Backends::from)
            .filter(|&backends| backends != Backends::GL)
            .map(probe)
            .collect();
        let is_software = |adapter: &AdapterInfo| adapter.device_type == DeviceType::Cpu;
        let hardware = found.iter().find(|adapters| !adapters.iter().all(is_software));
        let any = found.iter().find(|adapters| !adapters.is_empty());
        hardware.or(any).cloned().unwrap_or_default()
    })
}

fn probe(backends: Backends) -> Vec<AdapterInfo> {
    let descriptor = InstanceDescriptor {
        backends,
        ..InstanceDescriptor::new_without_display_handle()
    };
    let instance = Instance::new(descriptor);
    let mut adapters = pin!(instance.enumerate_adapters(backends));
    // Outside of browsers the answer is there at once; the future only exists for them.
    match adapters.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(adapters) => adapters.iter().map(|adapter| adapter.get_info()).collect(),
        Poll::Pending => Vec::new(),
    }
}
