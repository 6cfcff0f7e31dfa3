//! Finding and opening ONNX Runtime's shared library.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;

use crate::error::{Error, Result, failed};

/// The process's only ONNX Runtime: it allows one environment a process, created once.
static OPENED: Mutex<Option<Runtime>> = Mutex::new(None);

/// An opened ONNX Runtime.
#[derive(Clone)]
pub struct Runtime {
    pub(crate) environment: Environment,
    library: PathBuf,
}

impl Runtime {
    /// Opens the library that the environment variable `ORT_DYLIB_PATH` names, else the one in `folder`. A process opens
    /// one library: later calls return it and ignore `folder`.
    ///
    /// # Errors
    /// When there is no library or it cannot be opened.
    pub fn load(folder: &Path) -> Result<Self> {
        let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
        match &*opened {
            Some(runtime) => Ok(runtime.clone()),
            None => Ok(opened.insert(Self::open(folder)?).clone()),
        }
    }

    fn open(folder: &Path) -> Result<Self> {
        let library = match std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => find_in(folder).ok_or_else(|| Error::LibraryMissing { folder: folder.to_owned() })?,
        };
        let unusable = |message: String| Error::LibraryUnusable { path: library.clone(), message };
        if !library.is_file() {
            return Err(unusable("there is no such file".to_owned()));
        }
        let environment = ort::init_from(&library)
            .map_err(|error| unusable(error.to_string()))?
            .with_name("midashi")
            .with_telemetry(false)
            .build()
            .map_err(failed("start"))?;
        environment.set_log_level(ort::logging::LogLevel::Error);
        Ok(Self { environment, library })
    }

    /// The path of the opened library.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// One line for people: the library's file name, which ends in its version, and its build.
    pub fn version(&self) -> String {
        let file = self.library.canonicalize().unwrap_or_else(|_| self.library.clone());
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        format!("{name} ({})", ort::info().trim_start_matches("ORT Build Info: "))
    }
}

/// The library in `folder`, under the name that Linux, macOS or Windows gives it; the last in order if there are several.
fn find_in(folder: &Path) -> Option<PathBuf> {
    let is_library = |name: &str| {
        (name.starts_with("libonnxruntime.") && !name.contains("providers")) || name == "onnxruntime.dll"
    };
    std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_library))
        .max()
}
