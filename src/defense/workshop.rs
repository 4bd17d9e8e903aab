//! What a defender owns and may build its layers from: the rows it trained its teacher on, the teacher
//! itself where it is a model here, and a stream of its own.
//!
//! Models and statistics that layers are made from (surrogates, ensembles, thresholds) are made once in
//! a workshop and shared by all layers that ask for them. Each draws from a stream named by its key, so
//! that it does not matter who asks first, and two threads never make the same thing twice.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ndarray::{Array2, Axis};

use crate::error::{Error, Result};
use crate::model::{Arch, Cache, Device, InputShape, Lesson, Loss, Model, Recipe, Targets, fit};
use crate::oracle::Card;
use crate::seed::{Seed, permutation};

/// What a defender will own, as far as a config tells before anything is trained.
#[derive(Clone, Copy, Debug)]
pub struct Outline<'a> {
    /// How an input row is laid out.
    pub shape: InputShape,
    /// Classes of the teacher.
    pub classes: usize,
    /// The teacher's architecture.
    pub arch: &'a Arch,
    /// The teacher is a model in this process, not a table or a server.
    pub model: bool,
    /// Rows with labels.
    pub rows: usize,
    /// Rows like these that nobody has seen.
    pub unseen: usize,
}

/// What a defender owns.
pub struct Workshop {
    /// `[n, d]` rows that the teacher learned from.
    pub inputs: Array2<f32>,
    /// `[n]` their classes.
    pub labels: Vec<usize>,
    /// `[m, d]` rows like these that neither the teacher nor anybody else has seen.
    pub unseen: Array2<f32>,
    /// `[m]` their classes.
    pub unseen_labels: Vec<usize>,
    /// How a row is laid out.
    pub shape: InputShape,
    /// Classes of the teacher.
    pub classes: usize,
    /// Smallest and largest valid feature value.
    pub range: (f32, f32),
    /// Where models run.
    pub device: Device,
    /// The teacher, where it is a model here.
    pub teacher: Option<Arc<Model>>,
    /// The teacher's architecture.
    pub arch: Arch,
    /// How the teacher was trained.
    pub recipe: Recipe,
    /// The defender's stream: the same for all arms of a seed.
    pub seed: Seed,
    /// Trained models outlive the process here, under keys that begin with the second part.
    pub cache: Option<(Cache, String)>,
    /// The teacher's twin, where it is not trained as usual; else [`Workshop::twin`] makes it.
    pub own_twin: Option<Arc<Twin>>,
    /// What was made so far.
    pub shelf: Shelf,
}

type Thing = Arc<dyn Any + Send + Sync>;

/// Things by key, each made once.
#[derive(Default)]
pub struct Shelf {
    places: Mutex<BTreeMap<String, Arc<Mutex<Option<Thing>>>>>,
}

/// A model like the teacher that has seen one half of the rows. On the other half it answers as the
/// teacher answers honest users: for rows that it has seen, a model is too sure.
pub struct Twin {
    /// The model.
    pub model: Arc<Model>,
    /// Rows that it learned from.
    pub seen: Vec<usize>,
    /// Rows that it did not.
    pub unseen: Vec<usize>,
}

/// What a panic leaves behind a lock is what was there before: things are put in whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    /// The thing under `key`; made by the first who asks while others wait.
    pub fn once<T: Send + Sync + 'static>(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<T>,
    ) -> Result<Arc<T>> {
        let place = Arc::clone(lock(&self.places).entry(key.to_string()).or_default());
        let mut place = lock(&place);
        let thing = match &*place {
            Some(thing) => Arc::clone(thing),
            None => {
                let thing: Thing = Arc::new(make()?);
                *place = Some(Arc::clone(&thing));
                thing
            }
        };
        thing.downcast().map_err(|_| Error::Internal(format!("two kinds of things under `{key}`")))
    }
}

impl Workshop {
    /// A defender who owns no rows and no model: enough for layers that only change answers.
    pub fn empty(card: Card) -> Self {
        Self {
            inputs: Array2::zeros((0, card.inputs)),
            labels: Vec::new(),
            unseen: Array2::zeros((0, card.inputs)),
            unseen_labels: Vec::new(),
            shape: InputShape::Flat(card.inputs),
            classes: card.classes,
            range: (0.0, 1.0),
            device: Device::Cpu,
            teacher: None,
            arch: Arch::Logistic {},
            recipe: Recipe::default(),
            seed: Seed::new(0),
            cache: None,
            own_twin: None,
            shelf: Shelf::default(),
        }
    }

    /// The same defender with the rows at `index` and another teacher. What is made there is kept apart,
    /// under `name`.
    pub fn other(&self, name: &str, index: &[usize], teacher: Arc<Model>) -> Self {
        Self {
            inputs: self.inputs.select(Axis(0), index),
            labels: index.iter().map(|&i| self.labels[i]).collect(),
            unseen: self.unseen.clone(),
            unseen_labels: self.unseen_labels.clone(),
            teacher: Some(teacher),
            arch: self.arch.clone(),
            recipe: self.recipe.clone(),
            cache: self.cache.clone().map(|(cache, of)| (cache, format!("{of}/{name}"))),
            own_twin: None,
            shelf: Shelf::default(),
            ..*self
        }
    }

    /// What there is, in outline.
    pub fn outline(&self) -> Outline<'_> {
        Outline {
            shape: self.shape,
            classes: self.classes,
            arch: &self.arch,
            model: self.teacher.is_some(),
            rows: self.labels.len(),
            unseen: self.unseen_labels.len(),
        }
    }

    /// The teacher's model.
    pub fn teacher(&self) -> Result<&Arc<Model>> {
        self.teacher.as_ref().ok_or_else(|| {
            Error::Internal("a layer that needs the teacher's model without one".into())
        })
    }

    /// The thing called `key`, made from a stream of that name at the first call. Whatever it depends on
    /// besides the workshop must be part of the key.
    pub fn once<T: Send + Sync + 'static>(
        &self,
        key: &str,
        make: impl FnOnce(Seed) -> Result<T>,
    ) -> Result<Arc<T>> {
        self.shelf.once(key, || make(self.seed.child(key)))
    }

    /// The same for a model that is worth keeping for later processes.
    pub fn trained(
        &self,
        key: &str,
        make: impl FnOnce(Seed) -> Result<Model>,
    ) -> Result<Arc<Model>> {
        let kept = self.cache.as_ref().map(|(cache, of)| (cache, format!("{of}/{key}")));
        self.once(key, |seed| {
            if let Some((model, _)) = kept.as_ref().and_then(|(c, key)| c.get(key, self.device)) {
                return Ok(model);
            }
            let model = make(seed)?;
            if let Some((cache, key)) = &kept {
                // A cache that cannot be written costs time later, not the result.
                let _ = cache.put(key, &model, &[("made-for".into(), key.clone())].into());
            }
            Ok(model)
        })
    }

    /// A fresh network for the defender's rows.
    pub fn fresh(&self, arch: &Arch, seed: Seed) -> Result<Model> {
        Model::init_by(self.recipe.init, arch, self.shape, self.classes, self.device, seed)
    }

    /// A network trained as the teacher was, on the rows at `index`.
    pub fn learned(&self, arch: &Arch, index: &[usize], loss: Loss, seed: Seed) -> Result<Model> {
        let lesson = Lesson {
            inputs: self.inputs.select(Axis(0), index),
            targets: Targets::Labels(index.iter().map(|&i| self.labels[i]).collect()),
        };
        self.taught(arch, &lesson, loss, seed)
    }

    /// A network trained as the teacher was, on this lesson.
    pub fn taught(&self, arch: &Arch, lesson: &Lesson, loss: Loss, seed: Seed) -> Result<Model> {
        let fresh = self.fresh(arch, seed.child("init"))?;
        Ok(fit(fresh, lesson, loss, &self.recipe, seed.child("fit"))?.selected)
    }

    /// All rows.
    pub fn all(&self) -> Vec<usize> {
        (0..self.labels.len()).collect()
    }

    /// The teacher's twin.
    pub fn twin(&self) -> Result<Arc<Twin>> {
        if let Some(twin) = &self.own_twin {
            return Ok(Arc::clone(twin));
        }
        let arch = self.teacher.as_ref().map_or(&self.arch, |t| t.arch());
        let key = format!("twin/{}", name_of(arch));
        let mut seen =
            permutation(&mut self.seed.child(&key).child("rows").rng(), self.labels.len());
        let unseen = seen.split_off(seen.len().div_ceil(2));
        let learn = |seed| self.learned(arch, &seen, Loss::HardLabel, seed);
        let model = self.trained(&format!("{key}/model"), learn)?;
        self.once(&key, |_| Ok(Twin { model, seen, unseen }))
    }
}

/// An architecture as a part of a key.
pub fn name_of(arch: &Arch) -> String {
    serde_json::to_string(arch).unwrap_or_default()
}

impl Outline<'_> {
    /// Refuses a defender without rows of its own.
    pub fn needs_rows(&self, kind: &str) -> Result<()> {
        if self.rows > 0 {
            return Ok(());
        }
        let expected = "a defender with rows and labels to make it from";
        Err(Error::config("kind", format!("`{kind}` without any row"), expected))
    }

    /// Refuses a teacher that can only be asked.
    pub fn needs_model(&self, kind: &str) -> Result<()> {
        if self.model {
            return self.needs_rows(kind);
        }
        Err(Error::config(
            "kind",
            format!("`{kind}` for a teacher that can only be asked"),
            "a teacher whose model is here: `teacher.kind` of `trained` or `safetensors`",
        ))
    }

    /// Refuses a teacher that can only be asked, or has neither gradients nor features.
    pub fn needs_network(&self, kind: &str) -> Result<()> {
        self.needs_model(kind)?;
        if self.arch.has_gradients() {
            return Ok(());
        }
        let found = format!("`{kind}` for a teacher that is a `{}`", self.arch.kind());
        Err(Error::config("kind", found, "a network as the teacher: it is made from one"))
    }

    /// Refuses an architecture, the teacher's own where absent, that is no network or does not fit the rows.
    pub fn needs_arch(&self, key: &str, arch: Option<&Arch>) -> Result<()> {
        let own = if arch.is_some() { "" } else { "nothing, for a teacher that is a " };
        let arch = arch.unwrap_or(self.arch);
        if !arch.has_gradients() {
            let found = format!("{own}`{}`", arch.kind());
            return Err(Error::config(key, found, "the architecture of a network"));
        }
        arch.check(self.shape, self.classes).map_err(|e| e.under(key))
    }
}

#[cfg(test)]
pub mod testing {
    //! A small workshop for tests: five classes in the plane.

    use std::sync::OnceLock;

    use super::*;
    use crate::oracle::AnswerKind;
    use crate::seed::normal;

    pub const CARD: Card = Card { inputs: 2, classes: 5, answers: AnswerKind::Probs };

    /// 300 rows around five corners of a pentagon within [0, 1] x [0, 1], and a teacher of them.
    pub fn small() -> &'static Workshop {
        static SMALL: OnceLock<Workshop> = OnceLock::new();
        SMALL.get_or_init(|| made(7))
    }

    /// Rows of the five classes in turn.
    pub fn rows(n: usize, seed: Seed) -> (Array2<f32>, Vec<usize>) {
        let mut rng = seed.rng();
        let mut inputs = Array2::zeros((n, 2));
        for (i, mut row) in inputs.rows_mut().into_iter().enumerate() {
            let angle = std::f64::consts::TAU * (i % 5) as f64 / 5.0;
            let near =
                |at: f64, rng: &mut _| (0.5 + 0.35 * at + 0.08 * normal(rng)).clamp(0.0, 1.0);
            row[0] = near(libm::cos(angle), &mut rng) as f32;
            row[1] = near(libm::sin(angle), &mut rng) as f32;
        }
        (inputs, (0..n).map(|i| i % 5).collect())
    }

    /// The same of another stream.
    pub fn made(seed: u64) -> Workshop {
        let mut shop = Workshop::empty(CARD);
        (shop.inputs, shop.labels) = rows(300, Seed::new(17));
        (shop.unseen, shop.unseen_labels) = rows(60, Seed::new(18));
        shop.arch = Arch::Mlp { hidden: vec![12] };
        shop.recipe = Recipe { steps: 400, ..Recipe::default() };
        shop.seed = Seed::new(seed);
        let teacher = shop
            .learned(&shop.arch, &shop.all(), Loss::HardLabel, Seed::new(1))
            .expect("a small teacher");
        shop.teacher = Some(Arc::new(teacher));
        shop
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::testing::{CARD, made, small};
    use super::*;

    #[test]
    fn a_thing_is_made_once_however_many_ask_at_the_same_time() {
        let shop = Workshop::empty(CARD);
        let made = AtomicUsize::new(0);
        let ask = || {
            shop.once("thing", |seed| {
                made.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(std::time::Duration::from_millis(5));
                Ok(seed)
            })
        };
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| *ask().unwrap())).collect();
            for thread in threads {
                assert_eq!(thread.join().unwrap(), Seed::new(0).child("thing"));
            }
        });
        assert_eq!(made.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_failure_is_no_thing_and_kinds_do_not_mix() {
        let shop = Workshop::empty(CARD);
        assert!(shop.once::<u8>("x", |_| Err(Error::Interrupted)).is_err());
        assert_eq!(*shop.once("x", |_| Ok(3_u8)).unwrap(), 3);
        assert!(shop.once("x", |_| Ok(3_u16)).is_err());
    }

    #[test]
    fn what_is_made_does_not_depend_on_who_asks_first() {
        let hash = |first: &str, second: &str| {
            let shop = made(3);
            let model = |key: &str| {
                let make = |seed| shop.fresh(&shop.arch, seed);
                shop.trained(key, make).unwrap().weights_hash().unwrap()
            };
            model(first);
            model(second);
            (model("a"), model("b"))
        };
        assert_eq!(hash("a", "b"), hash("b", "a"));
        assert_ne!(hash("a", "b").0, hash("a", "b").1);
    }

    #[test]
    fn a_twin_has_seen_half_of_the_rows_and_no_other() {
        let twin = small().twin().unwrap();
        let mut all = [twin.seen.clone(), twin.unseen.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, small().all());
        assert_eq!(twin.seen.len(), twin.unseen.len());
        assert!(Arc::ptr_eq(&twin, &small().twin().unwrap()));
    }

    #[test]
    fn a_defender_who_lacks_something_is_told_what() {
        let empty = Workshop::empty(CARD);
        let told = empty.outline().needs_model("ood-gate").unwrap_err().to_string();
        assert!(told.contains("`ood-gate`") && told.contains("`trained`"), "{told}");
        assert!(empty.outline().needs_rows("mad").is_err());
        assert!(small().outline().needs_model("ood-gate").is_ok());
    }
}
