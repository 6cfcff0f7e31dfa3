//! Choosing between the CPU and a CUDA device. No silent fallback: what was asked for is what is
//! used, and what `auto` chose can be printed.

use std::error::Error as StdError;
use std::fmt;

use midashi_config::DeviceChoice;
use ort::ep::cuda::{CUDA_DYLIBS, CUDNN_DYLIBS};
use ort::ep::{CPU, CUDA, ExecutionProvider};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::util::preload_dylib;
use ort::value::Tensor;

use crate::{Error, Result, Runtime, failed};

/// What is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Device {
    /// The CPU.
    Cpu,
    /// The first CUDA device.
    Cuda,
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

impl Device {
    /// Number of the device among those of its kind.
    pub(crate) const ORDINAL: i32 = 0;

    /// ONNX Runtime's name of what runs a graph there.
    pub(crate) fn provider(self) -> &'static str {
        match self {
            Self::Cpu => CPU::NAME,
            Self::Cuda => CUDA::NAME,
        }
    }

    /// ONNX Runtime's name of its memory.
    pub(crate) fn allocation(self) -> AllocationDevice<'static> {
        match self {
            Self::Cpu => AllocationDevice::CPU,
            Self::Cuda => AllocationDevice::CUDA,
        }
    }

    /// Its memory, to have outputs put there.
    pub(crate) fn memory(self) -> ort::Result<MemoryInfo<'static>> {
        MemoryInfo::new(self.allocation(), Self::ORDINAL, AllocatorType::Device, MemoryType::Default)
    }
}

impl Runtime {
    /// The device for `choice`.
    ///
    /// # Errors
    /// When CUDA is asked for and does not work, with the library or driver that is missing as
    /// ONNX Runtime names it.
    pub fn device(&self, choice: DeviceChoice) -> Result<Device> {
        match choice {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda => self.probe_cuda().map(|()| Device::Cuda).map_err(Error::CudaUnavailable),
            DeviceChoice::Auto if self.probe_cuda().is_ok() => Ok(Device::Cuda),
            DeviceChoice::Auto => Ok(Device::Cpu),
        }
    }

    /// Copies a number to the device, which opens CUDA's libraries, the driver and the device itself.
    fn probe_cuda(&self) -> Result<(), String> {
        let built_in = CUDA::is_available().map_err(|error| error.to_string())?;
        if !built_in {
            return Err(format!(
                "{} is built without CUDA (run `make setup DEVICE=cuda`)",
                self.library().display()
            ));
        }
        self.open_cuda_libraries()?;
        let number = Tensor::from_array(([1], vec![0.0_f32]));
        let copied = number.and_then(|number| number.to(AllocationDevice::CUDA, Device::ORDINAL));
        copied.map(|_| ()).map_err(|error| reason(&error.to_string()))
    }

    /// Opens CUDA's libraries that lie beside ONNX Runtime's, where `make setup DEVICE=cuda` puts them:
    /// whoever asks for one by its name then gets the opened one. Those that do not lie there are left to
    /// the system.
    fn open_cuda_libraries(&self) -> Result<(), String> {
        preload_dylib(DRIVER).map_err(|error| format!("NVIDIA's driver is missing ({})", cause(&error)))?;
        let folder = self.library().parent().unwrap_or(self.library());
        // cuDNN opens its own parts.
        for name in CUDA_DYLIBS.iter().chain(&CUDNN_DYLIBS[..1]) {
            let path = folder.join(name);
            if path.is_file() {
                preload_dylib(&path)
                    .map_err(|error| format!("cannot open {} ({})", path.display(), cause(&error)))?;
            }
        }
        Ok(())
    }
}

/// What the system's loader says, which names the library.
fn cause(error: &dyn StdError) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// What ONNX Runtime says of CUDA, without the places in its own source: the words of the system's loader
/// about a library that does not open, or CUDA's about a device that does not work.
fn reason(message: &str) -> String {
    let loader = message.rsplit_once("with error: ").map(|(_, words)| words);
    let cuda = || message.find("CUDA failure").and_then(|at| message[at..].split(" ;").next());
    let words = loader.or_else(cuda).unwrap_or(message);
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The library that comes with NVIDIA's driver.
const DRIVER: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

/// Adds the device's execution provider.
pub(crate) fn register(
    builder: ort::session::builder::SessionBuilder,
    device: Device,
    tf32: bool,
) -> Result<ort::session::builder::SessionBuilder> {
    match device {
        Device::Cpu => Ok(builder),
        Device::Cuda => builder
            .with_execution_providers([CUDA::default().with_tf32(tf32).build().error_on_failure()])
            .map_err(failed("use CUDA")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_the_loaders_or_cudas_words() {
        let library = "/src/provider_bridge_ort.cc:2043 [ONNXRuntimeError] : 1 : FAIL : Failed to load library \
            a/libonnxruntime_providers_cuda.so with error: libcurand.so.10: cannot open shared object file\n";
        assert_eq!(reason(library), "libcurand.so.10: cannot open shared object file");
        let device = "/src/info.cc:63 [ONNXRuntimeError] : 1 : FAIL : Failed to parse \"device_id\": CUDA failure \
            100: no CUDA-capable device is detected ; GPU=-1 ; hostname=a ; line=70";
        assert_eq!(reason(device), "CUDA failure 100: no CUDA-capable device is detected");
        assert_eq!(reason("something else"), "something else");
    }
}
