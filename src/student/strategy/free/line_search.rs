//! Line search (Tramer et al. 2016, section 6): points drawn evenly first, then bisection between two answered points
//! of different labels until they are within `eps` (L2), and on to the next pair. Every midpoint is a question that is
//! paid for and learnt from; many searches go on side by side, so that they are asked in batches.

use ndarray::{Array1, Array2, Axis, concatenate};

use super::{BATCH, distance, middle, pair, points};
use crate::error::{Error, Result};
use crate::seed::Seed;
use crate::student::View;
use crate::student::strategy::{Own, Strategy, Told};

/// Searches that go on side by side.
const LANES: usize = 32;

pub(in crate::student::strategy) struct LineSearch {
    eps: f64,
    seed_share: f64,
    seed: Seed,
    picks: u64,
    /// Evenly drawn points that answered, and their labels.
    rows: Option<Array2<f32>>,
    classes: Vec<usize>,
    /// Points drawn first that are still to be asked; none before the first pick.
    start: Option<usize>,
    lanes: Vec<Lane>,
}

/// A search between two points.
struct Lane {
    /// The end whose label is `class`, and the other.
    ends: [Array1<f32>; 2],
    class: usize,
    /// Place of its midpoint in the last pick.
    asked: Option<usize>,
}

impl LineSearch {
    pub(in crate::student::strategy) fn new(eps: f64, seed_share: f64, seed: Seed) -> Self {
        let (rows, classes, lanes) = (None, Vec::new(), Vec::new());
        Self { eps, seed_share, seed, picks: 0, rows, classes, start: None, lanes }
    }

    /// Closes searches that are done or that lost their answer, and opens others in their place.
    fn open(&mut self, most: usize) {
        self.lanes.retain(|lane| {
            lane.asked.is_none() && distance(lane.ends[0].view(), lane.ends[1].view()) > self.eps
        });
        let Some(rows) = &self.rows else { return };
        let mut rng = self.seed.nth("pairs", self.picks).rng();
        // Pairs that lie closer than `eps` already are passed over, a few times at most.
        let mut tries = 4 * most;
        while self.lanes.len() < most && tries > 0 {
            tries -= 1;
            let Some((a, b)) = pair(&self.classes, &mut rng) else { return };
            let ends = [rows.row(a).to_owned(), rows.row(b).to_owned()];
            if distance(ends[0].view(), ends[1].view()) > self.eps {
                self.lanes.push(Lane { ends, class: self.classes[a], asked: None });
            }
        }
    }
}

impl Strategy for LineSearch {
    fn pick(&mut self, view: &View<'_>, rows: usize, _: Option<&dyn Own>) -> Result<Array2<f32>> {
        let share = (rows as f64 * self.seed_share).round() as usize;
        let start = *self.start.get_or_insert(share.clamp(1, rows.max(1)));
        let seed = self.seed.nth("points", self.picks);
        self.picks += 1;
        if start > 0 {
            let n = start.min(rows).min(BATCH);
            self.start = Some(start - n);
            return Ok(points(n, view.shape.len(), view.range, seed));
        }
        self.open(rows.min(LANES));
        if self.lanes.is_empty() {
            // One label so far: only more points can find another.
            return Ok(points(rows.min(LANES), view.shape.len(), view.range, seed));
        }
        self.lanes.truncate(rows);
        let mut all = Array2::zeros((self.lanes.len(), view.shape.len()));
        for (place, (mut row, lane)) in all.rows_mut().into_iter().zip(&mut self.lanes).enumerate()
        {
            row.assign(&Array1::from(middle(lane.ends[0].view(), lane.ends[1].view())));
            lane.asked = Some(place);
        }
        Ok(all)
    }

    fn told(&mut self, told: &Told<'_>) -> Result<()> {
        let classes = told.answers.top1();
        let searching = self.lanes.iter().any(|lane| lane.asked.is_some());
        if !searching && !classes.is_empty() {
            self.rows = Some(match self.rows.take() {
                None => told.inputs.clone(),
                Some(rows) => concatenate(Axis(0), &[rows.view(), told.inputs.view()])
                    .map_err(|e| Error::Internal(e.to_string()))?,
            });
            self.classes.extend(classes);
            return Ok(());
        }
        for ((&place, row), class) in told.places.iter().zip(told.inputs.rows()).zip(classes) {
            let lane = self.lanes.iter_mut().find(|lane| lane.asked == Some(place));
            if let Some(lane) = lane {
                lane.ends[usize::from(class != lane.class)] = row.to_owned();
                lane.asked = None;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{tell, view_of};
    use super::*;
    use crate::oracle::Answers;

    /// A teacher whose boundary is at 0.37 of the first feature.
    fn labels(rows: &Array2<f32>) -> Answers {
        Answers::Labels(rows.column(0).iter().map(|x| usize::from(*x > 0.37)).collect())
    }

    #[test]
    fn searches_end_at_the_boundary() {
        let pool = Array2::zeros((1, 2));
        let view = view_of(&pool, &pool);
        let mut search = LineSearch::new(0.01, 0.1, Seed::new(1));
        let mut near = 0;
        let mut left = 400;
        while left > 0 {
            let rows = search.pick(&view, left, None).unwrap();
            assert!(rows.nrows() > 0 && rows.nrows() <= left);
            left -= rows.nrows();
            near += rows.column(0).iter().filter(|x| (**x - 0.37).abs() < 0.02).count();
            tell(&mut search, &rows, &labels(&rows));
        }
        assert!(near > 80, "{near} of 400"); // of evenly drawn points, 16
    }

    #[test]
    fn a_search_whose_question_was_refused_is_given_up() {
        let pool = Array2::zeros((1, 1));
        let view = view_of(&pool, &pool);
        let mut search = LineSearch::new(0.01, 0.1, Seed::new(1));
        let rows = search.pick(&view, 200, None).unwrap();
        tell(&mut search, &rows, &labels(&rows));
        let first = search.pick(&view, 180, None).unwrap();
        let nothing = Array2::zeros((0, 1));
        let none = Told { places: &[], inputs: &nothing, answers: &Answers::Labels(vec![]) };
        search.told(&none).unwrap();
        let second = search.pick(&view, 148, None).unwrap();
        assert_eq!(second.nrows(), LANES);
        assert_ne!(first, second);
    }
}
