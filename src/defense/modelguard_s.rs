//! ModelGuard-S (Tang et al. 2024, USENIX Security): an ordered quantiser of answers. The
//! answer is the first centroid of its top class, in the order of creation, that is within eps of the true
//! row in L1; where there is none, the true row becomes a centroid and is the answer.
//!
//! So the first who asks in each cell gets the exact answer. Centroids are only ever added, so the same
//! row gets the same answer for ever. Authors' code lets their number grow without end; here a top class
//! has at most `centroids`. A row that finds none near enough after that is moved eps towards the nearest
//! one: the bound on the distance holds, and the row says more than a centroid would.
//!
//! A student that knows the code may fill a quantiser of its own with made-up rows and not add to it
//! afterwards. Authors' frozen copy answers with the nearest centroid even where that is further than eps,
//! which no answer of the layer is; here it does what the layer does when full.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Counter, Defense, Known, Method, Next, Promise, RowMap, Workshop, project, rows};
use crate::error::{Error, Result};
use crate::oracle::{Batch, Card, Reply, argmax};
use crate::seed::{Seed, normal, uniform};

/// Made-up rows that a student fills its own quantiser with.
const SIMULATED: usize = 4000;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Most that an answer is moved, in L1, 0 to 2.
    pub eps: f64,
    /// Centroids of a top class, 1 to 100,000: the layer holds at most classes^2 times this many numbers.
    #[serde(default = "usual")]
    #[schemars(range(min = 1, max = 100_000))]
    pub centroids: usize,
}

const fn usual() -> usize {
    1000
}

/// The layer: the quantiser and what it remembers.
#[derive(Clone, Debug)]
pub struct ModelGuardS {
    eps: f64,
    centroids: usize,
    /// By top class, in the order of creation.
    cells: Vec<Vec<Vec<f64>>>,
}

impl Params {
    const fn empty(&self) -> ModelGuardS {
        ModelGuardS { eps: self.eps, centroids: self.centroids, cells: Vec::new() }
    }
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "modelguard-s"
    }

    fn paper(&self) -> &'static str {
        "Tang et al. 2024, ModelGuard"
    }

    fn check(&self) -> Result<()> {
        if !(1..=100_000).contains(&self.centroids) {
            return Err(Error::config("centroids", self.centroids.to_string(), "1 to 100000"));
        }
        rows::check_eps(self.eps)
    }

    fn card(&self, below: Card) -> Result<Card> {
        rows::needs_probs(self.kind(), below)
    }

    fn promise(&self) -> Promise {
        Promise { l1_bound: self.eps.min(2.0), stateful: true, ..Promise::BASE }
    }

    /// A student's own centroids are not the layer's, so a table made from them misleads more than it
    /// tells; the class is always right.
    fn counter(&self) -> Counter {
        Counter::LabelOnly
    }

    fn simulate(&self, known: &Known<'_>) -> Option<RowMap> {
        let mut own = self.empty();
        let mut rng = known.seed.child("modelguard-s").rng();
        for _ in 0..SIMULATED {
            let mut row = plausible(known.classes, &mut rng);
            own.row(&mut row);
        }
        Some(Box::new(move |clean, out| {
            out.copy_from_slice(clean);
            own.frozen(argmax(clean), out);
        }))
    }

    fn build(&self, _key: Seed, _shop: &Workshop) -> Result<Box<dyn Defense>> {
        Ok(Box::new(self.empty()))
    }
}

impl ModelGuardS {
    /// Changes one row `[k]`, adding it to the centroids where none is near enough and there is room.
    fn row(&mut self, y: &mut [f64]) {
        let top = argmax(&*y);
        if self.cells.len() <= top {
            self.cells.resize(top + 1, Vec::new());
        }
        let cell = &self.cells[top];
        let near = cell.iter().any(|c| project::distance(c, y) <= self.eps);
        if near || cell.len() >= self.centroids {
            self.frozen(top, y);
        } else {
            self.cells[top].push(y.to_vec());
        }
    }

    /// Changes one row of top class `top` without adding anything.
    fn frozen(&self, top: usize, y: &mut [f64]) {
        let Some(cell) = self.cells.get(top) else { return };
        if let Some(first) = cell.iter().find(|c| project::distance(c, y) <= self.eps) {
            y.copy_from_slice(first);
            return;
        }
        let Some((far, nearest)) = nearest(cell, y) else { return };
        let part = self.eps / far;
        y.iter_mut().zip(nearest).for_each(|(y, c)| *y = (1.0 - part) * *y + part * c);
    }
}

/// The nearest centroid and its distance; the first of equally near ones.
fn nearest<'a>(cell: &'a [Vec<f64>], y: &[f64]) -> Option<(f64, &'a [f64])> {
    let with_distance = cell.iter().map(|c| (project::distance(c, y), c.as_slice()));
    with_distance.min_by(|a, b| a.0.total_cmp(&b.0))
}

/// A row as a trained classifier gives it: softmax of normal logits of a scale from 0.5 to 12.
fn plausible(classes: usize, rng: &mut impl rand::Rng) -> Vec<f64> {
    let scale = 0.5 * libm::exp(uniform(rng) * libm::log(24.0));
    let mut row: Vec<f64> = (0..classes).map(|_| scale * normal(rng)).collect();
    let top = row.iter().copied().fold(f64::MIN, f64::max);
    row.iter_mut().for_each(|z| *z = libm::exp(*z - top));
    let sum: f64 = row.iter().sum();
    row.iter_mut().for_each(|p| *p /= sum);
    row
}

impl Defense for ModelGuardS {
    fn name(&self) -> &'static str {
        "modelguard-s"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        rows::change_probs(batch, next, |_, mut row| {
            self.row(row.as_slice_mut().expect("rows of a fresh array are contiguous"));
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::rows::testing::{assert_close, cases, numbers};
    use super::*;

    fn rows_of(value: &Value) -> Vec<Vec<f64>> {
        value.as_array().unwrap().iter().map(numbers).collect()
    }

    fn asked(case: &Value, centroids: usize) -> (ModelGuardS, Vec<Vec<f64>>) {
        let eps = case["input"]["eps"].as_f64().unwrap();
        let mut layer = Params { eps, centroids }.empty();
        let mut answers = rows_of(&case["input"]["sequence"]);
        answers.iter_mut().for_each(|row| layer.row(row));
        (layer, answers)
    }

    #[test]
    fn the_reference_streams_are_matched() {
        let all = cases("modelguard_s");
        assert_eq!(all.len(), 6);
        for case in all {
            let want = &case["expected"];
            let (layer, answers) = asked(&case, 1000);
            assert_close(&case, &answers.concat(), &rows_of(&want["answers"]).concat());
            let counts = numbers(&want["centroids_per_class"]);
            for (top, &count) in counts.iter().enumerate() {
                let have = layer.cells.get(top).map_or(0, Vec::len);
                assert_eq!(have as f64, count, "{}: class {top}", case["id"]);
            }
            let ids = answers
                .iter()
                .zip(rows_of(&case["input"]["sequence"]))
                .map(|(a, y)| layer.cells[argmax(&y)].iter().position(|c| c == a).unwrap() as f64);
            assert_close(&case, &ids.collect::<Vec<_>>(), &numbers(&want["centroid_id"]));
        }
    }

    #[test]
    fn the_frozen_copy_of_the_reference_is_the_nearest_centroid_where_ours_keeps_the_bound() {
        for case in cases("modelguard_s") {
            let (layer, _) = asked(&case, 1000);
            let published = rows_of(&case["expected"]["frozen_answers"]);
            for (probe, want) in rows_of(&case["input"]["frozen_probe"]).into_iter().zip(published)
            {
                let top = argmax(&probe);
                let mut ours = probe.clone();
                layer.frozen(top, &mut ours);
                assert!(project::distance(&ours, &probe) <= layer.eps + 1e-12, "{}", case["id"]);
                let cell = layer.cells.get(top).map_or(&[][..], Vec::as_slice);
                if cell.iter().any(|c| project::distance(c, &probe) <= layer.eps) || cell.is_empty()
                {
                    assert_close(&case, &ours, &want);
                } else {
                    assert_close(&case, nearest(cell, &probe).unwrap().1, &want);
                }
            }
        }
    }

    #[test]
    fn a_full_class_adds_nothing_and_keeps_bound_and_top_class() {
        let case = cases("modelguard_s")
            .into_iter()
            .find(|c| c["id"] == "modelguard_s-02-random")
            .unwrap();
        let (layer, answers) = asked(&case, 1);
        assert!(layer.cells.iter().all(|cell| cell.len() <= 1));
        for (answer, clean) in answers.iter().zip(rows_of(&case["input"]["sequence"])) {
            assert!(project::distance(answer, &clean) <= layer.eps + 1e-12);
            assert_eq!(argmax(answer), argmax(&clean));
        }
    }
}
