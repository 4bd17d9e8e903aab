use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};

use super::*;
use crate::model::llama::matrix::Crew;
use crate::seed::{Seed, normal};

const ALL: [(Format, GgmlDType); 11] = [
    (Format::F32, GgmlDType::F32),
    (Format::F16, GgmlDType::F16),
    (Format::Bf16, GgmlDType::BF16),
    (Format::Q4_0, GgmlDType::Q4_0),
    (Format::Q4_1, GgmlDType::Q4_1),
    (Format::Q5_0, GgmlDType::Q5_0),
    (Format::Q5_1, GgmlDType::Q5_1),
    (Format::Q8_0, GgmlDType::Q8_0),
    (Format::Q4K, GgmlDType::Q4K),
    (Format::Q5K, GgmlDType::Q5K),
    (Format::Q6K, GgmlDType::Q6K),
];

const OUTPUTS: usize = 100;
const INPUTS: usize = 512;

fn draw(name: &str, len: usize) -> Vec<f32> {
    let mut rng = Seed::new(8).child(name).rng();
    (0..len).map(|_| normal(&mut rng) as f32 + 0.3).collect()
}

/// Bytes that candle writes for random weights in a format, and the weights it reads from them.
fn candle(format: GgmlDType) -> (Vec<u8>, Vec<f32>) {
    let weights = draw("weights", OUTPUTS * INPUTS);
    let weights = Tensor::from_vec(weights, (OUTPUTS, INPUTS), &Device::Cpu).unwrap();
    let written = QTensor::quantize(&weights, format).unwrap();
    let read = written.dequantize(&Device::Cpu).unwrap().flatten_all().unwrap();
    (written.data().unwrap().into_owned(), read.to_vec1().unwrap())
}

#[test]
fn weights_of_every_format_are_those_that_candle_reads() {
    for (format, theirs) in ALL {
        let (bytes, expected) = candle(theirs);
        let (unit, size) = format.unit();
        assert_eq!(bytes.len(), OUTPUTS * INPUTS / unit * size, "{format:?}");
        let weights = format.weights(OUTPUTS, INPUTS, &bytes);
        let mut row = vec![0.0; INPUTS];
        for (output, expected) in expected.chunks_exact(INPUTS).enumerate() {
            weights.row(output, &mut row);
            for (found, expected) in row.iter().zip(expected) {
                // Scale and minimum are added with one rounding here, with two there.
                assert!((found - expected).abs() <= 1e-6, "{format:?}: {found} for {expected}");
            }
        }
    }
}

#[test]
fn products_are_sums_of_the_weights_for_any_rows_and_threads() {
    for (format, theirs) in ALL {
        let (bytes, expected) = candle(theirs);
        let weights = format.weights(OUTPUTS, INPUTS, &bytes);
        let rows = 21;
        let x = draw("inputs", rows * INPUTS);
        let product = |threads: usize, rows: usize, x: &[f32]| {
            let crew = Crew::of(threads).unwrap();
            let mut y = vec![f32::NAN; rows * OUTPUTS];
            crew.run(|| weights.multiply(&crew, rows, x, &mut y));
            y
        };
        let all = product(1, rows, &x);
        for (x, y) in x.chunks_exact(INPUTS).zip(all.chunks_exact(OUTPUTS)) {
            for (weights, found) in expected.chunks_exact(INPUTS).zip(y) {
                let terms = x.iter().zip(weights).map(|(x, w)| f64::from(*x) * f64::from(*w));
                let (sum, size) = terms.fold((0.0, 0.0), |(s, z), t: f64| (s + t, z + t.abs()));
                assert!(
                    (f64::from(*found) - sum).abs() < 2e-6 * size,
                    "{format:?}: {found} for {sum}"
                );
            }
        }
        for few in [1, 2, 3, 4, 5, 7] {
            for threads in [1, 2, 3] {
                let y = product(threads, few, &x[..few * INPUTS]);
                assert_eq!(y, all[..few * OUTPUTS], "{format:?}, {few} rows, {threads} threads");
            }
        }
        assert_eq!(product(2, rows, &x), all);
    }
}

#[test]
fn norms_come_in_plain_numbers_only() {
    let numbers = [1.5f32, -2.0, 0.25];
    let full: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let half: Vec<u8> = numbers.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
    let brain: Vec<u8> = numbers.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect();
    for (format, bytes) in [(Format::F32, &full), (Format::F16, &half), (Format::Bf16, &brain)] {
        assert_eq!(format.numbers(bytes).unwrap(), numbers);
    }
    assert_eq!(Format::Q8_0.numbers(&[0; 34]), None);
}
