//! Soft targets of texts against the losses on plain rows.

use ndarray::{Array2, arr2};

use super::super::tokens::{Taught, Texts};
use super::super::*;
use crate::seed::{Seed, normal};

const TOKENS: usize = 6;

/// Two texts of three positions, of which four count.
fn targets() -> Array2<i32> {
    arr2(&[[-1, 2, 5], [0, -1, 3]])
}

fn mask() -> Vec<bool> {
    targets().iter().map(|t| *t >= 0).collect()
}

/// Logits that 32 bits hold exactly, a row a position.
fn draw(seed: u64) -> Array2<f64> {
    let mut rng = Seed::new(seed).rng();
    Array2::from_shape_fn((6, TOKENS), |_| f64::from((2.0 * normal(&mut rng)) as f32))
}

fn told(v: &Array2<f64>, tell: Tell) -> TokenTargets {
    let mut told = TokenTargets::new(TOKENS, tell).unwrap();
    for (i, (row, _)) in v.rows().into_iter().zip(mask()).enumerate().filter(|(_, (_, m))| *m) {
        let row: Vec<f32> = row.iter().map(|&z| z as f32).collect();
        told.push(&row, Seed::new(1).nth("row", i as u64)).unwrap();
    }
    told
}

/// Loss and gradient of both texts.
fn of(z: &Array2<f64>, soft: Option<Soft>, weights: Option<Weights>) -> (f64, Array2<f64>) {
    let targets = targets();
    let taught = Some(Taught::new(&targets, soft, weights, TOKENS).unwrap());
    let goal = Goal::Tokens(Texts { targets, taught });
    let mut grad = z.clone();
    let values = grad.as_slice_mut().unwrap();
    let loss = goal.loss(&[0, 1], &[], 2, values, goal.weight(&[0, 1]), &mut Room::default());
    (loss, grad)
}

fn close(found: &(f64, Array2<f64>), expected: &(f64, Array2<f64>), what: &str) {
    let apart = (&found.1 - &expected.1).iter().fold(0.0_f64, |a, g| a.max(g.abs()));
    assert!((found.0 - expected.0).abs() < 1e-6, "{what}: {} {}", found.0, expected.0);
    assert!(apart < 1e-6, "{what}: {apart}");
}

/// Cross-entropy to the tokens of the positions that count, mean over those.
fn hard(z: &Array2<f64>) -> (f64, Array2<f64>) {
    let labels: Vec<usize> = targets().iter().map(|&t| t.max(0) as usize).collect();
    let (mut sum, mut grad) = (0.0, Array2::zeros(z.dim()));
    for (row, _) in mask().into_iter().enumerate().filter(|(_, counts)| *counts) {
        let one = z.select(ndarray::Axis(0), &[row]);
        let (loss, slope) = hard_label::loss(one.view(), &labels[row..=row]);
        sum += loss / 4.0;
        grad.row_mut(row).assign(&(slope.row(0).to_owned() / 4.0));
    }
    (sum, grad)
}

#[test]
fn a_text_is_as_long_as_its_last_token_that_counts() {
    let targets = arr2(&[[-1, 2, 5], [-1, 2, -1], [1, -1, -1], [-1, -1, -1]]);
    let texts = Texts { targets, taught: None };
    assert_eq!([0, 1, 2, 3].map(|text| texts.len(text)), [3, 2, 1, 1]);
    assert_eq!((texts.positions(), texts.counted(&[0, 1, 3])), (3, 3));
}

#[test]
fn full_rows_give_the_divergence_of_the_positions_that_count() {
    let (z, v) = (draw(1), draw(2));
    for divergence in Divergence::examples() {
        for temperature in [1.0, 2.5] {
            let soft = Soft { divergence, temperature, ..Soft::new(told(&v, Tell::Full)) };
            let expected = divergence.loss(z.view(), v.view(), &mask(), temperature).unwrap();
            close(&of(&z, Some(soft.clone()), None), &expected, &format!("{divergence:?}"));
            let (hard, hard_grad) = hard(&z);
            let mixed = (0.7 * expected.0 + 0.3 * hard, expected.1 * 0.7 + hard_grad * 0.3);
            close(
                &of(&z, Some(Soft { hard: 0.3, ..soft }), None),
                &mixed,
                "with a share of tokens",
            );
        }
    }
}

#[test]
fn top_k_rows_give_the_loss_of_their_tail() {
    let (z, v) = (draw(3), draw(4));
    let counted: Vec<usize> = (0..6).filter(|&i| mask()[i]).collect();
    let rows = |m: &Array2<f64>| m.select(ndarray::Axis(0), &counted);
    let mut top = TopK::of(&softmax(rows(&v).view()), 3);
    // As they are kept: a rest that is what 32 bits leave of 1 has fewer exact digits than they.
    top.probs.mapv_inplace(|p| f64::from(p as f32));
    for tail in Tail::ALL {
        for divergence in Divergence::examples().into_iter().filter(|d| tail.fits(*d).is_ok()) {
            let probs = told(&v, Tell::TopK { k: 3 });
            let soft = Soft { divergence, tail, ..Soft::new(probs) };
            let (loss, few) = tail.loss(rows(&z).view(), &top, divergence).unwrap();
            let mut grad = Array2::zeros(z.dim());
            counted.iter().zip(few.rows()).for_each(|(&i, row)| grad.row_mut(i).assign(&row));
            close(&of(&z, Some(soft), None), &(loss, grad), &format!("{tail:?} {divergence:?}"));
        }
    }
}

#[test]
fn a_tempered_top_k_row_spreads_its_rest() {
    let (z, v) = (draw(5), draw(6));
    let soft = Soft { temperature: 2.0, ..Soft::new(told(&v, Tell::TopK { k: 2 })) };
    let mut expected = 0.0;
    for (row, _) in mask().into_iter().enumerate().filter(|(_, counts)| *counts) {
        let p = softmax(v.select(ndarray::Axis(0), &[row]).view());
        let q = softmax(z.select(ndarray::Axis(0), &[row]).mapv(|z| z / 2.0).view());
        let top = TopK::of(&p, 2);
        let tempered = retemper(&top.probs.row(0).to_vec(), 4, 0.5, Leftover::Spread);
        let (mut kl, mut rest) = (0.0, [1.0, 1.0]);
        for (&id, p) in top.ids.row(0).iter().zip(tempered) {
            kl += p * libm::log(p / q[[0, id]]);
            rest = [rest[0] - p, rest[1] - q[[0, id]]];
        }
        expected += (kl + rest[0] * libm::log(rest[0] / rest[1])) / 4.0;
    }
    let found = of(&z, Some(soft), None).0;
    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
}

#[test]
fn the_mean_of_drawn_rows_has_the_gradient_of_the_full_one() {
    let (z, v) = (draw(7), draw(8));
    let full = of(&z, Some(Soft::new(told(&v, Tell::Full))), None).1;
    let n = 4000;
    let mut mean = Array2::zeros(z.dim());
    for i in 0..n {
        let mut few = TokenTargets::new(TOKENS, Tell::Sampled { draws: 8, power: 0.8 }).unwrap();
        for (row, _) in v.rows().into_iter().zip(mask()).filter(|(_, counts)| *counts) {
            let row: Vec<f32> = row.iter().map(|&z| z as f32).collect();
            few.push(&row, Seed::new(2).nth("row", (few.len() + 10 * i) as u64)).unwrap();
        }
        mean += &(of(&z, Some(Soft::new(few)), None).1 / n as f64);
    }
    // A weight is at most about 3; five deviations of a mean of 4000 targets of 8 draws, over 4 positions.
    let apart = (&mean - &full).iter().fold(0.0_f64, |a, g| a.max(g.abs()));
    assert!(apart < 5.0 * 1.5 / libm::sqrt(8.0 * 4000.0) / 4.0, "{apart}");
}

#[test]
fn drawn_rows_weigh_as_they_were_drawn_and_are_not_scaled() {
    let (z, v) = (draw(7), draw(8));
    let few = told(&v, Tell::Sampled { draws: 3, power: 0.5 });
    let (_, found) = of(&z, Some(Soft::new(few.clone())), None);
    let q = softmax(z.view());
    let counted = (0..6).filter(|&i| mask()[i]);
    for (k, row) in counted.enumerate() {
        let token_targets::Row::Few(tokens, weights) = few.row(k) else { panic!("a few") };
        let mass: f64 = weights.iter().map(|&w| f64::from(w)).sum();
        assert!((mass - 1.0).abs() > 1e-3, "{mass}");
        let mut expected = q.row(row).to_owned() * mass;
        tokens.iter().zip(weights).for_each(|(&t, &w)| expected[usize::from(t)] -= f64::from(w));
        let apart = &found.row(row) * 4.0 - expected;
        assert!(apart.iter().all(|d| d.abs() < 1e-9), "{row}: {apart}");
    }
}

#[test]
fn weights_multiply_what_each_position_teaches() {
    let (z, v) = (draw(9), draw(10));
    let probs = told(&v, Tell::Full);
    let soft = Soft::new(probs);
    let weights = Weights { soft: vec![2.0, 0.0, -1.0, 0.5], hard: vec![0.0, 1.0, 3.0, -0.5] };
    let (_, grad) = of(&z, Some(soft.clone()), Some(weights.clone()));
    let (plain, tokens) = (of(&z, Some(soft), None).1, hard(&z).1);
    let counted: Vec<usize> = (0..6).filter(|&i| mask()[i]).collect();
    for (k, &row) in counted.iter().enumerate() {
        let expected = plain.row(row).to_owned() * weights.soft[k]
            + tokens.row(row).to_owned() * weights.hard[k];
        (&grad.row(row) - &expected).iter().for_each(|g| assert!(g.abs() < 1e-12));
    }
    // Without a teacher, only tokens weigh.
    let (loss, alone) = of(&z, None, Some(Weights { soft: vec![0.0; 4], hard: vec![2.0; 4] }));
    close(&(loss, alone), &(2.0 * hard(&z).0, hard(&z).1 * 2.0), "tokens alone");
}

#[test]
fn a_certain_teacher_is_not_infinitely_far_from_a_bucket() {
    let mut sure = draw(11);
    sure.column_mut(1).fill(90.0);
    let probs = told(&sure, Tell::TopK { k: 2 });
    let soft = Soft { divergence: Divergence::ReverseKl {}, ..Soft::new(probs) };
    let (loss, grad) = of(&draw(12), Some(soft), None);
    assert!(loss.is_finite() && grad.iter().all(|g| g.is_finite()), "{loss}");
}

#[test]
fn soft_targets_that_do_not_fit_are_refused() {
    let v = draw(1);
    let soft = |tell| Soft::new(told(&v, tell));
    let full = soft(Tell::Full);
    let drawn = soft(Tell::Sampled { draws: 3, power: 1.0 });
    let reverse = Divergence::ReverseKl {};
    let known = soft(Tell::TopK { k: 2 });
    let cases = [
        (Soft { hard: 1.5, ..full.clone() }, "hard: found 1.5"),
        (Soft { temperature: 0.0, ..full.clone() }, "temperature"),
        (Soft { divergence: reverse, ..drawn }, "unbiased"),
        (Soft { divergence: reverse, tail: Tail::Truncated, ..known }, "truncated"),
    ];
    for (soft, expected) in cases {
        let error = Taught::new(&targets(), Some(soft), None, TOKENS).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    let mut fewer = targets();
    fewer[[0, 1]] = -1;
    let error = Taught::new(&fewer, Some(full.clone()), None, TOKENS).unwrap_err().to_string();
    assert!(error.contains("expected shape [3], got [4]"), "{error}");
    assert!(Taught::new(&targets(), Some(full), None, TOKENS + 1).is_err());
    let weights = Weights { soft: vec![], hard: vec![1.0; 4] };
    assert!(Taught::new(&targets(), None, Some(weights), TOKENS).is_err());
    let mut few = TokenTargets::new(TOKENS, Tell::TopK { k: 2 }).unwrap();
    assert!(few.push_top_k(&[1, 1], &[0.5, 0.5]).is_err());
    assert!(few.push_top_k(&[1, 6], &[0.5, 0.5]).is_err());
    assert!(few.push_top_k(&[1, 2, 3], &[0.2; 3]).is_err());
    assert!(few.push_top_k(&[1, 2], &[0.5, 0.4]).is_ok());
    assert!(few.push(&[f32::NAN; TOKENS], Seed::new(1)).is_err());
    assert!(TokenTargets::new(TOKENS, Tell::Sampled { draws: 0, power: 1.0 }).is_err());
}

#[test]
fn the_divergence_of_two_kept_rows_is_that_of_their_distributions() {
    let row = |probs: [f32; 2], tell| {
        let mut told = TokenTargets::new(2, tell).unwrap();
        told.push(&probs.map(libm::logf), Seed::new(1)).unwrap();
        told
    };
    let (p, q) = (row([0.5, 0.5], Tell::Full), row([0.25, 0.75], Tell::Full));
    let expected = 0.5 * libm::log(2.0) + 0.5 * libm::log(2.0 / 3.0);
    assert!((p.kl(&q, 0).unwrap() - expected).abs() < 1e-6);
    assert!(p.kl(&p, 0).unwrap().abs() < 1e-9);
    assert!(p.kl(&q, 1).is_err() && p.kl(&row([0.5, 0.5], Tell::TopK { k: 1 }), 0).is_err());
}
