//! Trees walked from leaf to leaf: the reference vector, and trees that are drawn.

use std::collections::BTreeMap;

use serde_json::Value;

use super::*;

/// A node of a tree: a leaf with its answer, or a question with two ways on.
enum Node {
    Leaf(Answer),
    Below { feature: usize, threshold: f64, left: Box<Node>, right: Box<Node> },
}

impl Node {
    fn read(nodes: &[Value], at: usize, answer: &dyn Fn(&Value) -> Answer) -> Self {
        let node = &nodes[at];
        let child =
            |key: &str| Box::new(Self::read(nodes, node[key].as_u64().unwrap() as usize, answer));
        match node.get("leaf") {
            Some(_) => Self::Leaf(answer(node)),
            None => Self::Below {
                feature: node["feature"].as_u64().unwrap() as usize,
                threshold: node["threshold"].as_f64().unwrap(),
                left: child("left"),
                right: child("right"),
            },
        }
    }

    fn answer(&self, row: &[f64]) -> Answer {
        match self {
            Self::Leaf(answer) => *answer,
            Self::Below { feature, threshold, left, right } => {
                if row[*feature] <= *threshold {
                    left.answer(row)
                } else {
                    right.answer(row)
                }
            }
        }
    }

    /// A whole tree of this depth inside the box, whose leaves count up; categories (odd features) are split
    /// by number.
    fn grown(
        depth: usize,
        space: &mut [(f64, f64)],
        leaves: &mut usize,
        rng: &mut impl rand::Rng,
    ) -> Self {
        let feature = crate::seed::below(rng, space.len());
        let (low, high) = space[feature];
        let whole = feature % 2 == 1;
        if depth == 0 || (whole && high - low < 1.0) {
            *leaves += 1;
            return Self::Leaf((*leaves % 3, *leaves as f64));
        }
        let middle = low + (high - low) * (0.2 + 0.6 * uniform(rng));
        let threshold = if whole { middle.floor() } else { middle };
        space[feature] = (low, threshold);
        let left = Box::new(Self::grown(depth - 1, space, leaves, rng));
        space[feature] = (if whole { threshold + 1.0 } else { threshold }, high);
        let right = Box::new(Self::grown(depth - 1, space, leaves, rng));
        space[feature] = (low, high);
        Self::Below { feature, threshold, left, right }
    }
}

#[test]
fn paths_of_a_tree_match_the_reference_vectors() {
    let all = cases("tree_paths");
    assert_eq!(all.len(), 1);
    for case in all {
        let (input, expected) = (&case["input"], &case["expected"]);
        let of = |node: &Value, key: &str| node[key].as_f64().unwrap();
        // Once with answers of each leaf's own, once with label and confidence, which two leaves share.
        let own = |n: &Value| (of(n, "label") as usize, of(n, "leaf"));
        let shared = |n: &Value| (of(n, "label") as usize, of(n, "confidence"));
        for answer in [&own as &dyn Fn(&Value) -> Answer, &shared] {
            let truth = Node::read(input["nodes"].as_array().unwrap(), 0, answer);
            let mut ask = |row: &[f64]| Ok(truth.answer(row));
            let mut oracle = Oracle::new(&mut ask);
            let feature = Feature::Number { low: 0.0, high: 1.0, step: 1e-9 };
            let tree = paths(&mut oracle, &[feature; 2], &[0.5, 0.5]).unwrap();
            assert_eq!(tree.leaves.len() as u64, expected["leaves"].as_u64().unwrap());
            let (mut there, mut back) = (BTreeMap::new(), BTreeMap::new());
            let probes = matrix(&input["probes"]);
            for (i, row) in probes.rows().into_iter().enumerate() {
                let found = tree.leaf(&row.to_vec()).unwrap();
                let leaf = expected["leaf_id"][i].as_u64().unwrap();
                assert_eq!(*there.entry(leaf).or_insert(found), found);
                assert_eq!(*back.entry(found).or_insert(leaf), leaf);
                let label = expected["labels"][i].as_u64().unwrap();
                assert_eq!(tree.leaves[found].answer.0 as u64, label);
            }
        }
    }
}

#[test]
fn trees_are_found_whole_within_the_paper_s_count_of_questions() {
    let step = 1e-6;
    let numbers = Feature::Number { low: -1.0, high: 1.0, step };
    let features = [numbers, Feature::Category { values: 6 }, numbers];
    for seed in 0..20 {
        let mut rng = Seed::new(seed).rng();
        let mut space = [(-1.0, 1.0), (0.0, 5.0), (-1.0, 1.0)];
        let mut count = 0;
        let truth = Node::grown(4, &mut space, &mut count, &mut rng);
        let mut left = 100_000;
        let mut ask = |row: &[f64]| {
            left -= 1;
            if left > 0 { Ok(truth.answer(row)) } else { Err(Error::Internal("endless".into())) }
        };
        let mut oracle = Oracle::new(&mut ask);
        let tree = paths(&mut oracle, &features, &[0.1, 2.0, 0.3]).unwrap();
        let queries = oracle.queries();
        assert_eq!(tree.leaves.len(), count, "seed {seed}");
        let mut wrong = 0;
        for _ in 0..2_000 {
            let row = [
                2.0 * uniform(&mut rng) - 1.0,
                crate::seed::below(&mut rng, 6) as f64,
                2.0 * uniform(&mut rng) - 1.0,
            ];
            let found = tree.leaf(&row);
            wrong += u32::from(found.is_none_or(|f| tree.leaves[f].answer != truth.answer(&row)));
        }
        // A row lies within a step of a threshold once in 30,000.
        assert!(wrong <= 1, "seed {seed}: {wrong}");
        // A line meets fewer cuts than there are leaves; each takes log2(range / step) halvings.
        let line = 2 + (count as u64 - 1) * 21;
        assert!(queries <= 1 + count as u64 * (2 * line + 5), "seed {seed}: {queries}");
        assert!(queries > count as u64 * (2 + 2 + 5), "every leaf is measured along every feature");
    }
}

const RANGES: [(f64, f64); 3] = [(-1.0, 1.0), (0.0, 5.0), (-1.0, 1.0)];

/// A search over numbers for a tree of a seed, asked `most` rows at a time; what it asked, and the tree itself.
fn searched(seed: u64, most: usize) -> (Vec<Vec<f64>>, Search<Answer>, Node) {
    let mut rng = Seed::new(seed).rng();
    let mut space = RANGES;
    let features = RANGES.map(|(low, high)| Feature::Number { low, high, step: 1e-6 });
    let truth = Node::grown(5, &mut space, &mut 0, &mut rng);
    let mut search = Search::new(&features, &[0.125, 2.0, 0.25]).unwrap();
    let mut asked = Vec::new();
    loop {
        let rows = search.wanted(most);
        if rows.is_empty() {
            return (asked, search, truth);
        }
        search.told(rows.iter().map(|row| Some(answered(&truth, row))).collect()).unwrap();
        asked.extend(rows);
    }
}

/// Whole numbers are those nearest.
fn answered(truth: &Node, row: &[f64]) -> Answer {
    truth.answer(&[row[0], row[1].round(), row[2]])
}

fn drawn_row(rng: &mut impl rand::Rng) -> [f64; 3] {
    let x = [uniform(rng), uniform(rng), uniform(rng)];
    [2.0 * x[0] - 1.0, 5.0 * x[1], 2.0 * x[2] - 1.0].map(|x| f64::from(x as f32))
}

/// The answer of a tree of nodes.
fn walked(nodes: &[crate::model::tree::Node], leaves: &[Leaf], row: &[f64]) -> Answer {
    let mut at = 0;
    loop {
        match nodes[at] {
            crate::model::tree::Node::Leaf { row } => return leaves[row].answer,
            crate::model::tree::Node::Split { feature, threshold, right } => {
                at = if row[feature] <= f64::from(threshold) { at + 1 } else { right };
            }
        }
    }
}

#[test]
fn what_is_asked_does_not_depend_on_the_size_of_batches() {
    for seed in 0..5 {
        let (all, search, _) = searched(seed, usize::MAX);
        let (one, other, _) = searched(seed, 1);
        assert_eq!(all, one);
        assert_eq!(search.into_leaves(), other.into_leaves());
        let mut rows: Vec<Vec<u64>> =
            all.iter().map(|row| row.iter().map(|x| x.to_bits()).collect()).collect();
        rows.sort();
        rows.dedup();
        // Lines through different rows of a tree meet now and then.
        assert!(rows.len() * 20 > all.len() * 19, "{} of {}", rows.len(), all.len());
    }
}

#[test]
fn leaves_become_a_tree_with_the_same_answers_and_as_many_leaves() {
    for seed in 0..20 {
        let (_, search, truth) = searched(seed, 64);
        let leaves = search.into_leaves();
        let nodes = rebuild(&leaves, &RANGES, 1e-6);
        assert_eq!(nodes.len(), 2 * leaves.len() - 1, "seed {seed}");
        let mut rng = Seed::new(seed).child("rows").rng();
        let wrong = (0..2_000)
            .map(|_| drawn_row(&mut rng))
            .filter(|row| walked(&nodes, &leaves, row) != answered(&truth, row))
            .count();
        // A row lies within a step of a threshold once in 30,000.
        assert!(wrong <= 1, "seed {seed}: {wrong}");
    }
}

#[test]
fn rows_without_an_answer_are_not_asked_again() {
    let number = Feature::Number { low: 0.0, high: 1.0, step: 1e-3 };
    let mut search = Search::new(&[number, number], &[0.25, 0.5]).unwrap();
    let (mut asked, mut refused) = (0, 0);
    loop {
        let rows = search.wanted(7);
        if rows.is_empty() {
            break;
        }
        // A step at .75 of the first feature; every fourth row is refused.
        let answer = |row: &Vec<f64>| {
            asked += 1;
            let tells = asked % 4 != 0;
            refused += usize::from(!tells);
            tells.then_some((usize::from(row[0] > 0.75), 1.0))
        };
        search.told(rows.iter().map(answer).collect()).unwrap();
    }
    assert!(asked < 30 && refused > 1, "{asked}, {refused}");
    assert!(search.told(vec![None]).is_err());
    let leaves = search.into_leaves();
    assert_eq!(leaves.iter().map(|leaf| leaf.answer.0).collect::<Vec<_>>(), [0, 1]);
    let mut nothing: Search<Answer> = Search::new(&[number], &[0.5]).unwrap();
    nothing.told(vec![None]).unwrap();
    assert!(nothing.wanted(1).is_empty() && nothing.into_leaves().is_empty());
}

/// Three pieces of a line of which the outer two answer alike: from the first, the search sees its own answer at both
/// ends, and nothing between. From the one between it finds that, and one leaf around it; the smaller one answers.
#[test]
fn leaves_that_answer_alike_can_hide_what_lies_between_them() {
    let number = Feature::Number { low: 0.0, high: 1.0, step: 1e-3 };
    let truth = |row: &[f64]| (usize::from((0.3..0.6).contains(&row[0])), 1.0);
    for (first, found, right) in [(0.1, 1, 70), (0.4, 2, 99)] {
        let mut ask = |row: &[f64]| Ok(truth(row));
        let leaves = paths(&mut Oracle::new(&mut ask), &[number], &[first]).unwrap().leaves;
        assert_eq!(leaves.len(), found);
        let nodes = rebuild(&leaves, &[(0.0, 1.0)], 1e-3);
        let rows = (0..99).map(|i| [(f64::from(i) + 0.5) / 99.0]);
        let same = rows.filter(|row| walked(&nodes, &leaves, row) == truth(row)).count();
        assert_eq!(same, right, "from {first}");
    }
}

/// In the plane two leaves that answer alike lie corner to corner; from each of the others both are found.
#[test]
fn overlapping_leaves_are_divided_and_not_without_end() {
    let span = |above: f64, to: f64| Span::Numbers { above, to };
    let leaf = |x: (f64, f64), y: (f64, f64), answer: usize| {
        let row = vec![(x.0 + x.1) / 2.0, (y.0 + y.1) / 2.0];
        Leaf { row, spans: vec![span(x.0, x.1), span(y.0, y.1)], answer: (answer, 1.0) }
    };
    let cross = [leaf((0.4, 0.6), (0.0, 1.0), 1), leaf((0.0, 1.0), (0.45, 0.55), 2)];
    let nodes = rebuild(&cross, &[(0.0, 1.0); 2], 1e-6);
    let at = |x: f64, y: f64| walked(&nodes, &cross, &[x, y]).0;
    assert_eq!((at(0.5, 0.9), at(0.9, 0.5), at(0.5, 0.5), at(0.5, 0.1)), (1, 2, 2, 1));
    let mut rng = Seed::new(4).rng();
    let mut side = || {
        let (a, b) = (uniform(&mut rng), uniform(&mut rng));
        (a.min(b), a.max(b))
    };
    let many: Vec<Leaf> = (0..200).map(|i| leaf(side(), side(), i)).collect();
    let nodes = rebuild(&many, &[(0.0, 1.0); 2], 1e-6);
    assert!(nodes.len() < 2 * 10 * many.len(), "{} nodes", nodes.len());
}

#[test]
fn what_is_no_tree_ends_with_the_budget() {
    let mut left = 500;
    let mut ask = |row: &[f64]| {
        left -= 1;
        if left == 0 {
            return Err(Error::input("questions", 500, "499 at most"));
        }
        Ok((0, row[0]))
    };
    let mut oracle = Oracle::new(&mut ask);
    let feature = Feature::Number { low: 0.0, high: 1.0, step: 1e-9 };
    assert!(paths(&mut oracle, &[feature], &[0.5]).is_err());
    assert_eq!(oracle.queries(), 500);
}

#[test]
fn features_and_answers_that_cannot_be_are_refused() {
    let number = |low, high, step| Feature::Number { low, high, step };
    let mut ask = |_: &[f64]| Ok((0, 1.0));
    let mut oracle = Oracle::new(&mut ask);
    for (feature, first) in [
        (number(1.0, 0.0, 0.1), 0.5),
        (number(0.0, f64::INFINITY, 0.1), 0.5),
        (number(0.0, 1.0, 0.0), 0.5),
        (number(0.0, 1.0, 0.1), 1.5),
        (Feature::Category { values: 3 }, 3.0),
        (Feature::Category { values: 3 }, 0.5),
    ] {
        assert!(paths(&mut oracle, &[feature], &[first]).is_err(), "{feature:?}, {first}");
    }
    assert!(paths(&mut oracle, &[], &[0.0]).is_err());
    assert_eq!(oracle.queries(), 0);
    let mut nan = |_: &[f64]| Ok((0, f64::NAN));
    let feature = number(0.0, 1.0, 0.1);
    assert!(paths(&mut Oracle::new(&mut nan), &[feature], &[0.5]).is_err());
}
