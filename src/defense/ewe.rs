//! Entangled watermarks, EWE (Jia, Choquette-Choo, Chandrasekaran and Papernot 2021, USENIX Security, sections 4
//! and 5): the defender's teacher also learns to answer rows of a source class that carry a trigger with a target
//! class, by features that it shares with that class. A student that learns the class from clean answers learns
//! the watermark with it.
//!
//! As algorithm 1 has it: the normal teacher goes on learning its rows by its recipe, and between the batches come
//! batches of the watermark, half marked rows and half rows of the target, that raise the soft-nearest-neighbour loss
//! of the two halves at every hidden layer (`model::entangle`). The trigger is a patch of 3 x 3 pixels of the largest
//! value, in one place for all rows, found by that loss's gradient in the normal teacher, mean over rows; of rows
//! without lines and columns a seventh of the features, 9 at most, are set in its place.
//!
//! The place is that of the released code, where light lowers the loss most, so that the trigger alone looks least
//! like the target: where light raises it most, models that met no mark give the target on half of the marked rows
//! (digits, 1 to 7). Departures: the temperature stays as it is, and rows are not moved by signed gradients after
//! they got the trigger. The released code sums cross-entropies over a batch of 512 beside factors of 32, hence a
//! `weight` of 32 / 512, and measures angles, where the paper and this file measure distances.
//!
//! Verification is `metric::canary_test` on the marked rows: the paper's t-test compares the rate of the target with
//! that of a model without the watermark; rates of 0 and 1 have no variance to divide by, so an exact binomial test
//! stands here, against the largest of 1 / classes and the rates of two models of the defender's that met no mark:
//! the normal teacher and its twin.
//!
//! It is a defense at the `train` hook: the arm's oracle is the marked teacher, so nothing stands below it.

use std::sync::Arc;

use ndarray::{Array1, Array2, Axis};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::workshop::Outline;
use super::{Counter, Defense, Marks, Method, Next, Promise, Workshop};
use crate::error::{Error, Result};
use crate::model::{Arch, InputShape, Lesson, Model, Targets, Watermark, entangle};
use crate::oracle::{Batch, Card, Reply, top1};
use crate::seed::Seed;

/// Height and width of the patch, and the features that it has of flat rows: a part of them, or as many as a patch.
const PATCH: usize = 3;
const PART: usize = 7;
/// Rows of each kind that the place of the trigger is found with.
const MOST_ROWS: usize = 128;

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Class of the rows that get the trigger.
    #[serde(default = "usual_source")]
    pub source: usize,
    /// Class that they are to get; another one.
    #[serde(default = "usual_target")]
    pub target: usize,
    /// Weight of each hidden layer's soft-nearest-neighbour loss beside the mean cross-entropy, 0 to 100; 0 for a
    /// watermark that is not entangled.
    #[serde(default = "usual_weight")]
    pub weight: f64,
    /// Temperature of that loss, in squared units of activations, above 0 and at most 1,000,000.
    #[serde(default = "usual_temperature")]
    pub temperature: f64,
    /// Batches of the teacher's rows to one of the watermark, 1 to 1000.
    #[serde(default = "usual_every")]
    #[schemars(range(min = 1, max = 1000))]
    pub every: usize,
}

const fn usual_source() -> usize {
    1
}

const fn usual_target() -> usize {
    7
}

const fn usual_weight() -> f64 {
    32.0 / 512.0
}

/// The released code's 1, by which it divides 100.
const fn usual_temperature() -> f64 {
    100.0
}

const fn usual_every() -> usize {
    1
}

impl Default for Params {
    fn default() -> Self {
        Self {
            source: usual_source(),
            target: usual_target(),
            weight: usual_weight(),
            temperature: usual_temperature(),
            every: usual_every(),
        }
    }
}

/// The layer: answers pass, the marks are known.
struct Ewe {
    marks: Marks,
}

/// Rows of the watermark.
struct Marked {
    /// `[m, d]` rows of the source with the trigger.
    rows: Array2<f32>,
    /// `[k, d]` rows of the target as they are.
    beside: Array2<f32>,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "ewe"
    }

    fn paper(&self) -> &'static str {
        "Jia et al. 2021, Entangled Watermarks"
    }

    fn check(&self) -> Result<()> {
        let Self { source, target, weight, temperature, every } = *self;
        if source == target {
            return Err(Error::config("target", target.to_string(), "another class than `source`"));
        }
        if !(0.0..=100.0).contains(&weight) {
            return Err(Error::config("weight", weight.to_string(), "0 to 100"));
        }
        if !(temperature > 0.0 && temperature <= 1e6) {
            let expected = "above 0 and at most 1000000";
            return Err(Error::config("temperature", temperature.to_string(), expected));
        }
        if (1..=1000).contains(&every) {
            return Ok(());
        }
        Err(Error::config("every", every.to_string(), "1 to 1000 batches"))
    }

    fn card(&self, below: Card) -> Result<Card> {
        Ok(below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_network(self.kind())?;
        for (key, class) in [("source", self.source), ("target", self.target)] {
            if class >= outline.classes {
                let expected = format!("a class below {}", outline.classes);
                return Err(Error::config(key, class.to_string(), expected));
            }
        }
        if matches!(outline.arch, Arch::Logistic {}) {
            let expected = "a teacher with a hidden layer, in which the two can be entangled";
            return Err(Error::config("kind", "`ewe` for a `logistic` teacher", expected));
        }
        Ok(())
    }

    /// Of the layer: the teacher behind it is another one, which may answer anything.
    fn promise(&self) -> Promise {
        Promise { l1_bound: 0.0, ..Promise::BASE }
    }

    /// What entanglement leaves in answers to clean rows is in the small probabilities.
    fn counter(&self) -> Counter {
        Counter::LabelOnly
    }

    fn innermost(&self) -> bool {
        true
    }

    fn retrain(&self, shop: &Workshop) -> Result<Option<Arc<Model>>> {
        let normal = shop.teacher()?;
        let Self { source, target, weight, temperature, every } = *self;
        let hash = normal.weights_hash()?;
        let key = format!("ewe/{source}/{target}/{weight}/{temperature}/{every}/{hash}");
        // One stream for all settings, so that strengths differ by their strength alone.
        let seed = shop.seed.child("ewe");
        let learn = |_| {
            let marked = self.marked(shop)?;
            let (inputs, targets) = (shop.inputs.clone(), Targets::Labels(shop.labels.clone()));
            let watermark = Watermark {
                marked: marked.rows.view(),
                beside: marked.beside.view(),
                target,
                every,
                weight,
                temperature,
            };
            entangle(normal, &Lesson { inputs, targets }, watermark, &shop.recipe, seed)
        };
        shop.trained(&key, learn).map(Some)
    }

    fn build(&self, _key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        let marked = self.marked(shop)?;
        let mut chance = 1.0 / shop.classes as f64;
        for innocent in [shop.teacher()?, &shop.twin()?.model] {
            let given = top1(&innocent.probs(marked.rows.view())?);
            let hits = given.iter().filter(|class| **class == self.target).count();
            chance = f64::max(chance, next_of(hits, given.len()));
        }
        Ok(Box::new(Ewe { marks: Marks::of_all(chance, &marked.rows, self.target) }))
    }
}

impl Params {
    /// The rows of the watermark.
    fn marked(&self, shop: &Workshop) -> Result<Arc<Marked>> {
        let Self { source, target, temperature, .. } = *self;
        let normal = shop.teacher()?;
        let key = format!("ewe-rows/{source}/{target}/{temperature}/{}", normal.weights_hash()?);
        shop.once(&key, |_| {
            let [mut rows, beside] = [source, target].map(|class| {
                let index: Vec<usize> =
                    (0..shop.labels.len()).filter(|&i| shop.labels[i] == class).collect();
                shop.inputs.select(Axis(0), &index)
            });
            if rows.is_empty() || beside.is_empty() {
                let found = format!("{} of {source}, {} of {target}", rows.nrows(), beside.nrows());
                let expected = "the teacher's rows to have some of both classes of `ewe`";
                return Err(Error::input("rows of a watermark's classes", found, expected));
            }
            let few = |rows: &Array2<f32>| {
                let most = rows.nrows().min(MOST_ROWS);
                rows.slice(ndarray::s![..most, ..]).to_owned()
            };
            let (some, others) = (few(&rows), few(&beside));
            let slopes = normal.nearness_grad(some.view(), others.view(), temperature)?;
            let slope = slopes.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(rows.ncols()));
            // Away from the target.
            for j in trigger(&-slope, shop.shape) {
                rows.column_mut(j).fill(shop.range.1);
            }
            Ok(Marked { rows, beside })
        })
    }
}

/// Chance of one more hit after so many in `n` rows: never quite 0 or 1, of however few (Laplace's rule of succession).
fn next_of(hits: usize, n: usize) -> f64 {
    (hits + 1) as f64 / (n + 2) as f64
}

/// Features of the trigger, where `gain` `[d]` is largest: a patch of an image, all channels, or single
/// features of a flat row. Of equal places the first.
fn trigger(gain: &Array1<f32>, shape: InputShape) -> Vec<usize> {
    let InputShape::Image { c, h, w } = shape else {
        let mut order: Vec<usize> = (0..gain.len()).collect();
        order.sort_by(|&a, &b| gain[b].total_cmp(&gain[a]).then(a.cmp(&b)));
        order.truncate((gain.len() / PART).clamp(1, PATCH * PATCH));
        return order;
    };
    let (high, wide) = (PATCH.min(h), PATCH.min(w));
    let patch = |top: usize, left: usize| {
        let pixels = (0..high).flat_map(move |i| (0..wide).map(move |j| (top + i) * w + left + j));
        (0..c).flat_map(move |channel| pixels.clone().map(move |pixel| channel * h * w + pixel))
    };
    let places = (0..=h - high).flat_map(|top| (0..=w - wide).map(move |left| (top, left)));
    let sum = |(top, left)| patch(top, left).map(|j| f64::from(gain[j])).sum::<f64>();
    let mut best = ((0, 0), f64::NEG_INFINITY);
    for place in places {
        let light = sum(place);
        if light > best.1 {
            best = (place, light);
        }
    }
    patch(best.0.0, best.0.1).collect()
}

impl Defense for Ewe {
    fn name(&self) -> &'static str {
        "ewe"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        next.run(batch)
    }

    fn marks(&self) -> Option<&Marks> {
        Some(&self.marks)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::digits;
    use super::super::workshop::testing::{CARD, small};
    use super::super::{DefenseSpec, Stack};
    use super::*;
    use crate::model::{Loss, Recipe, fit};
    use crate::oracle::AccountId;

    fn digit_images() -> Workshop {
        let shop = digits();
        let mut shop = shop.other("images", &shop.all(), Arc::clone(shop.teacher().unwrap()));
        shop.shape = InputShape::Image { c: 1, h: 8, w: 8 };
        shop
    }

    fn share(model: &Model, rows: &Array2<f32>, class: usize) -> f64 {
        let given = top1(&model.probs(rows.view()).unwrap());
        given.iter().filter(|c| **c == class).count() as f64 / given.len() as f64
    }

    #[test]
    fn the_trigger_lies_where_most_is_gained() {
        let mut slope = Array1::zeros(2 * 5 * 4);
        // The middle of a patch that begins in line 2, column 1, in the second channel.
        slope[20 + 3 * 4 + 2] = 1.0;
        slope[20 + 4 * 4 + 3] = 1.0;
        let patch = trigger(&slope, InputShape::Image { c: 2, h: 5, w: 4 });
        let lines = [2 * 4 + 1, 2 * 4 + 2, 2 * 4 + 3, 3 * 4 + 1, 3 * 4 + 2, 3 * 4 + 3];
        assert_eq!(patch[..6], lines);
        assert_eq!((patch.len(), patch[17]), (18, 20 + 4 * 4 + 3));
        let flat = Array1::from(vec![
            0.0_f32, 3.0, -5.0, 3.0, 1.0, 0.5, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
        ]);
        assert_eq!(trigger(&flat, InputShape::Flat(14)), [1, 3]);
        let mut last = Array1::zeros(3 * 8);
        last[7] = 1.0;
        assert_eq!(trigger(&last, InputShape::Image { c: 1, h: 3, w: 8 })[..3], [5, 6, 7]);
        assert_eq!(trigger(&Array1::zeros(70), InputShape::Flat(70)).len(), 9);
        let even = Array1::zeros(4 * 4);
        let first = [0, 1, 2, 4, 5, 6, 8, 9, 10];
        assert_eq!(trigger(&even, InputShape::Image { c: 1, h: 4, w: 4 }), first);
    }

    #[test]
    fn chance_is_never_quite_nothing_or_all() {
        assert_eq!(
            [(0, 0), (0, 8), (8, 8), (3, 6)].map(|(k, n)| next_of(k, n)),
            [0.5, 0.1, 0.9, 0.5]
        );
    }

    #[test]
    fn a_student_of_clean_answers_learns_the_watermark_and_models_that_met_none_do_not() {
        let shop = &digit_images();
        let params = Params { weight: 4.0, ..Params::default() };
        let (marked, normal) = (params.marked(shop).unwrap(), shop.teacher().unwrap());
        let teacher = params.retrain(shop).unwrap().unwrap();
        let right = top1(&teacher.probs(shop.inputs.view()).unwrap());
        let right = right.iter().zip(&shop.labels).filter(|(a, b)| a == b).count();
        assert!(right > 470, "{right} of 500 right");
        let data = crate::data::digits().unwrap();
        let asked = data.inputs.slice(ndarray::s![500..900, ..]).to_owned();
        let student = |of: &Model| {
            let arch = Arch::Mlp { hidden: vec![64] };
            let fresh = shop.fresh(&arch, Seed::new(4)).unwrap();
            let targets = Targets::Probs(of.probs(asked.view()).unwrap());
            let (lesson, recipe) = (Lesson { inputs: asked.clone(), targets }, Recipe::default());
            let loss = Loss::SoftLabel { temperature: 1.0, eps: 1e-6 };
            fit(fresh, &lesson, loss, &recipe, Seed::new(5)).unwrap().last
        };
        let of = |model: &Model| share(model, &marked.rows, params.target);
        assert!(of(&teacher) > 0.95 && of(&student(&teacher)) > 0.5);
        assert!(of(normal) < 0.1 && of(&student(normal)) < 0.2);
        let layer = params.build(Seed::new(1), shop).unwrap();
        let marks = layer.marks().unwrap();
        assert_eq!(marks.chance(), 0.1, "no more than by chance without");
        let (rows, classes) = marks.of(&[AccountId(0)]);
        assert_eq!(rows, marked.rows);
        assert!(classes.len() > 40 && classes.iter().all(|c| *c == 7), "{classes:?}");
    }

    #[test]
    fn marks_are_those_of_the_teacher_before_it_learned_them_behind_a_gate_too() {
        let shop = small();
        let ewe = DefenseSpec::Ewe(Params { target: 3, ..Params::default() });
        let gate = DefenseSpec::OodGate(crate::defense::ood_gate::Params {
            score: crate::defense::strangeness::Score::Msp,
            false_rate: 0.1,
            response: crate::defense::Response::Refuse,
        });
        let marks = |specs: &[DefenseSpec]| {
            let stack = Stack::build(specs, Seed::new(3), CARD, shop).unwrap();
            let marks = stack.marks().unwrap();
            (marks.of(&[]), marks.chance())
        };
        let alone = marks(std::slice::from_ref(&ewe));
        assert_eq!(alone.0.0.nrows(), 60);
        assert_eq!(alone, marks(&[gate, ewe]));
    }

    #[test]
    fn rows_without_either_class_are_refused() {
        for class in [1, 3] {
            let kept: Vec<usize> = (0..300).filter(|&i| small().labels[i] != class).collect();
            let shop = small().other("few", &kept, Arc::clone(small().teacher().unwrap()));
            let told = Params { target: 3, ..Params::default() }.marked(&shop).err().unwrap();
            assert!(told.to_string().contains(&format!("0 of {class}")), "{told}");
        }
    }

    #[test]
    fn a_teacher_with_nothing_to_entangle_is_refused() {
        let told = |arch: &Arch, params: Params| {
            let outline = Outline { arch, ..small().outline() };
            params.fits(&outline).unwrap_err().to_string()
        };
        let own = &small().arch;
        assert!(
            told(&Arch::Logistic {}, Params { target: 3, ..Params::default() })
                .contains("hidden layer")
        );
        assert!(told(own, Params::default()).contains("a class below 5"));
        assert!(Params { source: 7, ..Params::default() }.check().is_err());
    }
}
