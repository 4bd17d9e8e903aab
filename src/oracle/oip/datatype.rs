//! The number types of the protocol, and their little-endian bytes.

use crate::error::{Error, Result};

/// Number types. BOOL and BYTES are not numbers and are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Datatype {
    Fp16,
    Fp32,
    Fp64,
    Int { bytes: usize },
    Uint { bytes: usize },
}

impl Datatype {
    /// By its name on the wire.
    pub fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "FP16" => Self::Fp16,
            "FP32" => Self::Fp32,
            "FP64" => Self::Fp64,
            "INT8" => Self::Int { bytes: 1 },
            "INT16" => Self::Int { bytes: 2 },
            "INT32" => Self::Int { bytes: 4 },
            "INT64" => Self::Int { bytes: 8 },
            "UINT8" => Self::Uint { bytes: 1 },
            "UINT16" => Self::Uint { bytes: 2 },
            "UINT32" => Self::Uint { bytes: 4 },
            "UINT64" => Self::Uint { bytes: 8 },
            other => {
                let found = other.chars().take(20).collect::<String>();
                return Err(Error::input("datatype", found, "FP16/32/64, INT8..64 or UINT8..64"));
            }
        })
    }

    /// Its name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fp16 => "FP16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Int { bytes: 1 } => "INT8",
            Self::Int { bytes: 2 } => "INT16",
            Self::Int { bytes: 4 } => "INT32",
            Self::Int { .. } => "INT64",
            Self::Uint { bytes: 1 } => "UINT8",
            Self::Uint { bytes: 2 } => "UINT16",
            Self::Uint { bytes: 4 } => "UINT32",
            Self::Uint { .. } => "UINT64",
        }
    }

    /// True for floats.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::Fp16 | Self::Fp32 | Self::Fp64)
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Fp16 => 2,
            Self::Fp32 => 4,
            Self::Fp64 => 8,
            Self::Int { bytes } | Self::Uint { bytes } => bytes,
        }
    }

    /// True if the type holds `v`; floats also have to be finite in single precision on the way in.
    pub fn admits(self, v: f64) -> bool {
        let whole = v.is_finite() && v.trunc() == v;
        match self {
            Self::Fp16 => v.abs() < 65_520.0,
            Self::Fp32 => (v as f32).is_finite(),
            Self::Fp64 => v.is_finite(),
            Self::Int { bytes } => {
                let half = (1u128 << (8 * bytes - 1)) as f64;
                whole && v >= -half && v < half
            }
            Self::Uint { bytes } => whole && v >= 0.0 && v < (1u128 << (8 * bytes)) as f64,
        }
    }

    /// Numbers from little-endian bytes.
    pub fn read(self, bytes: &[u8]) -> Result<Vec<f64>> {
        let size = self.bytes();
        if !bytes.len().is_multiple_of(size) {
            let expected = format!("a multiple of {size} bytes for {}", self.name());
            return Err(Error::input("binary_data_size", bytes.len(), expected));
        }
        Ok(bytes.chunks_exact(size).map(|c| self.read_one(c)).collect())
    }

    fn read_one(self, chunk: &[u8]) -> f64 {
        let mut wide = [0u8; 8];
        wide[..chunk.len()].copy_from_slice(chunk);
        let raw = u64::from_le_bytes(wide);
        match self {
            Self::Fp16 => half(raw as u16),
            Self::Fp32 => f64::from(f32::from_bits(raw as u32)),
            Self::Fp64 => f64::from_bits(raw),
            Self::Int { bytes } => {
                let shift = 64 - 8 * bytes;
                ((raw << shift) as i64 >> shift) as f64
            }
            Self::Uint { .. } => raw as f64,
        }
    }

    /// Numbers as little-endian bytes.
    pub fn write(self, values: &[f64]) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(values.len() * self.bytes());
        for &v in values {
            match self {
                Self::Fp16 => return Err(Error::input("datatype", "FP16", "a type we write")),
                Self::Fp32 => bytes.extend((v as f32).to_le_bytes()),
                Self::Fp64 => bytes.extend(v.to_le_bytes()),
                Self::Int { bytes: n } => bytes.extend(&(v as i64).to_le_bytes()[..n]),
                Self::Uint { bytes: n } => bytes.extend(&(v as u64).to_le_bytes()[..n]),
            }
        }
        Ok(bytes)
    }
}

/// The value of a half-precision number (IEEE 754 binary16), exact.
fn half(bits: u16) -> f64 {
    let (exponent, fraction) = (i32::from(bits >> 10 & 31), f64::from(bits & 1023));
    let size = match exponent {
        0 => libm::ldexp(fraction, -24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        e => libm::ldexp(1024.0 + fraction, e - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}
