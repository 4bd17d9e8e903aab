use super::*;
use crate::data::tests::folder;
use ndarray::array;

fn table(name: &str, bytes: impl AsRef<[u8]>, options: &Options) -> Result<Table> {
    let path = folder(&format!("csv-{name}")).join("t.csv");
    std::fs::write(&path, bytes).unwrap();
    read(&path, options)
}

fn plain(name: &str, bytes: impl AsRef<[u8]>) -> Result<Table> {
    table(name, bytes, &Options::default())
}

fn refusal(name: &str, bytes: impl AsRef<[u8]>) -> String {
    plain(name, bytes).unwrap_err().to_string()
}

#[test]
fn a_table_reads_the_same_with_a_header_and_without() {
    let with = plain("header", "a,b,label\n1,2,0\n3,4,1\n").unwrap();
    let without = plain("bare", "1,2,0\n3,4,1\n").unwrap();
    assert!(with.header && !without.header);
    assert_eq!(with.inputs, array![[1.0, 2.0], [3.0, 4.0]]);
    assert_eq!((&with.inputs, &with.labels), (&without.inputs, &without.labels));
    assert_eq!((with.columns, with.label), (vec!["a".into(), "b".into()], "label".into()));
    assert_eq!(without.label, "column 2");
}

#[test]
fn a_byte_order_mark_and_crlf_are_dropped_and_a_label_in_front_is_found() {
    let read = plain("bom", "\u{feff}label,a\r\n1,0.5\r\n0,0.25\r\n\r\n").unwrap();
    assert_eq!((read.labels, read.columns), (vec![1, 0], vec!["a".to_string()]));
    let mixed = plain("mixed", "a,b\r\n1,0\n2,1").unwrap();
    assert_eq!(mixed.labels, [0, 1]);
}

#[test]
fn other_encodings_are_refused_by_name() {
    for bom in [[0xff, 0xfe], [0xfe, 0xff]] {
        assert!(refusal("utf16", [&bom[..], b"a\0"].concat()).contains("found UTF-16 text"));
    }
    assert!(refusal("utf16-bare", b"a\0,\0b\0").contains("UTF-16"));
    assert!(refusal("latin", b"a,caf\xe9\n").contains("byte 5: found bytes that are not UTF-8"));
    assert!(refusal("gz", [0x1f, 0x8b, 8, 0]).contains("a gzip file"));
}

#[test]
fn a_ragged_row_is_refused_with_line_and_field_counts() {
    let message = refusal("ragged", "a,b,label\n1,2,0\n3,1\n");
    assert!(message.ends_with("line 3: found 2 fields, expected 3, as in line 1"), "{message}");
    assert!(refusal("semicolon", "1;2;0\n").contains("with commas between"));
    assert!(refusal("quote", "1,2,0\n3,\"4,1\n5,6,1\n").contains("line 2"));
}

#[test]
fn a_value_that_is_no_finite_number_is_refused_with_line_and_column() {
    for bad in ["NaN", "inf", "1e39", "x", "", "?"] {
        let message = refusal("value", format!("a,b,label\n1,2,0\n3,{bad},1\n"));
        assert!(message.contains("line 3, column `b`: found"), "{message}");
        assert!(message.contains("expected a finite number"), "{message}");
    }
    // A first row in which only some cells are no numbers is data, not a header.
    assert!(refusal("first", "1,x,0\n3,4,1\n").contains("line 1, column `column 1`: found `x`"));
}

#[test]
fn labels_are_whole_numbers_or_sorted_names() {
    let names = plain("names", "1,dog\n2,cat\n3,dog\n").unwrap();
    assert_eq!((names.labels, names.classes), (vec![1, 0, 1], vec!["cat".into(), "dog".into()]));
    let numbers = plain("numbers", "1,2.0\n2,0\n").unwrap();
    assert_eq!((numbers.labels, numbers.classes.len()), (vec![2, 0], 3));
    for bad in ["0.5", "-1", "nan", "4096", "1e300", "cat"] {
        assert!(refusal("label", format!("1,0\n2,{bad}\n")).contains("line 2"), "{bad}");
    }
}

#[test]
fn text_columns_become_one_column_a_category_in_sorted_order() {
    let text = "colour,size,income\n red, 3, <=50K\n blue, 4, >50K\n red, 5, <=50K\n\n";
    let options = Options { one_hot: true, ..Options::default() };
    let read = table("one-hot", text, &options).unwrap();
    assert_eq!(read.columns, ["colour=blue", "colour=red", "size"]);
    assert_eq!(read.inputs, array![[0.0, 1.0, 3.0], [1.0, 0.0, 4.0], [0.0, 1.0, 5.0]]);
    assert!(read.inputs.is_standard_layout());
    assert_eq!((read.header, read.classes), (true, vec!["<=50K".into(), ">50K".into()]));
    assert!(refusal("strict", text).contains("column `colour`: found `red`"));
}

#[test]
fn the_label_is_chosen_by_name_or_number() {
    let text = "y,a,b\n1,2,3\n0,5,6\n";
    let by = |label| table("choice", text, &Options { label, ..Options::default() });
    assert_eq!(by(Label::Name("y".into())).unwrap().labels, [1, 0]);
    assert_eq!(by(Label::Index(1)).unwrap().labels, [2, 5]);
    assert_eq!(by(Label::Auto).unwrap().labels, [3, 6]);
    let message = by(Label::Name("yy".into())).unwrap_err().to_string();
    assert!(message.contains("found `yy`, expected one of y, a, b (nearest: `y`)"), "{message}");
    assert!(by(Label::Index(3)).unwrap_err().to_string().contains("found 3, expected 0 to 2"));
}

#[test]
fn a_stated_header_is_believed_and_a_file_without_rows_is_refused() {
    let options = Options { header: Header::Present, ..Options::default() };
    assert_eq!(table("stated", "1,2\n3,4\n", &options).unwrap().labels, [4]);
    assert!(refusal("empty", "").contains("found no data row"));
    assert!(refusal("only-header", "a,label\n").contains("found no data row"));
}
