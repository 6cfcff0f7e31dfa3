//! Choosing between the CPU and a CUDA device. There is no silent fallback: a requested device is used or is an error, and
//! the device that `auto` chose can be printed.

use std::error::Error as StdError;
use std::fmt;

use midashi_config::DeviceChoice;
use ort::ep::cuda::{CUDA_DYLIBS, CUDNN_DYLIBS};
use ort::ep::{CPU, CUDA, ExecutionProvider};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::util::preload_dylib;
use ort::value::Tensor;

use crate::error::{Error, Result};
use crate::library::Runtime;

/// The device that runs the models.
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
    /// Index of the device among those of its kind.
    pub(crate) const ORDINAL: i32 = 0;

    /// Name of ONNX Runtime's execution provider for the device.
    pub(crate) fn provider(self) -> &'static str {
        match self {
            Self::Cpu => CPU::NAME,
            Self::Cuda => CUDA::NAME,
        }
    }

    /// ONNX Runtime's name for the device's memory.
    pub(crate) fn allocation(self) -> AllocationDevice<'static> {
        match self {
            Self::Cpu => AllocationDevice::CPU,
            Self::Cuda => AllocationDevice::CUDA,
        }
    }

    /// The device's memory, to bind outputs to.
    pub(crate) fn memory(self) -> ort::Result<MemoryInfo<'static>> {
        MemoryInfo::new(self.allocation(), Self::ORDINAL, AllocatorType::Device, MemoryType::Default)
    }
}

impl Runtime {
    /// The device for `choice`.
    ///
    /// # Errors
    /// When CUDA is requested and does not work. The message holds the loader's or CUDA's reason, such as the name of a
    /// missing library.
    pub fn device(&self, choice: DeviceChoice) -> Result<Device> {
        match choice {
            DeviceChoice::Cpu => Ok(Device::Cpu),
            DeviceChoice::Cuda => self.probe_cuda().map(|()| Device::Cuda).map_err(Error::CudaUnavailable),
            DeviceChoice::Auto if self.probe_cuda().is_ok() => Ok(Device::Cuda),
            DeviceChoice::Auto => Ok(Device::Cpu),
        }
    }

    /// Copies a number to the device, which opens CUDA's libraries, the driver and the device.
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

    /// Opens CUDA's libraries from ONNX Runtime's folder, where `make setup DEVICE=cuda` puts them. The loader then finds
    /// the opened ones by name. The system must supply those that are not in the folder.
    fn open_cuda_libraries(&self) -> Result<(), String> {
        preload_dylib(DRIVER).map_err(|error| format!("NVIDIA's driver is missing ({})", cause(&error)))?;
        let folder = self.library().parent().unwrap_or(self.library());
        // cuDNN opens its other libraries itself, so only the first is opened here.
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

/// The message of the system's loader, which names the library.
fn cause(error: &dyn StdError) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The reason within ONNX Runtime's message about CUDA: the loader's message about a library that does not open, or CUDA's
/// about a device that does not work. The locations in ONNX Runtime's source are left out.
fn reason(message: &str) -> String {
    let loader = message.rsplit_once("with error: ").map(|(_, reason)| reason);
    let cuda = || message.find("CUDA failure").and_then(|at| message[at..].split(" ;").next());
    let reason = loader.or_else(cuda).unwrap_or(message);
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The library that comes with NVIDIA's driver.
const DRIVER: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_the_loaders_or_cudas_message() {
        let library = "/src/provider_bridge_ort.cc:2043 [ONNXRuntimeError] : 1 : FAIL : Failed to load library \
            a/libonnxruntime_providers_cuda.so with error: libcurand.so.10: cannot open shared object file\n";
        assert_eq!(reason(library), "libcurand.so.10: cannot open shared object file");
        let device = "/src/info.cc:63 [ONNXRuntimeError] : 1 : FAIL : Failed to parse \"device_id\": CUDA failure \
            100: no CUDA-capable device is detected ; GPU=-1 ; hostname=a ; line=70";
        assert_eq!(reason(device), "CUDA failure 100: no CUDA-capable device is detected");
        assert_eq!(reason("something else"), "something else");
    }
}
