//! Ensemble of diverse models, EDM (Kariyappa, Prakash and Qureshi 2021, "Protecting DNNs from theft using
//! an ensemble of diverse models"): a hash of the input picks which of n models answers, so that
//! a student sees a function with jumps wherever the models disagree: away from the teacher's rows.
//!
//! The paper trains its models apart with a diversity loss on other data. Here they differ by seed and, where
//! the teacher has hidden units, by width in turn (as wide, half, half as wide again); the first is the
//! teacher itself. The hash is of the input on a grid, keyed, so that near inputs mostly meet the same
//! model. It answers instead of the teacher, so nothing stands below it.

use std::sync::Arc;

use ndarray::Axis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::workshop::{Outline, name_of};
use super::{Counter, Defense, Method, Next, Promise, Workshop, rows};
use crate::error::{Error, Result};
use crate::model::{Arch, Loss, Model};
use crate::oracle::{Answers, Batch, Card, Reply};
use crate::seed::{Seed, below};

/// Settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// Models, the teacher among them, 2 to 32.
    #[serde(default = "usual_models")]
    #[schemars(range(min = 2, max = 32))]
    pub models: usize,
    /// Steps that the range of each feature is cut into before hashing, 1 to 1000.
    #[serde(default = "usual_levels")]
    #[schemars(range(min = 1, max = 1000))]
    pub levels: u32,
}

const fn usual_models() -> usize {
    5
}

const fn usual_levels() -> u32 {
    8
}

/// The layer.
pub struct Edm {
    models: Vec<Arc<Model>>,
    grid: rows::Grid,
    key: Seed,
}

impl Method for Params {
    fn kind(&self) -> &'static str {
        "edm"
    }

    fn paper(&self) -> &'static str {
        "Kariyappa et al. 2021, EDM; diversity by seed and width"
    }

    fn check(&self) -> Result<()> {
        if !(2..=32).contains(&self.models) {
            return Err(Error::config("models", self.models.to_string(), "2 to 32"));
        }
        rows::check_levels(self.levels)
    }

    fn card(&self, below: Card) -> Result<Card> {
        rows::needs_probs(self.kind(), below)
    }

    fn fits(&self, outline: &Outline<'_>) -> Result<()> {
        outline.needs_network(self.kind())
    }

    fn promise(&self) -> Promise {
        Promise { keeps_top1: false, ..Promise::BASE }
    }

    /// Moved copies meet other models, and their mean is that of the ensemble.
    fn counter(&self) -> Counter {
        Counter::Jitter
    }

    fn innermost(&self) -> bool {
        true
    }

    fn build(&self, key: Seed, shop: &Workshop) -> Result<Box<dyn Defense>> {
        let mut models = vec![Arc::clone(shop.teacher()?)];
        for i in 1..self.models {
            let arch = widened(&shop.arch, i);
            let learn = |seed| shop.learned(&arch, &shop.all(), Loss::HardLabel, seed);
            models.push(shop.trained(&format!("edm/{i}/{}", name_of(&arch)), learn)?);
        }
        let grid = rows::Grid { range: shop.range, levels: self.levels };
        Ok(Box::new(Edm { models, grid, key }))
    }
}

/// The architecture of model i: the teacher's, half as wide, half as wide again, in turn.
fn widened(arch: &Arch, i: usize) -> Arch {
    let width = |units: usize| match i % 3 {
        0 => units,
        1 => units.div_ceil(2),
        _ => (units + units / 2).min(8192),
    };
    match arch {
        Arch::Logistic {} => Arch::Logistic {},
        Arch::Mlp { hidden } => Arch::Mlp { hidden: hidden.iter().map(|&h| width(h)).collect() },
        Arch::Lenet { filters, hidden } => {
            Arch::Lenet { filters: *filters, hidden: width(*hidden) }
        }
        Arch::Cnn { conv, hidden } => {
            let hidden = hidden.iter().map(|&h| width(h)).collect();
            Arch::Cnn { conv: conv.clone(), hidden }
        }
        Arch::Tree { .. } | Arch::OneVsRest {} => arch.clone(), // refused: no networks
    }
}

impl Defense for Edm {
    fn name(&self) -> &'static str {
        "edm"
    }

    fn handle(&mut self, batch: &Batch, next: &mut Next<'_>) -> Result<Reply> {
        let mut reply = next.run(batch)?;
        let mut asked = vec![Vec::new(); self.models.len()];
        for (row, i) in reply.answered() {
            let bucket = self.grid.bucket(batch.inputs.row(row));
            asked[below(&mut self.key.keyed(&bucket).rng(), self.models.len())].push((row, i));
        }
        let Answers::Probs(probs) = &mut reply.answers else { return Err(rows::not_probs()) };
        // The first model is the teacher, whose answers are there already.
        for (model, asked) in self.models.iter().zip(asked).skip(1) {
            let index: Vec<usize> = asked.iter().map(|&(row, _)| row).collect();
            let answers = model.probs(batch.inputs.select(Axis(0), &index).view())?;
            for (answer, (_, i)) in answers.rows().into_iter().zip(asked) {
                probs.row_mut(i).assign(&answer);
            }
        }
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::super::workshop::testing::{CARD, small};
    use super::super::{DefenseSpec, Stack, Unwatched};
    use super::*;
    use crate::oracle::teacher::{Reveal, Teacher};
    use crate::oracle::{AccountId, Tick, top1};

    fn ask(models: usize, inputs: &Array2<f32>) -> Array2<f64> {
        let spec = DefenseSpec::Edm(Params { models, levels: 50 });
        let mut stack = Stack::build(&[spec], Seed::new(4), CARD, small()).unwrap();
        let mut oracle = Teacher::new(Arc::clone(small().teacher.as_ref().unwrap()), Reveal::Probs);
        let batch = Batch::classify(AccountId(0), Tick::ZERO, inputs.clone());
        match stack.run(&batch, &mut oracle, &mut Unwatched).unwrap().answers {
            Answers::Probs(p) => p,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_row_is_answered_by_one_model_and_every_model_by_about_its_share() {
        let inputs =
            Array2::from_shape_fn((400, 2), |(i, j)| ((i * (3 + 4 * j)) % 50) as f32 / 50.0 + 0.01);
        let teacher = small().teacher.as_ref().unwrap().probs(inputs.view()).unwrap();
        let got = ask(4, &inputs);
        let same = (0..400).filter(|&i| got.row(i) == teacher.row(i)).count();
        assert!((50..170).contains(&same), "the teacher answers {same} of 400");
        // All were trained on the same rows: on those they mostly agree.
        let own = ask(4, &small().inputs);
        let agree = top1(&own).iter().zip(&small().labels).filter(|(a, b)| a == b).count();
        assert!(agree > 240, "{agree} of 300");
    }

    #[test]
    fn models_are_as_wide_as_the_teacher_half_as_wide_and_half_as_wide_again() {
        let widths = |units| {
            [0, 1, 2, 3].map(|i| match widened(&Arch::Mlp { hidden: vec![units] }, i) {
                Arch::Mlp { hidden } => hidden[0],
                other => panic!("{other:?}"),
            })
        };
        assert_eq!(widths(64), [64, 32, 96, 64]);
        assert_eq!(widths(8192), [8192, 4096, 8192, 8192]);
    }

    #[test]
    fn nothing_stands_below_it() {
        let edm = DefenseSpec::Edm(Params { models: 3, levels: 8 });
        let round = DefenseSpec::Round(super::super::round::Params { digits: 1 });
        let check = |stack: &[DefenseSpec]| {
            DefenseSpec::check_stack(stack, CARD, &small().outline()).map_err(|e| e.to_string())
        };
        assert!(check(&[round.clone(), edm.clone()]).is_ok());
        let told = check(&[edm, round]).unwrap_err();
        assert!(told.contains("stack[0]") && told.contains("last place"), "{told}");
    }
}
