//! Helpers for layers that change answers row by row.

use ndarray::{Array2, ArrayView1, ArrayViewMut1, Axis};

use super::{Defense, Next, RowMap};
use crate::error::{Error, Result};
use crate::oracle::{AnswerKind, Answers, Batch, Card, Denial, Outcome, Reply};

/// Lets the batch through and changes each row of probabilities in place, with the number of its
/// input row in the batch.
pub fn change_probs(
    batch: &Batch,
    next: &mut Next<'_>,
    mut change: impl FnMut(usize, ArrayViewMut1<'_, f64>),
) -> Result<Reply> {
    let mut reply = next.run(batch)?;
    let answered = reply.answered();
    let Answers::Probs(probs) = &mut reply.answers else { return Err(not_probs()) };
    for (row, i) in answered {
        change(row, probs.row_mut(i));
    }
    Ok(reply)
}

/// A layer that is a function of a clean row. A student that has the function has the whole layer.
pub struct Mapped {
    name: &'static str,
    map: RowMap,
}

impl Mapped {
    /// The layer `name`.
    pub fn new(name: &'static str, map: RowMap) -> Self {
        Self { name, map }
    }
}

impl Defense for Mapped {
    fn name(&self) -> &'static str {
        self.name
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        map_probs(batch, next, &self.map)
    }
}

/// Lets the batch through and changes each row of probabilities by `map(clean, out)`.
pub fn map_probs(
    batch: &Batch,
    next: &mut Next<'_>,
    map: impl Fn(&[f64], &mut [f64]),
) -> Result<Reply> {
    let mut clean = Vec::new();
    change_probs(batch, next, |_, mut row| {
        clean.clear();
        clean.extend(row.iter());
        map(&clean, row.as_slice_mut().expect("rows of a fresh array are contiguous"));
    })
}

/// Lets the batch through and changes each row of probabilities beside what `beside` gives for its
/// input: `change(beside, row)`. Inputs are those of the answered rows `[m, d]`; `beside` gives `[m, _]`.
pub fn change_beside(
    batch: &Batch,
    next: &mut Next<'_>,
    beside: impl FnOnce(&Array2<f32>) -> Result<Array2<f64>>,
    mut change: impl FnMut(&[f64], &mut [f64]),
) -> Result<Reply> {
    let mut reply = next.run(batch)?;
    let answered = reply.answered();
    let known = match answered.len() == batch.len() {
        true => beside(&batch.inputs)?,
        false => {
            let index: Vec<usize> = answered.iter().map(|&(row, _)| row).collect();
            beside(&batch.inputs.select(Axis(0), &index))?
        }
    };
    let known = known.as_standard_layout();
    let Answers::Probs(probs) = &mut reply.answers else { return Err(not_probs()) };
    for (known, (_, i)) in known.rows().into_iter().zip(answered) {
        let mut row = probs.row_mut(i);
        change(
            known.to_slice().expect("rows of a standard layout are contiguous"),
            row.as_slice_mut().expect("rows of a fresh array are contiguous"),
        );
    }
    Ok(reply)
}

/// An input row as a key.
pub fn bytes(input: ArrayView1<'_, f32>) -> Vec<u8> {
    input.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Rows for which `admit` has no denial reach the layers below; the others are denied.
pub fn pass(
    batch: &Batch,
    next: &mut Next<'_>,
    mut admit: impl FnMut(usize) -> std::result::Result<(), Denial>,
) -> Result<Reply> {
    let mut outcomes = Vec::with_capacity(batch.len());
    let mut passed = Vec::with_capacity(batch.len());
    for row in 0..batch.len() {
        match admit(row) {
            Ok(()) => {
                outcomes.push(Outcome::Answered(passed.len()));
                passed.push(row);
            }
            Err(denial) => outcomes.push(Outcome::Denied(denial)),
        }
    }
    let inner = next.run(&batch.select(&passed))?;
    for outcome in &mut outcomes {
        if let Outcome::Answered(i) = *outcome {
            *outcome = inner.outcomes[i];
        }
    }
    Ok(Reply { outcomes, answers: inner.answers })
}

/// Cuts the range of every feature into equal steps, so that near inputs fall into one bucket.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// Smallest and largest valid feature value.
    pub range: (f32, f32),
    /// Steps.
    pub levels: u32,
}

impl Grid {
    /// The bucket of an input `[d]`, as a key. Values out of range count as the nearest valid ones.
    pub fn bucket(&self, input: ArrayView1<'_, f32>) -> Vec<u8> {
        let (low, high) = self.range;
        let width = (high - low).max(f32::MIN_POSITIVE);
        let last = f64::from(self.levels - 1);
        let step = |x: f32| {
            let place = f64::from((x - low) / width) * f64::from(self.levels);
            place.floor().clamp(0.0, last) as u16
        };
        input.iter().flat_map(|&x| step(x).to_le_bytes()).collect()
    }
}

/// Refuses a number of steps out of its range.
pub fn check_levels(levels: u32) -> Result<()> {
    if (1..=1000).contains(&levels) {
        return Ok(());
    }
    Err(Error::config("levels", levels.to_string(), "1 to 1000 steps"))
}

/// Refuses a share of false flags out of its range.
pub fn check_rate(key: &str, rate: f64) -> Result<()> {
    if rate > 0.0 && rate <= 0.5 {
        return Ok(());
    }
    Err(Error::config(key, rate.to_string(), "above 0 and at most 0.5"))
}

pub fn not_probs() -> Error {
    Error::Internal("a layer for probabilities in front of other answers".into())
}

/// Refuses an L1 bound out of its range.
pub fn check_eps(eps: f64) -> Result<()> {
    if (0.0..=2.0).contains(&eps) {
        return Ok(());
    }
    Err(Error::config(
        "eps",
        eps.to_string(),
        "0 to 2: no two rows of probabilities are further apart",
    ))
}

/// Refuses a place in a stack where anything but probabilities arrives.
pub fn needs_probs(kind: &str, card: Card) -> Result<Card> {
    if card.answers == AnswerKind::Probs {
        return Ok(card);
    }
    Err(Error::config(
        "kind",
        format!("`{kind}` in front of answers of kind {}", card.answers.name()),
        "a place where whole probability rows arrive: nearer to the teacher, with `api.reveal = \"probs\"`",
    ))
}

/// Divides a row by its sum; an all-zero row becomes uniform, because no class is told apart.
pub fn normalise(mut row: ArrayViewMut1<'_, f64>) {
    let sum: f64 = row.iter().sum();
    let n = row.len() as f64;
    if sum > 0.0 {
        row.mapv_inplace(|p| p / sum);
    } else {
        row.fill(1.0 / n);
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{arr1, arr2};

    use super::super::{Stack, Unwatched};
    use super::*;
    use crate::oracle::scripted::Scripted;
    use crate::oracle::{AccountId, Tick};

    #[test]
    fn a_bucket_is_the_step_of_each_feature_and_values_out_of_range_count_as_the_nearest() {
        let grid = Grid { range: (-1.0, 1.0), levels: 4 };
        let bucket = |x: [f32; 3]| {
            let bytes = grid.bucket(arr1(&x).view());
            bytes.chunks(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect::<Vec<_>>()
        };
        assert_eq!(bucket([-1.0, -0.51, -0.5]), [0, 0, 1]);
        assert_eq!(bucket([0.0, 0.99, 1.0]), [2, 3, 3]);
        assert_eq!(bucket([-7.0, 7.0, f32::NAN]), [0, 3, 0]);
    }

    #[test]
    fn every_number_of_an_input_is_in_its_key() {
        assert_eq!(bytes(arr1(&[1.0_f32, -2.0]).view()), [0, 0, 128, 63, 0, 0, 0, 192]);
    }

    #[test]
    fn a_row_of_zeros_becomes_even() {
        let mut rows = arr2(&[[0.0, 0.0], [0.5, 1.5]]);
        rows.rows_mut().into_iter().for_each(normalise);
        assert_eq!(rows, arr2(&[[0.5, 0.5], [0.25, 0.75]]));
    }

    /// Denies the middle one of three rows.
    struct Middle;

    impl Defense for Middle {
        fn name(&self) -> &'static str {
            "middle"
        }

        fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
            pass(batch, next, |row| match row {
                1 => Err(Denial::Blocked { by: "middle" }),
                _ => Ok(()),
            })
        }
    }

    /// Answers with the only feature of an input.
    struct Own;

    impl Defense for Own {
        fn name(&self) -> &'static str {
            "own"
        }

        fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
            let own = |inputs: &Array2<f32>| Ok(inputs.mapv(f64::from));
            change_beside(batch, next, own, |x, row| row[0] = x[0])
        }
    }

    #[test]
    fn what_stands_beside_a_row_is_its_own_where_others_are_denied() {
        let card = Card { inputs: 1, classes: 2, answers: AnswerKind::Probs };
        let batch = Batch::classify(AccountId(0), Tick::ZERO, arr2(&[[0.1_f32], [0.2], [0.3]]));
        let ask = |layers: Vec<Box<dyn Defense>>| {
            let mut oracle = Scripted::new(card, |_| vec![0.5, 0.5]);
            let reply = Stack::new(layers).run(&batch, &mut oracle, &mut Unwatched).unwrap();
            let Answers::Probs(p) = reply.answers else { panic!("probabilities") };
            p.column(0).mapv(|p| p as f32)
        };
        assert_eq!(ask(vec![Box::new(Own)]), arr1(&[0.1, 0.2, 0.3]));
        assert_eq!(ask(vec![Box::new(Own), Box::new(Middle)]), arr1(&[0.1, 0.3]));
    }
}

#[cfg(test)]
pub mod testing {
    //! Reference vectors for the tests of single defenses.

    use serde_json::Value;

    /// Every case of `method` in the classifier defenses' vectors.
    pub fn cases(method: &str) -> Vec<Value> {
        let text = include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/vectors/defenses-classifier.json"
        ));
        let file: Value = serde_json::from_str(text).unwrap();
        let all = file["cases"].as_array().unwrap();
        all.iter().filter(|c| c["method"] == method).cloned().collect()
    }

    pub fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
    }

    /// `|got - expected| <= abs + rel |expected|` for every number.
    pub fn assert_close(case: &Value, got: &[f64], expected: &[f64]) {
        let (abs, rel) = (
            case["tolerance"]["abs"].as_f64().unwrap(),
            case["tolerance"]["rel"].as_f64().unwrap(),
        );
        assert_eq!(got.len(), expected.len(), "{}", case["id"]);
        for (g, e) in got.iter().zip(expected) {
            assert!((g - e).abs() <= abs + rel * e.abs(), "{}: got {g}, expected {e}", case["id"]);
        }
    }
}
