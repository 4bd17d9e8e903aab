//! Splits that can be computed by hand, a published tree, and files that are no trees.

use ndarray::{Array2, Axis, array};

use super::*;
use crate::Seed;
use crate::model::{Arch, Device, InputShape, Lesson, Loss, Model, Recipe, Targets, fit};
use crate::seed::{below, uniform};

fn plan(depth: usize, leaf_rows: usize) -> Arch {
    Arch::Tree { depth, leaf_rows, laplace: false }
}

fn grown(arch: &Arch, inputs: Array2<f32>, targets: Targets, classes: usize) -> Model {
    let shape = InputShape::Flat(inputs.ncols());
    let fresh = Model::init(arch, shape, classes, Device::Cpu, Seed::new(1)).unwrap();
    let loss = match targets {
        Targets::Labels(_) => Loss::HardLabel,
        _ => Loss::SoftLabel { temperature: 1.0, eps: 1e-6 },
    };
    let lesson = Lesson { inputs, targets };
    fit(fresh, &lesson, loss, &Recipe::default(), Seed::new(2)).unwrap().last
}

fn labels(of: &[usize]) -> Targets {
    Targets::Labels(of.to_vec())
}

/// Splits as (feature, threshold), in preorder.
fn splits(model: &Model) -> Vec<(usize, f32)> {
    let nodes = model.tree().unwrap().nodes().iter();
    nodes
        .filter_map(|node| match *node {
            Node::Split { feature, threshold, .. } => Some((feature, threshold)),
            Node::Leaf { .. } => None,
        })
        .collect()
}

#[test]
fn splits_are_those_computed_by_hand() {
    // Of 8 rows the first feature can leave parts of (3, 0) and (1, 4): 3 + 17 / 5 = 6.4 of at most 8. The second can
    // do no better than (4, 2), (0, 2): 20 / 6 + 2 = 5.33.
    let inputs = array![
        [1.0_f32, 1.0],
        [2.0, 6.0],
        [3.0, 3.0],
        [6.0, 4.0],
        [4.0, 5.0],
        [5.0, 2.0],
        [7.0, 7.0],
        [8.0, 8.0]
    ];
    let of = [0, 0, 0, 0, 1, 1, 1, 1];
    let stump = grown(&plan(1, 1), inputs.clone(), labels(&of), 2);
    assert_eq!(splits(&stump), [(0, 3.5)]);
    let expected = array![[1.0, 0.0], [0.2, 0.8]];
    let asked = array![[3.5_f32, 0.0], [3.6, 0.0]]; // a row at the threshold goes left
    let off = stump.probs(asked.view()).unwrap() - expected;
    assert!(off.iter().all(|d: &f64| d.abs() < 1e-7), "{off}");
    // On the right the first feature leaves (0, 2) and (1, 2) at best, 2 + 5 / 3 = 3.67 of at most 5; the second (1, 1) and
    // (0, 3), 1 + 3 = 4.
    let two = grown(&plan(2, 1), inputs.clone(), labels(&of), 2);
    assert_eq!(splits(&two), [(0, 3.5), (1, 4.5)]);
    // Three rows on each side: (3, 0) and (1, 4) still; then nothing can be split.
    assert_eq!(splits(&grown(&plan(8, 3), inputs.clone(), labels(&of), 2)), [(0, 3.5)]);
    // Four: (3, 1) and (1, 3) by either feature.
    assert_eq!(splits(&grown(&plan(8, 4), inputs, labels(&of), 2)), [(0, 4.5)]);
}

#[test]
fn the_lowest_of_equally_good_features_and_thresholds_wins() {
    let inputs = array![[0.0_f32, 5.0, 0.0], [1.0, 5.0, 1.0], [2.0, 5.0, 2.0], [3.0, 5.0, 3.0]];
    // 0 1 1 0: a cut after the first row is as good as one before the last, in both features alike.
    let cut = grown(&plan(1, 1), inputs.clone(), labels(&[0, 1, 1, 0]), 2);
    assert_eq!(splits(&cut), [(0, 0.5)]);
    // What makes nothing purer is no split, and a feature of one value is none.
    let even = Targets::Probs(Array2::from_elem((4, 2), 0.5));
    assert!(splits(&grown(&plan(8, 1), inputs, even, 2)).is_empty());
    let close = array![[1.0_f32], [1.0_f32.next_up()]];
    let model = grown(&plan(1, 1), close.clone(), labels(&[0, 1]), 2);
    assert_eq!(crate::oracle::top1(&model.probs(close.view()).unwrap()), [0, 1]);
}

#[test]
fn shares_are_those_of_the_rows_and_by_laplace_s_rule_a_row_more_of_each_class() {
    let inputs = array![[0.0_f32], [0.0], [0.0], [1.0]];
    let of = labels(&[2, 2, 0, 1]);
    let asked = array![[0.0_f32], [1.0]];
    let close = |model: Model, expected: Array2<f64>| {
        let off = model.probs(asked.view()).unwrap() - expected;
        assert!(off.iter().all(|d| d.abs() < 1e-7), "{off}");
    };
    let third = 1.0 / 3.0;
    let plain = grown(&plan(3, 1), inputs.clone(), of.clone(), 3);
    close(plain, array![[third, 0.0, 2.0 * third], [0.0, 1.0, 0.0]]);
    let rule = Arch::Tree { depth: 3, leaf_rows: 1, laplace: true };
    close(
        grown(&rule, inputs.clone(), of, 3),
        array![[2.0 / 6.0, 1.0 / 6.0, 3.0 / 6.0], [0.25, 0.5, 0.25]],
    );
    // Soft labels are parts of rows.
    let soft = array![[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.0, 0.25, 0.75]];
    let model = grown(&plan(3, 1), inputs, Targets::Probs(soft), 3);
    close(model, array![[2.0 * third, third, 0.0], [0.0, 0.25, 0.75]]);
}

/// Weighted mean of Gini's index over two parts, from its definition.
fn gini(labels: &[usize], left: &[bool], classes: usize) -> f64 {
    let part = |side: bool| {
        let of: Vec<usize> =
            labels.iter().zip(left).filter(|(_, l)| **l == side).map(|(c, _)| *c).collect();
        let share = |c| of.iter().filter(|x| **x == c).count() as f64 / of.len() as f64;
        of.len() as f64 * (1.0 - (0..classes).map(|c| share(c) * share(c)).sum::<f64>())
    };
    (part(true) + part(false)) / labels.len() as f64
}

#[test]
fn no_threshold_leaves_parts_that_are_purer() {
    for seed in 0..20 {
        let mut rng = Seed::new(seed).rng();
        let inputs = Array2::from_shape_fn((40, 3), |_| (10.0 * uniform(&mut rng)).floor() as f32);
        let of: Vec<usize> = (0..40).map(|_| below(&mut rng, 3)).collect();
        let model = grown(&plan(1, 5), inputs.clone(), labels(&of), 3);
        let index = |feature: usize, threshold: f32| {
            let left: Vec<bool> = inputs.column(feature).iter().map(|x| *x <= threshold).collect();
            let rows = left.iter().filter(|l| **l).count();
            (5..=35).contains(&rows).then(|| gini(&of, &left, 3))
        };
        let least = (0..3)
            .flat_map(|feature| (0..9).map(move |t| (feature, t as f32 + 0.5)))
            .filter_map(|(feature, threshold)| index(feature, threshold))
            .fold(f64::INFINITY, f64::min);
        let [(feature, threshold)] = splits(&model)[..] else { panic!("one split") };
        let found = index(feature, threshold).unwrap();
        assert!((found - least).abs() < 1e-12, "seed {seed}: {found}, {least}");
    }
}

/// The tree of two splits over iris is printed in textbooks (Géron 2019, figure 6-1): petals up to 2.45 cm are 50
/// setosa; of the others those up to 1.75 cm wide are 49 versicolor and 5 virginica, the rest 1 and 45.
#[test]
fn the_tree_of_iris_is_the_published_one() {
    let data = smartcore::dataset::iris::load_dataset();
    let inputs = Array2::from_shape_vec((150, 4), data.data).unwrap();
    let petals = inputs.select(Axis(1), &[2, 3]);
    let of: Vec<usize> = data.target.iter().map(|&class| class as usize).collect();
    let model = grown(&plan(2, 1), petals, labels(&of), 3);
    let found = splits(&model);
    assert!((found[0].1 - 2.45).abs() < 1e-6 && (found[1].1 - 1.75).abs() < 1e-6, "{found:?}");
    assert_eq!((found.len(), found[0].0, found[1].0), (2, 0, 1));
    let asked = array![[1.0_f32, 1.0], [3.0, 1.0], [3.0, 2.0]];
    let expected =
        array![[1.0, 0.0, 0.0], [0.0, 49.0 / 54.0, 5.0 / 54.0], [0.0, 1.0 / 46.0, 45.0 / 46.0]];
    let off = model.probs(asked.view()).unwrap() - expected;
    assert!(off.iter().all(|d: &f64| d.abs() < 1e-7), "{off}");
}

#[test]
fn a_fresh_tree_knows_nothing_and_counts_its_answers() {
    let fresh =
        Model::init(&plan(3, 1), InputShape::Flat(2), 4, Device::Cpu, Seed::new(1)).unwrap();
    let answers = fresh.probs(Array2::zeros((2, 2)).view()).unwrap();
    assert!(answers.iter().all(|p| (p - 0.25).abs() < 1e-12));
    assert_eq!((fresh.tree().unwrap().leaves(), fresh.multiply_adds()), (1, 0));
    // Two pure leaves of one class are one answer.
    let inputs = array![[0.0_f32], [1.0], [2.0]];
    let model = grown(&plan(3, 1), inputs, labels(&[0, 1, 0]), 2);
    let tree = model.tree().unwrap();
    assert_eq!((tree.leaves(), tree.distinct_answers()), (3, 2));
    let finite = model.logits(array![[0.0_f32]].view()).unwrap();
    assert!(finite.iter().all(|z| z.is_finite()), "{finite}");
}

/// A split at 0 of the first feature with two leaves.
fn tensors() -> Vec<Parameter> {
    vec![
        ("tree.feature".into(), vec![3], vec![0.0, -1.0, -1.0]),
        ("tree.next".into(), vec![3], vec![2.0, 0.0, 1.0]),
        ("tree.shares".into(), vec![2, 2], vec![1.0, 0.0, 0.25, 0.75]),
        ("tree.threshold".into(), vec![3], vec![0.0; 3]),
    ]
}

fn made(tensors: Vec<Parameter>) -> std::result::Result<Model, String> {
    Model::from_tensors(&plan(3, 1), InputShape::Flat(2), 2, Device::Cpu, tensors)
        .map_err(|e| e.to_string())
}

#[test]
fn tensors_make_the_tree_that_they_were_made_from() {
    let model = made(tensors()).unwrap();
    assert_eq!(model.weights().unwrap(), tensors());
    let answers = model.probs(array![[0.0_f32, 9.0], [0.1, 9.0]].view()).unwrap();
    assert_eq!(answers, array![[1.0, 0.0], [0.25, 0.75]]);
}

#[test]
fn tensors_that_make_no_tree_are_refused_with_what_is_wrong() {
    let with = |tensor: usize, values: &[f32]| {
        let mut all = tensors();
        all[tensor].2 = values.to_vec();
        made(all).err().unwrap_or_else(|| panic!("tensor {tensor}, {values:?}"))
    };
    let cases = [
        (
            with(0, &[2.0, -1.0, -1.0]),
            "node 0 of a tree: found feature 2, expected a feature below 2",
        ),
        (with(0, &[0.5, -1.0, -1.0]), "0.5 at node 0"),
        (with(0, &[-2.0, -1.0, -1.0]), "-2 at node 0"),
        (with(0, &[f32::NAN, -1.0, -1.0]), "NaN at node 0"),
        // A cycle, itself, its own left child, past the end; a leaf must be last.
        (with(1, &[0.0, 0.0, 1.0]), "node 0 of a tree: found right child 0"),
        (with(1, &[1.0, 0.0, 1.0]), "found right child 1, expected a node from 2 to 2"),
        (with(1, &[3.0, 0.0, 1.0]), "found right child 3"),
        (with(1, &[-1.0, 0.0, 1.0]), "-1 at node 0"),
        (with(1, &[1e30, 0.0, 1.0]), "at node 0"),
        (with(1, &[2.0, 0.0, 2.0]), "node 2 of a tree: found shares 2, expected one of 2"),
        (with(0, &[0.0, -1.0, 1.0]), "node 2 of a tree: found right child 1"),
        (with(3, &[f32::INFINITY, 0.0, 0.0]), "found threshold inf"),
        (with(2, &[1.0, 0.0, 0.5, 0.75]), "shares 1 of a tree"),
        (with(2, &[2.0, -1.0, 0.5, 0.5]), "shares 0 of a tree"),
        (with(2, &[f32::NAN, 0.0, 0.5, 0.5]), "shares 0 of a tree"),
    ];
    for (message, expected) in cases {
        assert!(message.contains(expected), "{message}\nexpected {expected}");
    }
    let shaped = |tensor: usize, shape: &[usize], values: usize| {
        let mut all = tensors();
        (all[tensor].1, all[tensor].2) = (shape.to_vec(), vec![0.0; values]);
        made(all).unwrap_err()
    };
    assert!(shaped(3, &[2], 2).contains("tree.threshold [2] for [3]"));
    assert!(shaped(1, &[1, 3], 3).contains("tree.next [1, 3] for [3]"));
    assert!(shaped(2, &[1, 3], 3).contains("tree.shares [1, 3] for [leaves, 2]"));
    assert!(shaped(2, &[2], 2).contains("tree.shares [2]"));
    assert!(made(tensors()[1..].to_vec()).unwrap_err().contains("in place of tree.feature"));
    let empty = [0, 1, 3].map(|i| (tensors()[i].0.clone(), vec![0], Vec::new()));
    let all = empty.into_iter().chain([tensors()[2].clone()]).collect();
    assert!(made(all).unwrap_err().contains("nodes of a tree: found 0"));
}
