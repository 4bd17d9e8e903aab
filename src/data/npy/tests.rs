use super::*;
use crate::data::tests::folder;
use ndarray::array;

/// A file of format version `version` with this header text and these bytes.
fn bytes(version: u8, head: &str, body: &[u8]) -> Vec<u8> {
    let length = match version {
        1 => (head.len() as u16).to_le_bytes().to_vec(),
        _ => (head.len() as u32).to_le_bytes().to_vec(),
    };
    [MAGIC, &[version, 0], &length, head.as_bytes(), body].concat()
}

fn dict(descr: &str, fortran: &str, shape: &str) -> String {
    format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}   \n")
}

fn load(name: &str, bytes: &[u8]) -> Result<Npy> {
    let path = folder(&format!("npy-{name}")).join("a.npy");
    std::fs::write(&path, bytes).unwrap();
    read(&path)
}

fn refusal(name: &str, bytes: &[u8]) -> String {
    load(name, bytes).unwrap_err().to_string()
}

#[test]
fn what_is_written_is_read_back() {
    let dir = folder("npy-write");
    let (x, y) = (dir.join("x.npy"), dir.join("y.npy"));
    write_f32(&x, array![[0.5, -1.0, 3.25], [0.0, 1e-7, 9.0]].view()).unwrap();
    write_labels(&y, &[3, 0, 7]).unwrap();
    let read_x = read(&x).unwrap();
    assert_eq!(read_x.shape, [2, 3]);
    assert_eq!(read_x.data, [0.5, -1.0, 3.25, 0.0, f64::from(1e-7f32), 9.0]);
    assert_eq!(read(&y).unwrap(), Npy { shape: vec![3], data: vec![3.0, 0.0, 7.0] });
    let file = std::fs::read(&x).unwrap();
    assert_eq!((file.len() - 24) % 64, 0, "data starts at a multiple of 64 bytes");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2, "no temporary file stays");
}

#[test]
fn every_type_is_read_in_both_byte_orders() {
    let cases: [(&str, &[u8], f64); 16] = [
        ("|u1", &[200], 200.0),
        ("|i1", &[0xfe], -2.0),
        ("|b1", &[1], 1.0),
        ("u1", &[7], 7.0),
        ("<i2", &[0xfe, 0xff], -2.0),
        (">i2", &[0xff, 0xfe], -2.0),
        ("<u2", &[1, 2], 513.0),
        ("<i4", &[0xfe, 0xff, 0xff, 0xff], -2.0),
        (">u4", &[0, 0, 1, 2], 258.0),
        ("<u4", &[0, 0, 0, 0x80], 2_147_483_648.0),
        ("<i8", &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -2.0),
        (">u8", &[0, 0, 0, 0, 0, 0, 0, 9], 9.0),
        ("<f4", &[0, 0, 0xc0, 0x3f], 1.5),
        (">f4", &[0x3f, 0xc0, 0, 0], 1.5),
        ("<f8", &[0, 0, 0, 0, 0, 0, 0xf8, 0x3f], 1.5),
        (">f8", &[0x3f, 0xf8, 0, 0, 0, 0, 0, 0], 1.5),
    ];
    for (descr, body, expected) in cases {
        for version in 1..=3 {
            let npy = load("types", &bytes(version, &dict(descr, "False", "(1,)"), body)).unwrap();
            assert_eq!(npy, Npy { shape: vec![1], data: vec![expected] }, "{descr}");
        }
    }
}

#[test]
fn fortran_order_is_turned_into_rows() {
    let body: Vec<u8> = (0..6).collect();
    let npy = load("fortran", &bytes(1, &dict("|u1", "True", "(2, 3)"), &body)).unwrap();
    assert_eq!(npy.data, [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
    let body: Vec<u8> = (0..24).collect();
    let npy = load("fortran", &bytes(1, &dict("|u1", "True", "(2, 3, 4)"), &body)).unwrap();
    // Element (1, 2, 3) lies at 1 + 2 * 2 + 3 * 6, element (0, 1, 0) at 2.
    assert_eq!((npy.data[23], npy.data[4]), (23.0, 2.0));
    assert_eq!(npy.rows().unwrap().dim(), (2, 12));
}

#[test]
fn objects_structures_and_other_types_are_refused_by_name() {
    let message = refusal("object", &bytes(1, &dict("|O", "False", "(1,)"), &[0; 8]));
    assert!(message.contains("found `|O`, pickled objects, expected numbers"), "{message}");
    let fields = "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }\n";
    assert!(refusal("fields", &bytes(1, fields, &[0; 4])).contains("a structure of fields"));
    for descr in ["<c8", "<U4", "<f2", "|i4"] {
        assert!(
            refusal("other", &bytes(1, &dict(descr, "False", "(1,)"), &[0; 8])).contains(descr)
        );
    }
}

#[test]
fn a_file_cut_anywhere_or_with_a_byte_too_many_is_refused() {
    let whole = bytes(1, &dict("<f4", "False", "(2,)"), &[0; 8]);
    for n in 0..whole.len() {
        assert!(!refusal("cut", &whole[..n]).is_empty());
    }
    let message = refusal("long", &[&whole[..], &[0]].concat());
    assert!(message.contains("found 9 bytes of data, expected 8 for shape [2]"), "{message}");
}

#[test]
fn a_shape_beyond_the_file_is_refused_before_memory_is_asked_for() {
    for shape in ["(4294967295, 4294967295)", "(9223372036854775807, 3)", "(1000000000000,)"] {
        assert!(
            refusal("lie", &bytes(1, &dict("<f8", "False", shape), &[0; 8])).contains("found 8")
        );
    }
    let long = [MAGIC, &[2, 0], &u32::MAX.to_le_bytes(), b"{}"].concat();
    assert!(refusal("header", &long).contains("found 2 bytes of header, expected 4294967295"));
    assert!(refusal("version", &bytes(9, "{}", &[])).contains("version 9"));
}

#[test]
fn whole_numbers_that_lose_digits_are_refused() {
    let big = ((1u64 << 53) + 1).to_le_bytes();
    let message = refusal("exact", &bytes(1, &dict("<i8", "False", "(1,)"), &big));
    assert!(message.contains("found 9007199254740993"), "{message}");
}
