//! Where models run, and a clear word when that place does not exist.

use candle_core::Device as Engine;

use crate::error::{Error, Result, nearest};

/// Where models run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// This machine's processor.
    #[default]
    Cpu,
    /// The CUDA device of this number.
    Cuda(usize),
}

/// What [`Device::parse`] accepts.
const EXPECTED: &str = "`cpu`, `cuda:N` or `auto`";

impl Device {
    /// The device called `cpu`, `cuda:N` or `auto`, checked to exist. The second part is a warning:
    /// `auto` says so when a build with CUDA finds no device and falls back to the processor.
    pub fn parse(name: &str) -> Result<(Self, Option<String>)> {
        match name {
            "cpu" => Ok((Self::Cpu, None)),
            "auto" => Ok(Self::automatic()),
            _ => match name.strip_prefix("cuda:").map(str::parse) {
                Some(Ok(number)) => {
                    let device = Self::Cuda(number);
                    device.open().map(|_| (device, None))
                }
                _ => Err(unknown(name)),
            },
        }
    }

    fn automatic() -> (Self, Option<String>) {
        if !candle_core::utils::cuda_is_available() {
            return (Self::Cpu, None);
        }
        match Self::Cuda(0).open() {
            Ok(_) => (Self::Cuda(0), None),
            Err(error) => (Self::Cpu, Some(format!("{error}; using the CPU"))),
        }
    }

    /// The engine's handle.
    pub(super) fn open(self) -> Result<Engine> {
        let Self::Cuda(number) = self else { return Ok(Engine::Cpu) };
        let fail = |why: String| Error::Device { asked: self.to_string(), why };
        if !candle_core::utils::cuda_is_available() {
            let why = "this build has no CUDA; rebuild with `--features cuda`, or use `cpu`";
            return Err(fail(why.into()));
        }
        Engine::new_cuda(number).map_err(|e| {
            let first = e.to_string().lines().next().unwrap_or_default().to_string();
            fail(format!("no such CUDA device here ({first}); use `cpu` or `auto`"))
        })
    }
}

impl std::fmt::Display for Device {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

fn unknown(name: &str) -> Error {
    let mut why = format!("unknown name, expected {EXPECTED}");
    if let Some(near) = nearest(name, ["cpu", "cuda:0", "auto"]) {
        why += &format!("; did you mean `{near}`?");
    }
    Error::Device { asked: name.into(), why }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there() {
        assert_eq!(Device::parse("cpu").unwrap(), (Device::Cpu, None));
        assert!(Device::parse("auto").is_ok());
    }

    #[test]
    fn an_unknown_name_lists_what_is_expected() {
        for (name, near) in [("cuda", "cuda:0"), ("cuda:x", "cuda:0"), ("gpu", "cpu"), ("", "")] {
            let message = Device::parse(name).unwrap_err().to_string();
            assert!(message.contains(EXPECTED) && message.contains(near), "{message}");
        }
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_how_to_get_it() {
        let message = Device::parse("cuda:0").unwrap_err().to_string();
        assert!(message.starts_with("device `cuda:0`: this build has no CUDA"), "{message}");
    }
}
