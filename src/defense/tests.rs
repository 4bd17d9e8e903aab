//! What tests of several defenses share.

use std::sync::{Arc, OnceLock};

use ndarray::Axis;

use super::Workshop;
use crate::model::{Arch, Loss, Recipe};
use crate::oracle::{AnswerKind, Card};
use crate::seed::Seed;

/// 500 rows of the digits, and a teacher of them.
pub fn digits() -> &'static Workshop {
    static DIGITS: OnceLock<Workshop> = OnceLock::new();
    DIGITS.get_or_init(|| {
        let data = crate::data::digits().expect("the digits are built in");
        let index: Vec<usize> = (0..500).collect();
        let card = Card { inputs: 64, classes: 10, answers: AnswerKind::Probs };
        let mut shop = Workshop::empty(card);
        shop.inputs = data.inputs.select(Axis(0), &index);
        shop.labels = data.labels[..500].to_vec();
        shop.range = data.range;
        shop.arch = Arch::Mlp { hidden: vec![32] };
        shop.recipe = Recipe { steps: 400, ..Recipe::default() };
        let learned = shop.learned(&shop.arch, &shop.all(), Loss::HardLabel, Seed::new(1));
        shop.teacher = Some(Arc::new(learned.expect("a teacher of digits")));
        shop
    })
}
