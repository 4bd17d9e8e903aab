//! Losses against published slips; reference vectors and laws have files of their own.

mod laws;
mod soft;
mod vectors;

use super::*;
use ndarray::{Axis, arr2, concatenate};

fn soft(teacher: &Array2<f64>, student: &Array2<f64>, t: f64) -> f64 {
    let probs = softmax(teacher.view());
    soft_label::Tempered::new(probs.view(), t, 1e-300).unwrap().loss(student.view()).0
}

#[test]
fn the_soft_loss_does_not_fade_as_the_temperature_grows() {
    let (student, teacher) = (arr2(&[[1., 2., 3.]]), arr2(&[[3., 2., 1.]]));
    for (t, expected) in [(1., 1.150421), (2., 1.280627), (4., 1.319630), (1e4, 1.333333)] {
        let found = soft(&teacher, &student, t);
        assert!((found - expected).abs() < 1e-6, "T {t}: {found}");
    }
}

#[test]
fn the_mean_is_over_rows_and_not_over_elements() {
    let (student, teacher) = (arr2(&[[1., 2., 3.]]), arr2(&[[3., 2., 1.]]));
    let once = soft(&teacher, &student, 1.0);
    let eight = |row: &Array2<f64>| concatenate(Axis(0), &[row.view(); 8]).unwrap();
    assert!((soft(&eight(&teacher), &eight(&student), 1.0) - once).abs() < 1e-12);
    let padded = |row: &Array2<f64>| {
        concatenate(Axis(1), &[row.view(), Array2::from_elem((1, 5), -60.0).view()]).unwrap()
    };
    assert!((soft(&padded(&teacher), &padded(&student), 1.0) - once).abs() < 1e-12);
}

#[test]
fn nearly_equal_rows_do_not_give_a_negative_divergence() {
    // The teacher keeps the upper 16 of 32 bits, as bfloat16 does.
    let student =
        Array2::from_shape_fn((20, 5000), |(i, j)| ((i * 31 + j * 17) % 101) as f64 / 9.0);
    let teacher = student.mapv(|z| f64::from(f32::from_bits((z as f32).to_bits() & 0xffff_0000)));
    let loss = soft(&teacher, &student, 1.0);
    assert!(loss > 0.0 && loss < 1e-2, "{loss}");
}

/// The loss of `top` is that of the same classes with the probabilities `as_if`.
fn assert_like(top: &TopK, as_if: &[f64]) {
    let z = arr2(&[[0.1, 0.2, 0.3]]);
    let probs = Array2::from_shape_vec((1, as_if.len()), as_if.to_vec()).unwrap();
    let (loss, grad) = bucket::loss(z.view(), top);
    let (expected, slope) = bucket::loss(z.view(), &TopK { probs, ..top.clone() });
    assert!((loss - expected).abs() < 1e-12, "{loss} for {expected}");
    assert!((&grad - &slope).iter().all(|d| d.abs() < 1e-12) && grad.sum().abs() < 1e-12);
}

#[test]
fn a_bucket_of_rounded_probabilities_is_scaled_to_one() {
    let two = TopK { classes: 3, ids: arr2(&[[0, 1]]), probs: arr2(&[[0.75, 0.5]]) };
    assert_like(&two, &[0.6, 0.4]);
    let all = TopK { classes: 3, ids: arr2(&[[2, 0, 1]]), probs: arr2(&[[0.5, 0.2, 0.1]]) };
    assert_like(&all, &[0.625, 0.25, 0.125]);
}

#[test]
fn a_known_probability_of_zero_adds_nothing_and_pushes_its_class_down() {
    let top = TopK { classes: 3, ids: arr2(&[[0, 1]]), probs: arr2(&[[0.5, 0.0]]) };
    let (loss, grad) = bucket::loss(arr2(&[[0.0, 0.0, 0.0]]).view(), &top);
    assert!((loss - libm::log(1.5)).abs() < 1e-12, "{loss}");
    let thirds = [1.0 / 3.0 - 0.5, 1.0 / 3.0, 1.0 / 3.0 - 0.5];
    assert!(grad.iter().zip(thirds).all(|(g, e)| (g - e).abs() < 1e-12), "{grad}");
}

#[test]
fn the_slope_of_a_bucket_of_several_classes_is_that_of_their_sum() {
    let top = TopK { classes: 5, ids: arr2(&[[2, 0]]), probs: arr2(&[[0.5, 0.3]]) };
    let z = arr2(&[[0.3, -0.5, 1.0, 0.2, -1.2]]);
    let (loss, grad) = bucket::loss(z.view(), &top);
    let q = softmax(z.view());
    let bucket = q[[0, 1]] + q[[0, 3]] + q[[0, 4]];
    let part = |p: f64, q: f64| p * libm::log(p / q);
    let by_hand = part(0.5, q[[0, 2]]) + part(0.3, q[[0, 0]]) + part(0.2, bucket);
    assert!((loss - by_hand).abs() < 1e-12, "{loss}");
    for class in 0..5 {
        let at = |by: f64| {
            let mut z = z.clone();
            z[[0, class]] += by;
            bucket::loss(z.view(), &top).0
        };
        let slope = (at(1e-6) - at(-1e-6)) / 2e-6;
        assert!(
            (grad[[0, class]] - slope).abs() < 1e-8,
            "{class}: {} for {slope}",
            grad[[0, class]]
        );
    }
}

#[test]
fn targets_that_do_not_fit_are_refused() {
    let top = |ids, probs| Targets::Bucket(TopK { classes: 3, ids, probs });
    let soft = Loss::SoftLabel { temperature: 1.0, eps: 1e-8 };
    let cold = Loss::SoftLabel { temperature: 0.0, eps: 1e-8 };
    let cases = [
        (Targets::Labels(vec![0, 3]), Loss::HardLabel, "label of row 1: found 3"),
        (Targets::Labels(vec![0]), soft, "targets of a lesson: found labels"),
        (Targets::Probs(arr2(&[[0.5, 0.5]])), soft, "expected shape [1, 3], got [1, 2]"),
        (Targets::Probs(arr2(&[[0.5, f64::NAN, 0.5]])), soft, "row 0: found NaN"),
        (Targets::Probs(arr2(&[[0.5, 0.2, 0.3]])), cold, "temperature"),
        (top(arr2(&[[1, 1]]), arr2(&[[0.5, 0.5]])), Loss::Bucket, "found [1, 1]"),
        (top(arr2(&[[1, 3]]), arr2(&[[0.5, 0.5]])), Loss::Bucket, "below 3"),
        (top(arr2(&[[1, 2]]), arr2(&[[0.5]])), Loss::Bucket, "expected shape [1, 2]"),
        (top(arr2(&[[1, 2]]), arr2(&[[0.5, -0.1]])), Loss::Bucket, "numbers of 0 or more"),
        (top(arr2(&[[1, 2]]), arr2(&[[f64::INFINITY, 0.1]])), Loss::Bucket, "numbers of 0 or more"),
        (top(arr2(&[[1, 2]]), arr2(&[[0.0, 0.0]])), Loss::Bucket, "not all 0"),
    ];
    for (targets, loss, expected) in cases {
        let message = Goal::new(&targets, loss, 3).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn targets_count_their_rows_of_every_kind() {
    let known = Box::new(Targets::Labels(vec![0, 1]));
    let partly = Targets::Partly { known, unknown: 3, weight: 1.0 };
    assert_eq!((partly.len(), partly.is_empty()), (5, false));
    let away = Targets::Away { labels: vec![1, 0, 2], from: Array2::zeros((3, 3)) };
    assert_eq!((away.len(), Targets::Probs(Array2::zeros((4, 2))).len()), (3, 4));
    assert!(Targets::Labels(Vec::new()).is_empty());
}

#[test]
fn a_given_slope_is_the_gradient_of_its_product_with_the_logits() {
    let goal = Goal::Along(arr2(&[[9.0, 9.0], [2.0, -3.0], [0.5, 4.0]]));
    let mut z = [1.0, 10.0, -2.0, 0.25];
    let loss = goal.loss(&[1, 2], &[], 2, &mut z, 2.0, &mut Room::default());
    assert_eq!((loss, z), (0.5 * (2.0 - 30.0 - 1.0 + 1.0), [1.0, -1.5, 0.25, 2.0]));
}

#[test]
fn goals_know_what_ties_their_rows_together() {
    let weights = dist::Weights { beta: 1.0, gamma: 1.0, temperature: 1.0 };
    let standardised = Loss::LogitStandardised { temperature: 2.0, eps: 1e-6 };
    let soft = Loss::SoftLabel { temperature: 1.0, eps: 1e-8 };
    let probs = Targets::Probs(arr2(&[[0.5, 0.5], [0.2, 0.8]]));
    let partly = Targets::Partly { known: Box::new(probs.clone()), unknown: 2, weight: 1.0 };
    for (loss, tied) in
        [(Loss::Dist { weights, eps: 1e-6 }, true), (standardised, false), (soft, false)]
    {
        for targets in [&probs, &partly] {
            let goal = Goal::new(targets, loss, 2).unwrap();
            assert_eq!(goal.ties_rows(), tied, "{loss:?}");
            let part = part::Part { goal: Box::new(goal), outputs: 0..2, of: 3 };
            assert_eq!(Goal::Part(part).ties_rows(), tied, "part, {loss:?}");
        }
    }
    let (labels, marked, hidden) = (vec![0], vec![true], Vec::new());
    let entangled = entangled::Entangled { labels, marked, hidden, weight: 1.0, temperature: 1.0 };
    assert!(Goal::Entangled(entangled).ties_rows());
}
