//! Round trips, and files that are not what they should be.
#![allow(clippy::disallowed_types, reason = "the safetensors crate asks for it")]

use super::*;
use crate::Seed;
use safetensors::tensor::serialize;
use std::collections::HashMap;

/// A folder of this test alone, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("retort-save-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, bytes: &[u8]) -> PathBuf {
        let path = self.0.join("model.safetensors");
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const FLAT: InputShape = InputShape::Flat(2);

fn model() -> Model {
    Model::init(&Arch::Logistic {}, FLAT, 2, Device::Cpu, Seed::new(1)).unwrap()
}

fn header(arch: Arch) -> String {
    let provenance = Provenance::new();
    let header = Header { format: FORMAT, arch, shape: FLAT, classes: 2, provenance };
    serde_json::to_string(&header).unwrap()
}

/// A file of raw tensors under the header of a logistic model of 2 features and 2 classes.
fn file(tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
    file_of(Arch::Logistic {}, tensors)
}

/// The same under the header of a model of this kind.
fn file_of(arch: Arch, tensors: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap())
    });
    serialize(views, Some(HashMap::from([(KEY.to_string(), header(arch))]))).unwrap()
}

/// A file with a header written by hand.
fn raw(entries: &str, data: usize) -> Vec<u8> {
    let mut bytes = (entries.len() as u64).to_le_bytes().to_vec();
    bytes.extend(entries.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

fn refusal(scratch: &Scratch, bytes: &[u8]) -> String {
    Model::load(&scratch.file(bytes), Device::Cpu).expect_err("refused").to_string()
}

#[test]
fn every_network_comes_back_as_it_was_and_bytes_repeat() {
    let scratch = Scratch::new("trip");
    let provenance = Provenance::from([("seed".into(), "7".into()), ("data".into(), "ab".into())]);
    for arch in Arch::examples() {
        let shape = InputShape::Image { c: 1, h: 8, w: 8 };
        let model = Model::init(&arch, shape, 10, Device::Cpu, Seed::new(1)).unwrap();
        let path = scratch.0.join("model.safetensors");
        model.save(&path, &provenance).unwrap();
        let (back, found) = Model::load(&path, Device::Cpu).unwrap();
        assert_eq!(found, provenance);
        assert_eq!((back.arch(), back.shape(), back.classes()), (&arch, shape, 10));
        assert_eq!(back.weights().unwrap(), model.weights().unwrap());
        assert_eq!(back.to_bytes(&provenance).unwrap(), model.to_bytes(&provenance).unwrap());
    }
    assert_eq!(std::fs::read_dir(&scratch.0).unwrap().count(), 1, "nothing is left aside");
}

#[test]
fn offsets_that_lie_are_refused_with_tensor_and_sizes() {
    let scratch = Scratch::new("offsets");
    let entry = |name: &str, from: usize, to: usize| {
        format!(r#""{name}":{{"dtype":"F32","shape":[2,2],"data_offsets":[{from},{to}]}}"#)
    };
    let one = |from, to| format!("{{{}}}", entry("w", from, to));
    let two = |a: (usize, usize), b: (usize, usize)| {
        format!("{{{},{}}}", entry("a", a.0, a.1), entry("b", b.0, b.1))
    };
    let huge = r#"{"w":{"dtype":"F32","shape":[1000,1000],"data_offsets":[0,4]}}"#;
    let cases = [
        (raw(huge, 4), "tensor `w`: found 4 bytes for F32 [1000, 1000], which needs 4000000 bytes"),
        (raw(&one(0, 12), 12), "tensor `w`: found 12 bytes for F32 [2, 2], which needs 16"),
        (raw(&one(0, 20), 20), "found 20 bytes"),
        (raw(&one(16, 0), 16), "found offsets 16 to 0"),
        (raw(&one(0, 16), 8), "tensor `w`: found data up to byte 16 of 8"),
        (raw(&one(0, 16), 24), "found 16 bytes of tensors in 24 bytes of data"),
        (raw(&two((0, 16), (8, 24)), 24), "tensor `b`: found data from byte 8"),
        (raw(&two((0, 16), (20, 36)), 36), "tensor `b`: found data from byte 20"),
        (vec![0; 3], "found 3 bytes"),
        (u64::MAX.to_le_bytes().to_vec(), "in a file of 8"),
        (raw("{", 0), "header: found"),
    ];
    for (bytes, expected) in cases {
        let message = refusal(&scratch, &bytes);
        assert!(message.contains(expected), "{message}\nexpected {expected}");
    }
}

#[test]
fn other_tensors_than_the_networks_are_refused_in_three_lists() {
    let scratch = Scratch::new("names");
    let weight: (&str, Dtype, &[usize], Vec<u8>) =
        ("output.weight", Dtype::F32, &[2, 2], vec![0; 16]);
    let wide: (&str, Dtype, &[usize], Vec<u8>) = ("output.bias", Dtype::F32, &[3], vec![0; 12]);
    let stray: (&str, Dtype, &[usize], Vec<u8>) = ("fc.bias", Dtype::F32, &[2], vec![0; 8]);
    let cases = [
        (file(&[]), "missing: output.bias, output.weight; extra: none; of another shape: none"),
        (file(std::slice::from_ref(&weight)), "missing: output.bias; extra: none"),
        (file(&[weight.clone(), stray]), "missing: output.bias; extra: fc.bias"),
        (file(&[weight, wide]), "of another shape: output.bias [3] for [2]"),
    ];
    for (bytes, expected) in cases {
        let message = refusal(&scratch, &bytes);
        assert!(message.contains(expected), "{message}");
    }
    let empty = Model::from_tensors(&Arch::Logistic {}, FLAT, 2, Device::Cpu, Vec::new());
    assert!(empty.unwrap_err().to_string().contains("missing: output.bias, output.weight"));
}

#[test]
fn regressions_of_no_numbers_are_refused_with_their_file() {
    let scratch = Scratch::new("regressions");
    let load = |number: f32, outputs: usize| {
        let bytes = |n: usize| vec![number.to_le_bytes(); n].concat();
        let weight: (&str, Dtype, &[usize], Vec<u8>) =
            ("output.weight", Dtype::F32, &[2, 2], vec![0; 16]);
        let shape = [outputs];
        let bias = ("output.bias", Dtype::F32, &shape[..], bytes(outputs));
        let path = scratch.file(&file_of(Arch::OneVsRest {}, &[weight, bias]));
        Model::load(&path, Device::Cpu).map_err(|e| e.to_string())
    };
    assert_eq!(load(1.0, 2).unwrap().0.arch(), &Arch::OneVsRest {});
    let message = load(f32::NAN, 2).unwrap_err();
    assert!(
        message.contains("model.safetensors") && message.contains("found NaN in `output.bias`")
    );
    assert!(load(f32::INFINITY, 2).unwrap_err().contains("found inf in `output.bias`"));
    assert!(load(1.0, 3).unwrap_err().contains("output.bias [3] for [2]"));
}

#[test]
fn float_types_load_exactly_and_others_are_refused_by_name() {
    let scratch = Scratch::new("types");
    let load = |dtype, bytes: Vec<u8>| {
        let bias: (&str, Dtype, &[usize], Vec<u8>) = ("output.bias", dtype, &[2], bytes);
        let weight: (&str, Dtype, &[usize], Vec<u8>) =
            ("output.weight", Dtype::F32, &[2, 2], vec![0; 16]);
        Model::load(&scratch.file(&file(&[weight, bias])), Device::Cpu)
    };
    let exact = [
        (Dtype::F32, [1.5f32, -0.1].iter().flat_map(|v| v.to_le_bytes()).collect(), [1.5, -0.1]),
        (Dtype::F64, [1.5f64, -0.25].iter().flat_map(|v| v.to_le_bytes()).collect(), [1.5, -0.25]),
        (Dtype::BF16, vec![0xc0, 0x3f, 0x80, 0xbf], [1.5, -1.0]),
        (Dtype::F16, vec![0x00, 0x3e, 0x01, 0x80], [1.5, -5.960_464_5e-8]),
    ];
    for (dtype, bytes, expected) in exact {
        let (model, _) = load(dtype, bytes).unwrap();
        assert_eq!(model.weights().unwrap()[1].2, expected, "{dtype}");
    }
    for (dtype, size) in [(Dtype::I64, 8), (Dtype::U8, 1), (Dtype::BOOL, 1), (Dtype::I32, 4)] {
        let message = load(dtype, vec![0; 2 * size]).unwrap_err().to_string();
        let expected = format!("tensor `output.bias`: found elements of type {dtype}");
        assert!(message.contains(&expected), "{message}");
    }
    let rounded = [0.1f64, 0.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert!(load(Dtype::F64, rounded).unwrap_err().to_string().contains("F64 value 1e-1"));
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let scratch = Scratch::new("kind");
    let view = TensorView::new(Dtype::F32, vec![1], &[0; 4]).unwrap();
    let message = refusal(&scratch, &serialize([("w", view)], None).unwrap());
    assert!(message.contains("no `retort` entry"), "{message}");
    let missing = Model::load(&scratch.0.join("none"), Device::Cpu).unwrap_err();
    assert!(matches!(missing, Error::Io { .. }));
    assert!(model().save(&scratch.0.join("no/such/folder"), &Provenance::new()).is_err());
}
