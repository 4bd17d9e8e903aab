use super::*;
use crate::data::tests::folder;
use ndarray::array;

#[test]
fn an_unknown_name_lists_the_known_and_the_nearest() {
    let message = load("mnits", None).unwrap_err().to_string();
    let names = "one of digits, optdigits, mnist, fashion-mnist, adult";
    assert!(message.contains("teacher.dataset: found `mnits`"), "{message}");
    assert!(message.contains(names) && message.ends_with("did you mean `mnist`?"), "{message}");
}

#[test]
fn a_set_of_files_without_a_root_says_how_to_give_one() {
    assert_eq!(load("digits", None).unwrap().len(), 1797);
    for card in cards().iter().filter(|card| !card.files.is_empty()) {
        let message = load(card.name, None).unwrap_err().to_string();
        for way in ["data.root", "RETORT_DATA", "--data"] {
            assert!(message.contains(way), "{message}");
        }
    }
}

#[test]
fn missing_files_are_listed() {
    let root = folder("registry-missing");
    for (name, file) in [
        ("mnist", "train-images.idx3-ubyte"),
        ("adult", "adult.data"),
        ("optdigits", "optdigits.tes"),
    ] {
        let message = load(name, Some(&root)).unwrap_err().to_string();
        assert!(message.contains(file), "{message}");
    }
}

#[test]
fn a_named_set_of_another_size_is_refused() {
    let root = folder("registry-size");
    let dir = root.join("mnist");
    std::fs::create_dir_all(&dir).unwrap();
    for part in ["train", "t10k"] {
        let images = [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255];
        std::fs::write(dir.join(format!("{part}-images-idx3-ubyte")), images).unwrap();
        let labels = [0, 0, 8, 1, 0, 0, 0, 1, 9];
        std::fs::write(dir.join(format!("{part}-labels.idx1-ubyte")), labels).unwrap();
    }
    let message = load("mnist", Some(&root)).unwrap_err().to_string();
    assert!(message.contains("found 2 rows, 2 features, 10 classes"), "{message}");
    let one = load_idx(&dir.join("train-images-idx3-ubyte"), &dir.join("train-labels.idx1-ubyte"));
    let one = one.unwrap();
    assert_eq!((one.inputs, one.labels), (array![[0.0, 1.0]], vec![9]));
    assert_eq!(one.shape, InputShape::Image { c: 1, h: 1, w: 2 });
}

#[test]
fn own_arrays_and_tables_load_as_they_are() {
    let dir = folder("registry-own");
    let (x, y, t) = (dir.join("x.npy"), dir.join("y.npy"), dir.join("t.csv"));
    npy::write_f32(&x, array![[1.0, -2.0], [3.0, 4.0]].view()).unwrap();
    npy::write_labels(&y, &[1, 0]).unwrap();
    let set = load_npy(&x, &y).unwrap();
    assert_eq!((set.name.as_str(), set.classes, set.range), ("x", 2, (-2.0, 4.0)));

    std::fs::write(&t, "y,a,b\n1,1,-2\n0,3,4\n").unwrap();
    for label in ["y", "0"] {
        let table = load_csv(&t, Some(label)).unwrap();
        assert_eq!((&table.inputs, &table.hash), (&set.inputs, &set.hash));
    }

    npy::write_labels(&y, &[1]).unwrap();
    assert!(load_npy(&x, &y).unwrap_err().to_string().contains("found 1 labels"));
    npy::write_f32(&y, array![[0.5], [1.0]].view()).unwrap();
    assert!(load_npy(&x, &y).unwrap_err().to_string().contains("row 0: found 0.5"));
}

#[test]
fn check_names_each_file_with_its_hash_and_size() {
    let root = folder("registry-check");
    std::fs::create_dir_all(root.join("adult")).unwrap();
    std::fs::write(root.join("adult/adult.data"), "abc").unwrap();
    let hash = blake3::hash(b"abc").to_hex().to_string();
    assert_eq!(check("adult", Some(&root)).unwrap(), [("adult.data".to_string(), hash, 3)]);
    assert_eq!(check("digits", None).unwrap()[0].1, digits().unwrap().hash);
}
