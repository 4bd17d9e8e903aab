//! How far rows lie from where a model changes its mind, by labels alone: the blind walk of Maini, Yaghini and
//! Papernot 2021, section 5.1. From a row one goes straight on in a random direction until the label is another one;
//! how far that was is a proxy of the row's margin.
//!
//! As in the released code a third of the directions is uniform, a third normal and a third Laplace, told in the
//! largest, the Euclidean and the absolute distance; a point out of the valid range counts as the nearest valid one,
//! and a walk that meets no other label is as long as it is.

use ndarray::{Array2, ArrayView2, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::seed::{Seed, normal, uniform};

/// Numbers of a piece of the rows with all of their directions.
const PIECE: usize = 1 << 21;

/// Classes `[n]` that a suspect gives to inputs `[n, d]`.
pub type Ask<'a> = dyn FnMut(ArrayView2<'_, f32>) -> Result<Vec<usize>> + 'a;

/// Ways to draw a direction.
#[derive(Clone, Copy, Debug)]
enum Draw {
    Uniform,
    Normal,
    Laplace,
}

const DRAWS: [Draw; 3] = [Draw::Uniform, Draw::Normal, Draw::Laplace];

/// How far and how often to walk.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlindWalk {
    /// Directions of each of the three kinds, 1 to 100.
    pub directions: usize,
    /// Steps of a walk, 1 to 1000.
    pub steps: usize,
    /// Size of a step in each feature, as a part of the valid range: half the width of the uniform, deviation of the
    /// normal, scale of the Laplace distribution. Above 0 and at most 1.
    pub step: f64,
}

impl Draw {
    fn next(self, rng: &mut impl rand::Rng) -> f64 {
        match self {
            Self::Uniform => 2.0 * uniform(rng) - 1.0,
            Self::Normal => normal(rng),
            Self::Laplace => {
                let u = uniform(rng) - 0.5;
                -u.signum() * libm::log(1.0 - 2.0 * u.abs())
            }
        }
    }

    /// The distance between two points.
    fn distance(self, a: impl Iterator<Item = f64>) -> f64 {
        match self {
            Self::Uniform => a.fold(0.0, |most, d| f64::max(most, d.abs())),
            Self::Normal => libm::sqrt(a.map(|d| d * d).sum()),
            Self::Laplace => a.map(f64::abs).sum(),
        }
    }
}

impl BlindWalk {
    /// Refuses settings out of their ranges.
    pub fn check(&self) -> Result<()> {
        if !(1..=100).contains(&self.directions) {
            return Err(Error::config("directions", self.directions.to_string(), "1 to 100"));
        }
        if !(1..=1000).contains(&self.steps) {
            return Err(Error::config("steps", self.steps.to_string(), "1 to 1000"));
        }
        if self.step > 0.0 && self.step <= 1.0 {
            return Ok(());
        }
        Err(Error::config("step", self.step.to_string(), "above 0 and at most 1"))
    }

    /// Distances of a row.
    pub const fn features(&self) -> usize {
        DRAWS.len() * self.directions
    }

    /// Distances `[n, features]` of rows `[n, d]` to where whoever is asked gives another class than `labels` `[n]`.
    /// Directions are those of the row's number in `seed`, the same for everybody.
    pub fn distances(
        &self,
        rows: ArrayView2<'_, f32>,
        labels: &[usize],
        range: (f32, f32),
        seed: Seed,
        ask: &mut Ask<'_>,
    ) -> Result<Array2<f64>> {
        let n = rows.nrows();
        let size = (PIECE / (rows.ncols() * self.features()).max(1)).max(1);
        let mut found = Vec::with_capacity(n * self.features());
        for first in (0..n).step_by(size) {
            let last = (first + size).min(n);
            found.extend(Piece { walk: *self, rows, labels, range, first, last }.walk(seed, ask)?);
        }
        Array2::from_shape_vec((n, self.features()), found)
            .map_err(|e| Error::Internal(e.to_string()))
    }
}

/// Rows `first..last` of all.
struct Piece<'a> {
    walk: BlindWalk,
    rows: ArrayView2<'a, f32>,
    labels: &'a [usize],
    range: (f32, f32),
    first: usize,
    last: usize,
}

impl Piece<'_> {
    /// Distances, all of a row one after another.
    fn walk(&self, seed: Seed, ask: &mut Ask<'_>) -> Result<Vec<f64>> {
        let directions = self.directions(seed);
        let mut found = vec![0.0; directions.nrows()];
        let mut walking: Vec<usize> = (0..found.len()).collect();
        for step in 1..=self.walk.steps {
            let inputs = self.at(&directions, &walking, step);
            let classes = ask(inputs.view())?;
            let mut on = Vec::with_capacity(walking.len());
            for ((&walker, &class), at) in walking.iter().zip(&classes).zip(inputs.rows()) {
                if class == self.labels[self.row(walker)] && step < self.walk.steps {
                    on.push(walker);
                    continue;
                }
                let from = self.rows.row(self.row(walker));
                let moved = at.iter().zip(from).map(|(a, b)| f64::from(a - b));
                found[walker] = self.draw(walker).distance(moved);
            }
            walking = on;
            if walking.is_empty() {
                break;
            }
        }
        Ok(found)
    }

    /// Steps `[walkers, d]`.
    fn directions(&self, seed: Seed) -> Array2<f32> {
        let (per, d) = (self.walk.features(), self.rows.ncols());
        let size = self.walk.step * f64::from(self.range.1 - self.range.0);
        let mut directions = Array2::zeros(((self.last - self.first) * per, d));
        for (i, mut rows) in directions.axis_chunks_iter_mut(Axis(0), per).enumerate() {
            let mut rng = seed.nth("walk", (self.first + i) as u64).rng();
            for (j, mut direction) in rows.rows_mut().into_iter().enumerate() {
                direction.mapv_inplace(|_: f32| (size * self.draw(j).next(&mut rng)) as f32);
            }
        }
        directions
    }

    /// Where walkers are after so many steps.
    fn at(&self, directions: &Array2<f32>, walkers: &[usize], step: usize) -> Array2<f32> {
        let (low, high) = self.range;
        let mut inputs = Array2::zeros((walkers.len(), self.rows.ncols()));
        for (mut input, &walker) in inputs.rows_mut().into_iter().zip(walkers) {
            let from = self.rows.row(self.row(walker));
            for ((x, from), by) in input.iter_mut().zip(from).zip(directions.row(walker)) {
                *x = (from + step as f32 * by).clamp(low, high);
            }
        }
        inputs
    }

    fn row(&self, walker: usize) -> usize {
        self.first + walker / self.walk.features()
    }

    fn draw(&self, walker: usize) -> Draw {
        DRAWS[walker % DRAWS.len()]
    }
}

#[cfg(test)]
mod tests {
    use ndarray::arr2;

    use super::*;

    const WALK: BlindWalk = BlindWalk { directions: 4, steps: 100, step: 0.01 };

    /// Class 1 from 0.6 on in the only feature.
    fn step_at(asked: &mut usize) -> impl FnMut(ArrayView2<'_, f32>) -> Result<Vec<usize>> + '_ {
        |rows| {
            *asked += rows.nrows();
            Ok(rows.column(0).iter().map(|&x| usize::from(x >= 0.6)).collect())
        }
    }

    #[test]
    fn a_walk_ends_behind_the_boundary_or_at_the_end_of_the_range() {
        let mut asked = 0;
        let rows = arr2(&[[0.5_f32], [0.2]]);
        let walk = BlindWalk { steps: 1000, ..WALK };
        let found = walk
            .distances(rows.view(), &[0, 0], (0.0, 1.0), Seed::new(1), &mut step_at(&mut asked))
            .unwrap();
        // Up by 0.1 and a step at most, or down to 0 for good: in one feature all distances are the same.
        for (row, (up, down)) in found.rows().into_iter().zip([(0.1, 0.5), (0.4, 0.2)]) {
            assert!(
                row.iter()
                    .all(|d| (up..up + 0.08).contains(&(d + 1e-6)) || (d - down).abs() < 1e-6),
                "{row}"
            );
            assert!(row.iter().any(|d| (d - down).abs() < 1e-6));
            assert!(row.iter().any(|d| (up..up + 0.08).contains(&(d + 1e-6))));
        }
    }

    #[test]
    fn steps_are_parts_of_the_range() {
        let mut asked = 0;
        let row = |x: f32| arr2(&[[x]]);
        let unit = WALK
            .distances(row(0.5).view(), &[0], (0.0, 1.0), Seed::new(1), &mut step_at(&mut asked))
            .unwrap();
        // The same from -1 to 3, where the boundary is at 1.4.
        let mut wide = |rows: ArrayView2<'_, f32>| {
            Ok(rows.column(0).iter().map(|&x| usize::from(x >= 1.4)).collect())
        };
        let found =
            WALK.distances(row(1.0).view(), &[0], (-1.0, 3.0), Seed::new(1), &mut wide).unwrap();
        let same = found.iter().zip(&unit).filter(|(a, b)| (*a - 4.0 * *b).abs() < 1e-5).count();
        assert_eq!(same, 12, "{found} {unit}");
    }

    #[test]
    fn a_row_of_another_label_is_a_step_away_and_asked_about_once_a_direction() {
        let mut asked = 0;
        let rows = arr2(&[[0.9_f32]]);
        let found = WALK
            .distances(rows.view(), &[0], (0.0, 1.0), Seed::new(1), &mut step_at(&mut asked))
            .unwrap();
        assert_eq!(asked, 12);
        assert!(found.iter().all(|d| *d < 0.1));
    }

    #[test]
    fn distances_do_not_depend_on_the_rows_asked_about_with_them() {
        let rows = arr2(&[[0.5_f32], [0.2], [0.7]]);
        let of = |rows: ArrayView2<'_, f32>, labels: &[usize]| {
            let mut asked = 0;
            WALK.distances(rows, labels, (0.0, 1.0), Seed::new(1), &mut step_at(&mut asked))
                .unwrap()
        };
        let all = of(rows.view(), &[0, 0, 1]);
        let two = of(rows.slice(ndarray::s![..2, ..]), &[0, 0]);
        assert_eq!(all.slice(ndarray::s![..2, ..]), two);
        let (labels, range) = (&[0, 0, 1], (0.0, 1.0));
        let last = Piece { walk: WALK, rows: rows.view(), labels, range, first: 2, last: 3 };
        let mut asked = 0;
        let alone = last.walk(Seed::new(1), &mut step_at(&mut asked)).unwrap();
        assert_eq!(all.row(2).to_vec(), alone);
        let twice = of(arr2(&[[0.5_f32], [0.5]]).view(), &[0, 0]);
        assert_ne!(twice.row(0), twice.row(1), "every row is left in directions of its own");
    }

    #[test]
    fn distances_are_told_in_the_norm_of_their_direction() {
        let moved = || [3.0, -4.0].into_iter();
        assert_eq!(DRAWS.map(|draw| draw.distance(moved())), [4.0, 5.0, 7.0]);
    }

    #[test]
    fn draws_have_the_variances_of_their_distributions() {
        let mut rng = Seed::new(3).rng();
        for (draw, expected) in DRAWS.into_iter().zip([1.0 / 3.0, 1.0, 2.0]) {
            let variance = (0..20_000).map(|_| draw.next(&mut rng)).map(|x| x * x).sum::<f64>();
            assert!((variance / 20_000.0 / expected - 1.0).abs() < 0.06, "{draw:?}: {variance}");
        }
    }
}
