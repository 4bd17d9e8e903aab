//! Dataset inference (Maini, Yaghini and Papernot 2021, "Dataset inference: ownership resolution in machine
//! learning", ICLR, section 5): whoever has learned from the defender's rows, or from a model that has, lies
//! further from them in its decisions than from rows like them. Nothing is planted and no answer is changed; the
//! layer is there to be believed when a suspect turns up.
//!
//! Features of a row are its distances to where a model changes its mind, by blind walks (`blind_walk`), which need
//! labels only. A small network learns from those of the defender's own teacher to tell private rows, which the
//! teacher learned from, from rows that nobody has seen: 100 hidden units, confidence p(private) - p(unseen) in -1
//! to 1, trained for 1000 steps on all rows to raise the confidence in what is so (section 5.2; that is the `L1`
//! loss here, less a constant). Of other private rows and other unseen ones it then judges the suspect's features,
//! and a one-sided Welch test says whether the private ones have the higher mean (section 5.3); the effect is the
//! difference of the means. Private row i and unseen row i are left in the same directions, so that no set is
//! favoured by its directions; the test is the more cautious for it. The rows that taught the network are not used
//! again: they would accuse anybody who finds easy what the teacher finds easy.
//!
//! Unseen rows are those that a split leaves over, 2,000 at most. What is shown is that the suspect met these rows,
//! not how: an independent model that was given some of them is accused, too. A high p-value is no proof of
//! innocence: n rows show what n rows can. Of the digits, 500 rows to learn from and 100 to ask about, it knows the
//! teacher and other models of the same rows, and not students that asked other rows.

use std::sync::Arc;

use ndarray::{Array1, Array2, ArrayView2, Axis, concatenate};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blind_walk::{Ask, BlindWalk};
use super::workshop::Outline;
use super::{Counter, Defense, Method, Next, Promise, Workshop};
use crate::error::{Error, Result};
use crate::model::{
    Arch, Device, InputShape, Lesson, Loss, Model, Optimizer, Recipe, Schedule, Targets, fit,
};
use crate::oracle::{Batch, Card, Reply, top1};
use crate::seed::{Seed, permutation};

/// Hidden units and training steps of the network that tells rows apart.
const HIDDEN: usize = 100;
const STEPS: usize = 1000;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Private rows and unseen rows that a suspect is asked about, 5 to 1000 of each. As many others of each teach
    /// the network.
    #[serde(default = "usual_rows")]
    #[schemars(range(min = 5, max = 1000))]
    pub rows: usize,
    /// Directions of each of three kinds in which a row is left, 1 to 100.
    #[serde(default = "usual_directions")]
    #[schemars(range(min = 1, max = 100))]
    pub directions: usize,
    /// Steps until a walk is given up, 1 to 1000.
    #[serde(default = "usual_steps")]
    #[schemars(range(min = 1, max = 1000))]
    pub steps: usize,
    /// Size of a step in each feature, as a part of the valid range, above 0 and at most 1.
    #[serde(default = "usual_step")]
    pub step: f64,
}

const fn usual_rows() -> usize {
    100
}

const fn usual_directions() -> usize {
    10
}

const fn usual_steps() -> usize {
    50
}

const fn usual_step() -> f64 {
    0.01
}

/// The layer: answers pass, the test is ready.
struct DatasetInference {
    ownership: Arc<Ownership>,
}

/// Rows with their classes.
#[derive(Clone, Debug)]
struct Rows {
    inputs: Array2<f32>,
    labels: Vec<usize>,
}

/// A test of whether a suspect has learned from the defender's rows, itself or through a model that has.
#[derive(Debug)]
pub struct Ownership {
    walk: BlindWalk,
    range: (f32, f32),
    /// The stream of the directions.
    seed: Seed,
    private: Rows,
    unseen: Rows,
    judge: Judge,
}

/// Tells features of private rows from those of unseen ones.
#[derive(Debug)]
struct Judge {
    /// Mean and deviation of the teacher's features, each `[features]`.
    unit: (Array1<f64>, Array1<f64>),
    model: Model,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "dataset-inference"
    }

    fn paper(&self) -> &'static str {
        "Maini et al. 2021, Dataset Inference; blind walk"
    }

    fn check(&self) -> Result<()> {
        if !(5..=1000).contains(&self.rows) {
            return Err(Error::config("rows", self.rows.to_string(), "5 to 1000 rows"));
        }
        self.walk().check()
    }

    fn card(&self, below: Card) -> Result<Card> {
        Ok(below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_model(self.kind())?;
        let needed = 2 * self.rows;
        for (what, there) in [
            ("the teacher learns from", outline.rows),
            ("no part of the split takes", outline.unseen),
        ] {
            if there < needed {
                let found = format!("{}, which needs {needed} rows that {what}", self.rows);
                let expected = format!("at most {}: of such rows there are {there}", there / 2);
                return Err(Error::config("rows", found, expected));
            }
        }
        Ok(())
    }

    fn promise(&self) -> Promise {
        Promise { l1_bound: 0.0, ..Promise::BASE }
    }

    /// Classes alone tell least of the teacher's margins.
    fn counter(&self) -> Counter {
        Counter::LabelOnly
    }

    fn build(&self, _key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        let Self { rows, directions, steps, step } = *self;
        let key = format!("dataset-inference/{rows}/{directions}/{steps}/{step}");
        let ownership = shop.once(&key, |_| self.ownership(shop))?;
        Ok(Box::new(DatasetInference { ownership }))
    }
}

impl Params {
    const fn walk(&self) -> BlindWalk {
        BlindWalk { directions: self.directions, steps: self.steps, step: self.step }
    }

    /// The test, from the defender's own teacher. More rows come on top of fewer.
    fn ownership(&self, shop: &Workshop) -> Result<Ownership> {
        let seed = shop.seed.child("dataset-inference");
        let order = permutation(&mut seed.child("private").rng(), shop.labels.len());
        let left_over: Vec<usize> = (0..shop.unseen_labels.len()).collect();
        let rows_of = |inputs: &Array2<f32>, labels: &[usize], index: &[usize]| Rows {
            inputs: inputs.select(Axis(0), index),
            labels: index.iter().map(|&i| labels[i]).collect(),
        };
        let own = |i| rows_of(&shop.inputs, &shop.labels, part(&order, i, self.rows));
        let left = |i| rows_of(&shop.unseen, &shop.unseen_labels, part(&left_over, i, self.rows));
        let teacher = shop.teacher()?;
        let mut ask = |rows: ArrayView2<'_, f32>| Ok(top1(&teacher.probs(rows)?));
        let (walk, range) = (self.walk(), shop.range);
        let mut features = |rows: &Rows| {
            walk.distances(rows.inputs.view(), &rows.labels, range, seed.child("lesson"), &mut ask)
        };
        let lesson = [features(&own(1))?, features(&left(1))?];
        let judge = Judge::learn(&lesson, seed.child("judge"))?;
        Ok(Ownership { walk, range, seed, private: own(0), unseen: left(0), judge })
    }
}

/// Part `i` of so many rows in an order.
fn part(order: &[usize], i: usize, rows: usize) -> &[usize] {
    &order[i * rows..][..rows]
}

impl Judge {
    /// From features `[n, f]` of private rows and of unseen ones.
    fn learn([private, unseen]: &[Array2<f64>; 2], seed: Seed) -> Result<Self> {
        let all = concatenate(Axis(0), &[private.view(), unseen.view()])
            .map_err(|e| Error::Internal(e.to_string()))?;
        let f = all.ncols();
        let mean = all.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(f));
        // A feature that never varies tells nothing: it stays 0.
        let deviation = all.std_axis(Axis(0), 0.0).mapv(|s| if s > 0.0 { s } else { 1.0 });
        let unit = (mean, deviation);
        let targets = Array2::from_shape_fn((all.nrows(), 2), |(i, class)| {
            f64::from(u8::from((i < private.nrows()) == (class == 1)))
        });
        let lesson = Lesson { inputs: scaled(&all, &unit), targets: Targets::Probs(targets) };
        let arch = Arch::Mlp { hidden: vec![HIDDEN] };
        let fresh = Model::init(&arch, InputShape::Flat(f), 2, Device::Cpu, seed.child("init"))?;
        let optimizer = Optimizer::Sgd { lr: 0.1, momentum: 0.0, weight_decay: 0.0 };
        let recipe = Recipe {
            optimizer,
            schedule: Schedule::Constant,
            batch: all.nrows(),
            steps: STEPS,
            validation: 0.0,
            check_every: STEPS,
            ..Recipe::default()
        };
        let model = fit(fresh, &lesson, Loss::L1, &recipe, seed.child("fit"))?.last;
        Ok(Self { unit, model })
    }

    /// Confidence `[n]` that rows of these features `[n, f]` are private, -1 to 1.
    fn confidence(&self, features: &Array2<f64>) -> Result<Vec<f64>> {
        let probs = self.model.probs(scaled(features, &self.unit).view())?;
        Ok(probs.rows().into_iter().map(|p| p[1] - p[0]).collect())
    }
}

/// Features in deviations from the mean.
fn scaled(features: &Array2<f64>, (mean, deviation): &(Array1<f64>, Array1<f64>)) -> Array2<f32> {
    ((features - mean) / deviation).mapv(|x| x as f32)
}

impl Ownership {
    /// Confidences that rows are private, by how a suspect treats them: of rows that are, and of rows that are not.
    pub fn confidence(&self, ask: &mut Ask<'_>) -> Result<[Vec<f64>; 2]> {
        let mut of = |rows: &Rows| {
            let (inputs, seed) = (rows.inputs.view(), self.seed.child("test"));
            let found = self.walk.distances(inputs, &rows.labels, self.range, seed, ask)?;
            self.judge.confidence(&found)
        };
        Ok([of(&self.private)?, of(&self.unseen)?])
    }
}

impl Defense for DatasetInference {
    fn name(&self) -> &'static str {
        "dataset-inference"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        next.run(batch)
    }

    fn ownership(&self) -> Option<&Ownership> {
        Some(&self.ownership)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::digits;
    use super::super::workshop::testing::{rows, small};
    use super::*;

    /// The digits' workshop with rows that its teacher has not seen.
    fn shop() -> Workshop {
        let (shop, data) = (digits(), crate::data::digits().unwrap());
        let mut shop = shop.other("di", &shop.all(), Arc::clone(shop.teacher().unwrap()));
        shop.unseen = data.inputs.slice(ndarray::s![500..800, ..]).to_owned();
        shop.unseen_labels = data.labels[500..800].to_vec();
        shop
    }

    const PARAMS: Params = Params { rows: 100, directions: 4, steps: 50, step: 0.01 };

    fn p(ownership: &Ownership, suspect: &Model) -> f64 {
        let mut ask = |rows: ArrayView2<'_, f32>| Ok(top1(&suspect.probs(rows)?));
        let [private, unseen] = ownership.confidence(&mut ask).unwrap();
        crate::metric::welch_above(&private, &unseen).and_then(|test| test.p).unwrap()
    }

    #[test]
    fn a_teacher_is_known_by_its_rows_and_a_model_of_other_rows_is_not() {
        let (shop, data) = (shop(), crate::data::digits().unwrap());
        let ownership = PARAMS.ownership(&shop).unwrap();
        let found = p(&ownership, shop.teacher().unwrap());
        assert!(found < 0.01, "{found}");
        let inputs = data.inputs.slice(ndarray::s![800..1300, ..]).to_owned();
        let lesson = Lesson { inputs, targets: Targets::Labels(data.labels[800..1300].to_vec()) };
        let other = shop.taught(&shop.arch, &lesson, Loss::HardLabel, Seed::new(2)).unwrap();
        let found = p(&ownership, &other);
        assert!(found > 0.05, "{found}");
    }

    #[test]
    fn few_who_never_met_the_rows_are_accused() {
        // The five classes' own regions: right about most rows, and made from none of them.
        let mut ask = |rows: ArrayView2<'_, f32>| -> Result<Vec<usize>> {
            let class = |row: ndarray::ArrayView1<'_, f32>| {
                let (x, y) = (f64::from(row[0]) - 0.5, f64::from(row[1]) - 0.5);
                let turns = libm::atan2(y, x) / std::f64::consts::TAU;
                (libm::round(5.0 * turns).rem_euclid(5.0)) as usize
            };
            Ok(rows.rows().into_iter().map(class).collect())
        };
        let params = Params { rows: 30, directions: 2, steps: 20, step: 0.02 };
        let mut ownership = params.ownership(small()).unwrap();
        let mut accused = 0;
        for i in 0..40 {
            let fresh = |name: &str| {
                let (inputs, labels) = rows(30, Seed::new(100 + i).child(name));
                Rows { inputs, labels }
            };
            (ownership.private, ownership.unseen) = (fresh("private"), fresh("unseen"));
            let [private, unseen] = ownership.confidence(&mut ask).unwrap();
            let test = crate::metric::welch_above(&private, &unseen).unwrap();
            accused += u32::from(test.p.is_some_and(|p| p < 0.1));
        }
        assert!(accused <= 8, "{accused} of 40 at one in ten");
    }

    #[test]
    fn who_is_asked_about_has_not_taught_the_judge() {
        let order = [3, 1, 4, 0, 2];
        assert_eq!((part(&order, 0, 2), part(&order, 1, 2)), (&[3, 1][..], &[4, 0][..]));
    }

    #[test]
    fn more_rows_than_a_split_leaves_are_refused() {
        let told = |params: Params| params.fits(&small().outline()).unwrap_err().to_string();
        let message = told(Params { rows: 31, ..PARAMS });
        assert!(message.contains("rows: found 31") && message.contains("at most 30"), "{message}");
        assert!(Params { rows: 30, ..PARAMS }.fits(&small().outline()).is_ok());
        let message = told(Params { rows: 151, ..PARAMS });
        assert!(message.contains("at most 150"), "{message}");
        assert!(Params { step: 0.0, ..PARAMS }.check().is_err());
        assert!(Params { rows: 4, ..PARAMS }.check().is_err());
    }

    #[test]
    fn a_judge_tells_long_walks_from_short_ones() {
        let of =
            |at: f64| Array2::from_shape_fn((20, 3), |(i, j)| at + ((i * 7 + j) % 5) as f64 / 5.0);
        let judge = Judge::learn(&[of(2.0), of(0.0)], Seed::new(1)).unwrap();
        let (long, short) =
            (judge.confidence(&of(2.1)).unwrap(), judge.confidence(&of(-0.1)).unwrap());
        assert!(long.iter().all(|c| *c > 0.8) && short.iter().all(|c| *c < -0.8));
    }

    #[test]
    fn one_row_of_each_is_enough_for_a_judge_and_a_feature_that_never_varies_tells_nothing() {
        let of = |at: f64| ndarray::arr2(&[[at, 5.0]]);
        let judge = Judge::learn(&[of(2.0), of(0.0)], Seed::new(1)).unwrap();
        let (long, short) =
            (judge.confidence(&of(2.0)).unwrap()[0], judge.confidence(&of(0.0)).unwrap()[0]);
        assert!(long > 0.8 && short < -0.8, "{long} {short}");
        let unit = (Array1::from(vec![1.0, 5.0]), Array1::from(vec![0.5, 1.0]));
        assert_eq!(scaled(&of(2.0), &unit), ndarray::arr2(&[[2.0_f32, 0.0]]));
    }
}
