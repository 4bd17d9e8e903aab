use ndarray::array;

use super::*;
use crate::oracle::{AnswerKind, Answers, Card, Denial, Outcome, Tick, TopK};

fn request(input: &str) -> Result<Array2<f32>> {
    let body = format!(r#"{{"inputs":[{input}]}}"#);
    InferRequest::from_bytes(body.as_bytes(), None)?.rows(2)
}

#[test]
fn flat_and_nested_data_give_the_same_rows() {
    let expected = array![[1.0f32, 2.0], [3.0, -0.5]];
    let head = r#""name":"x","shape":[2,2],"datatype":"FP32","surprise":7,"parameters":null"#;
    for data in ["[1,2,3,-0.5]", "[[1,2],[3,-0.5]]"] {
        assert_eq!(request(&format!(r#"{{{head},"data":{data}}}"#)).unwrap(), expected);
    }
    let image = r#"{"name":"x","shape":[2,1,2],"datatype":"FP64","data":[1,2,3,-0.5]}"#;
    assert_eq!(request(image).unwrap(), expected);
}

#[test]
fn anything_else_is_an_input_error() {
    for input in [
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,3]}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2,3],[4]]}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1,2],3,4]}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[[1],[2],[3],[4]]}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,3,null]}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,3,"4"]}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,2,3,1e39]}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":3}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"FP32","data":[[[[[[[[[[1]]]]]]]]]]}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"FP32"}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"UINT8","data":[1,2,3,-4]}"#,
        r#"{"name":"x","shape":[2,2],"datatype":"BYTES","data":[1,2,3,4]}"#,
        r#"{"name":"x","shape":[1,4],"datatype":"FP32","data":[1,2,3,4]}"#,
        r#"{"name":"x","shape":[0,2],"datatype":"FP32","data":[]}"#,
        r#"{"name":"x","shape":[2],"datatype":"FP32","data":[1,2]}"#,
        r#"{"name":"x","shape":[],"datatype":"FP32","data":[1]}"#,
        r#"{"name":"x","shape":[-1,2],"datatype":"FP32","data":[1,2]}"#,
        r#"{"name":"x","shape":[9223372036854775807,4],"datatype":"FP32","data":[1,2]}"#,
        r#"{"name":"x","shape":[0,9223372036854775807,4],"datatype":"FP32","data":[]}"#,
    ] {
        assert!(matches!(request(input), Err(Error::Input { .. })), "{input}");
    }
}

#[test]
fn bytes_carry_the_same_rows() {
    let rows = array![[0.1f32, -0.0], [f32::MIN_POSITIVE / 2.0, 3e38]];
    let values = rows.iter().map(|&v| f64::from(v)).collect();
    let input = Tensor::floats("x", Datatype::Fp32, vec![2, 2], values);
    let asked = InferRequest { inputs: vec![input], ..Default::default() };
    let (body, head) = asked.clone().to_binary().unwrap();
    assert_eq!(InferRequest::from_bytes(&body, Some(head)).unwrap().rows(2).unwrap(), rows);
    let json = serde_json::to_vec(&asked).unwrap();
    assert_eq!(InferRequest::from_bytes(&json, None).unwrap().rows(2).unwrap(), rows);
    for (body, head) in [(&body[..], head + 999), (&body[..body.len() - 1], head)] {
        assert!(InferRequest::from_bytes(body, Some(head)).is_err());
    }
    let long = [&body[..], b"?"].concat();
    assert!(InferRequest::from_bytes(&long, Some(head)).is_err());
}

#[test]
fn small_types_are_read_from_bytes() {
    let read = |name: &str, bytes: &[u8]| Datatype::parse(name).unwrap().read(bytes).unwrap();
    assert_eq!(read("INT16", &[0xfe, 0xff, 3, 0]), [-2.0, 3.0]);
    assert_eq!(read("UINT8", &[255, 0]), [255.0, 0.0]);
    assert_eq!(
        read("FP16", &[0x00, 0x3c, 0x01, 0x00, 0x00, 0xc0, 0xff, 0x7b]),
        [1.0, 2f64.powi(-24), -2.0, 65504.0]
    );
    assert!(Datatype::Fp64.read(&[0; 9]).is_err());
}

#[test]
fn answers_survive_the_wire_bit_for_bit() {
    let third = array![[1.0 / 3.0, 0.1 + 0.2], [5e-324, 1.0 - f64::EPSILON / 2.0]];
    let ids = array![[1, 0], [0, 1]];
    for answers in [
        Answers::Probs(third.clone()),
        Answers::Logits(third.clone()),
        Answers::Labels(vec![1, 0]),
        Answers::TopK(TopK { classes: 2, ids, probs: third }),
    ] {
        for binary in [false, true] {
            let reply = InferReply { outputs: tensors(&answers), ..Default::default() };
            let (body, head) = reply.to_bytes(|_| binary).unwrap();
            let back = InferReply::from_bytes(&body, head).unwrap();
            let card = Card { inputs: 1, classes: 2, answers: answers.kind() };
            assert_eq!(Reading::of(card).read(&back.outputs, 2).unwrap(), answers);
        }
    }
}

#[test]
fn values_json_cannot_hold_are_refused_not_nulled() {
    let outputs = tensors(&Answers::Logits(array![[f64::NEG_INFINITY]]));
    let reply = InferReply { outputs, ..Default::default() };
    assert!(matches!(reply.to_bytes(|_| false), Err(Error::Internal(_))));
}

#[test]
fn outcomes_survive_the_wire() {
    let outcomes = [
        Outcome::Answered(0),
        Outcome::Denied(Denial::OverBudget { left: 0 }),
        Outcome::Denied(Denial::Throttled { retry_at: Tick(u64::MAX) }),
        Outcome::Answered(1),
        Outcome::Denied(Denial::Blocked { by: "prada" }),
        Outcome::Denied(Denial::WorkRequired { bits: 12 }),
    ];
    let value = outcomes_to(&outcomes);
    assert_eq!(value[1], serde_json::json!({"denied": "over-budget", "left": 0}));
    assert_eq!(outcomes_from(Some(&value), 6).unwrap(), outcomes);
    assert!(outcomes_from(Some(&value), 5).is_err());
    assert_eq!(outcomes_from(None, 1).unwrap(), [Outcome::Answered(0)]);
}

#[test]
fn a_class_that_does_not_exist_is_refused() {
    let reading = Reading::of(Card { inputs: 1, classes: 2, answers: AnswerKind::Labels });
    assert!(reading.read(&tensors(&Answers::Labels(vec![2])), 1).is_err());
}
