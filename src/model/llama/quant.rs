//! The number formats of GGUF files, as ggml lays them out (ggml-common.h): blocks of codes with a scale, some with
//! a minimum. Every weight is scale x (code - zero) + minimum.

use half::{bf16, f16};

use super::kernel::{Codes, Layout};
use super::matrix::{Block, Weights};

/// A format of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    F32,
    F16,
    Bf16,
    Q4_0,
    Q4_1,
    Q5_0,
    Q5_1,
    Q8_0,
    Q4K,
    Q5K,
    Q6K,
}

/// What can be read, for messages.
pub(super) const KNOWN: &str = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K or Q6_K";

impl Format {
    /// Of a number in a GGUF file.
    pub(super) const fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            30 => Self::Bf16,
            _ => return None,
        })
    }

    /// Weights that lie together, and their bytes.
    pub(super) const fn unit(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::Bf16 => (1, 2),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q8_0 => (32, 34),
            Self::Q4K => (256, 144),
            Self::Q5K => (256, 176),
            Self::Q6K => (256, 210),
        }
    }

    /// How such weights lie in memory, for rows of so many inputs.
    const fn layout(self, inputs: usize) -> Layout {
        let (codes, block) = match self {
            Self::F32 | Self::F16 => (Codes::Full, inputs),
            Self::Bf16 if inputs.is_multiple_of(2) => (Codes::Brain, inputs),
            Self::Bf16 => (Codes::Full, inputs),
            Self::Q4_0 => (Codes::Four { zero: 8, minimum: false }, 32),
            Self::Q4_1 | Self::Q4K => (Codes::Four { zero: 0, minimum: true }, 32),
            Self::Q5_0 => (Codes::Eight { zero: 16, minimum: false }, 32),
            Self::Q5_1 | Self::Q5K => (Codes::Eight { zero: 0, minimum: true }, 32),
            Self::Q8_0 => (Codes::Eight { zero: 128, minimum: false }, 32),
            Self::Q6K => (Codes::Eight { zero: 32, minimum: false }, 16),
        };
        Layout { codes, block }
    }

    /// A matrix of rows in this format. `bytes` holds exactly `outputs` rows of `inputs` weights, and `inputs` is a
    /// multiple of the unit.
    pub(super) fn weights(self, outputs: usize, inputs: usize, bytes: &[u8]) -> Weights {
        let layout = self.layout(inputs);
        let (unit, size) = self.unit();
        Weights::fill(layout, outputs, inputs, |output, first, to| {
            let at = output * inputs + first;
            let bytes = &bytes[at / unit * size..];
            match self {
                Self::F32 | Self::F16 | Self::Bf16 => {
                    let codes = to.codes.iter_mut().zip(bytes.chunks_exact(size));
                    codes.for_each(|(to, bytes)| *to = self.bits(bytes, layout.codes));
                }
                _ => self.block(bytes, at % unit, to),
            }
        })
    }

    /// All numbers of a tensor of one dimension.
    pub(super) fn numbers(self, bytes: &[u8]) -> Option<Vec<f32>> {
        let plain = matches!(self, Self::F32 | Self::F16 | Self::Bf16);
        let number = |bytes| f32::from_bits(self.bits(bytes, Codes::Full));
        plain.then(|| bytes.chunks_exact(self.unit().1).map(number).collect())
    }

    /// A number without a scale, as its word holds it.
    fn bits(self, bytes: &[u8], codes: Codes) -> u32 {
        match self {
            Self::F32 => u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
            Self::Bf16 if codes == Codes::Brain => {
                u32::from(u16::from_le_bytes([bytes[0], bytes[1]]))
            }
            Self::Bf16 => bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32().to_bits(),
            _ => float(bytes).to_bits(),
        }
    }

    /// The stretch that starts at weight `from` of the unit that starts with `bytes`.
    fn block(self, bytes: &[u8], from: usize, to: &mut Block) {
        let part = from / 32;
        match self {
            Self::Q4_0 => {
                to.scale = float(bytes);
                halves(&bytes[2..18], &mut to.codes);
            }
            Self::Q4_1 => {
                (to.scale, to.minimum) = (float(bytes), float(&bytes[2..]));
                halves(&bytes[4..20], &mut to.codes);
            }
            Self::Q5_0 => {
                to.scale = float(bytes);
                halves(&bytes[6..22], &mut to.codes);
                fifth_bits(&bytes[2..6], &mut to.codes);
            }
            Self::Q5_1 => {
                (to.scale, to.minimum) = (float(bytes), float(&bytes[2..]));
                halves(&bytes[8..24], &mut to.codes);
                fifth_bits(&bytes[4..8], &mut to.codes);
            }
            Self::Q8_0 => {
                to.scale = float(bytes);
                let codes = to.codes.iter_mut().zip(&bytes[2..34]);
                codes.for_each(|(to, code)| *to = u32::from(code ^ 0x80));
            }
            Self::Q4K => {
                (to.scale, to.minimum) = six_bit_pair(bytes, part);
                quarter(&bytes[16..144], part, &mut to.codes);
            }
            Self::Q5K => {
                (to.scale, to.minimum) = six_bit_pair(bytes, part);
                quarter(&bytes[48..176], part, &mut to.codes);
                let codes = to.codes.iter_mut().zip(&bytes[16..48]);
                codes.for_each(|(to, high)| *to |= u32::from(high >> part & 1) << 4);
            }
            Self::Q6K => sixth(bytes, from, to),
            Self::F32 | Self::F16 | Self::Bf16 => {}
        }
    }
}

fn float(bytes: &[u8]) -> f32 {
    f16::from_le_bytes([bytes[0], bytes[1]]).to_f32()
}

/// 32 codes of 4 bits: the low halves of 16 bytes, then the high ones.
fn halves(bytes: &[u8], to: &mut [u32]) {
    for (i, byte) in bytes.iter().enumerate() {
        to[i] = u32::from(byte & 15);
        to[i + 16] = u32::from(byte >> 4);
    }
}

/// The fifth bit of 32 codes.
fn fifth_bits(bytes: &[u8], to: &mut [u32]) {
    let bits = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    to.iter_mut().enumerate().for_each(|(i, to)| *to |= (bits >> i & 1) << 4);
}

/// Part `part` of eight of 256 codes of 4 bits: 32 bytes hold two parts, the first in their low halves.
fn quarter(bytes: &[u8], part: usize, to: &mut [u32]) {
    let bytes = &bytes[part / 2 * 32..][..32];
    let codes = to.iter_mut().zip(bytes);
    codes.for_each(|(to, byte)| *to = u32::from(byte >> (part % 2 * 4) & 15));
}

/// Scale and minimum of part `part` of eight: 6 bits each in 12 bytes, times two numbers of the unit.
fn six_bit_pair(bytes: &[u8], part: usize) -> (f32, f32) {
    let packed = &bytes[4..16];
    let (scale, least) = if part < 4 {
        (packed[part] & 63, packed[part + 4] & 63)
    } else {
        let (low, top) = (packed[part + 4], part - 4);
        (low & 15 | packed[top] >> 6 << 4, low >> 4 | packed[part] >> 6 << 4)
    };
    (float(bytes) * f32::from(scale), -(float(&bytes[2..]) * f32::from(least)))
}

/// 16 codes of 6 bits from weight `from` on: 4 low bits in 128 bytes, 2 high ones in 64, then 16 scales of 8 bits.
fn sixth(bytes: &[u8], from: usize, to: &mut Block) {
    let (half, within) = (from / 128, from % 128);
    let (part, column) = (within / 32, within % 32);
    let low = &bytes[half * 64 + part % 2 * 32 + column..];
    let high = &bytes[128 + half * 32 + column..];
    for (i, to) in to.codes.iter_mut().enumerate() {
        let low = u32::from(low[i] >> (part / 2 * 4) & 15);
        *to = low | u32::from(high[i] >> (part * 2) & 3) << 4;
    }
    to.scale = float(&bytes[208..]) * f32::from(bytes[192 + from / 16] as i8);
}

#[cfg(test)]
mod tests;
