use ndarray::{ArrayView2, array};

use super::jb_top_k::best_wrong;
use super::jbda::sign_of_round;
use super::t_rnd::random_wrong;
use super::*;
use crate::oracle::Answers;
use crate::student::strategy::testing::{Plain, matrix, tell, vectors, view_of, whole};

/// z = W2 tanh(W1 x + b1) + b2, as the reference has it.
struct Tanh {
    w1: Array2<f64>,
    b1: Array2<f64>,
    w2: Array2<f64>,
    b2: Array2<f64>,
}

impl Own for Tanh {
    fn logits(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        let hidden = (x.mapv(f64::from).dot(&self.w1.t()) + &self.b1).mapv(libm::tanh);
        Ok((hidden.dot(&self.w2.t()) + &self.b2).mapv(|z| z as f32))
    }

    fn input_grad(&self, x: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>> {
        let hidden = (x.mapv(f64::from).dot(&self.w1.t()) + &self.b1).mapv(libm::tanh);
        let mut slope = hidden.mapv(|h| 1.0 - h * h);
        for (mut row, &c) in slope.rows_mut().into_iter().zip(class) {
            row *= &self.w2.row(c);
        }
        Ok(slope.dot(&self.w1).mapv(|g| g as f32))
    }
}

/// As configs have it without a word.
const PLAIN: Jbda = Jbda { step: 0.1, tau: 3, sigma: 3, kappa: None };

fn jbda(how: Jbda) -> Grow<Jbda> {
    Grow::new(how, Seed::new(1))
}

fn close(got: &Array2<f32>, want: &Array2<f64>, tolerance: f64) -> bool {
    got.iter().zip(want).all(|(g, w)| (f64::from(*g) - w).abs() <= tolerance * (1.0 + w.abs()))
}

#[test]
fn reference_steps_are_matched_by_the_whole_strategy() {
    let cases = vectors("jbda_step");
    assert_eq!(cases.len(), 4);
    for case in cases {
        let (input, expected) = (&case["input"], &case["expected"]);
        let own = Tanh {
            w1: matrix(&input["W1"]),
            b1: matrix(&serde_json::json!([input["b1"]])),
            w2: matrix(&input["W2"]),
            b2: matrix(&serde_json::json!([input["b2"]])),
        };
        let (x, labels) = (matrix(&input["x"]).mapv(|v| v as f32), whole(&input["labels"]));
        let gradient = own.input_grad(x.view(), &labels).unwrap();
        assert!(close(&gradient, &matrix(&expected["grad_logit"]), 1e-4), "{}", case["id"]);
        let number = |key: &str| input[key].as_f64().unwrap();
        let range = (number("lo") as f32, number("hi") as f32);
        let step = number("lambda");
        let minus = signed_step(&x, &gradient, -step, range);
        assert!(close(&minus, &matrix(&expected["x_new_minus"]), 1e-5), "{}", case["id"]);

        let mut view = view_of(&x, &x);
        view.range = range;
        view.classes = own.w2.nrows();
        let copies = copies(&mut jbda(Jbda { step, ..PLAIN }), &view, &labels, &own);
        assert!(close(&copies, &matrix(&expected["x_new"]), 1e-5), "{}", case["id"]);
        let mut deeper = Grow::new(JbSelf { step }, Seed::new(1));
        let copies = self::copies(&mut deeper, &view, &labels, &own);
        assert!(close(&copies, &matrix(&expected["x_new_jb_self"]), 1e-5), "{}", case["id"]);
    }
}

/// Asks the seeds, hears their labels, and gives the first copies.
fn copies(
    strategy: &mut dyn Strategy,
    view: &View<'_>,
    labels: &[usize],
    own: &dyn Own,
) -> Array2<f32> {
    let asked = strategy.pick(view, 1000, None).unwrap();
    assert_eq!(asked, view.public, "seeds first");
    tell(strategy, &asked, &Answers::Labels(labels.to_vec()));
    strategy.pick(view, 1000, Some(own)).unwrap()
}

#[test]
fn the_set_doubles_each_round_and_the_step_changes_sign_every_tau_rounds() {
    for case in vectors("jbda_growth") {
        let number = |key: &str| case["input"][key].as_u64().unwrap() as usize;
        let (tau, rounds) = (number("tau"), number("rounds"));
        let signs: Vec<i64> = (0..rounds).map(|r| sign_of_round(r, tau) as i64).collect();
        assert_eq!(serde_json::json!(signs), case["expected"]["signs"], "{}", case["id"]);
        let public = Array2::from_elem((number("seeds"), 1), 0.5);
        let sizes = sizes(&mut jbda(Jbda { tau, ..PLAIN }), &public, rounds, 100_000);
        assert_eq!(sizes.iter().sum::<usize>() as u64, case["expected"]["queried"]);
    }
}

/// Rows of each of the first rounds, all answered.
fn sizes(
    strategy: &mut dyn Strategy,
    public: &Array2<f32>,
    rounds: usize,
    budget: usize,
) -> Vec<usize> {
    let view = view_of(public, public);
    let mut left = budget;
    let mut size = || {
        let asked = strategy.pick(&view, left, Some(&Plain)).unwrap();
        left -= asked.nrows();
        tell(strategy, &asked, &Answers::Labels(vec![0; asked.nrows()]));
        asked.nrows()
    };
    (0..rounds).map(|_| size()).collect()
}

#[test]
fn a_reservoir_bounds_what_later_rounds_add() {
    let public = Array2::from_elem((10, 1), 0.5);
    let reservoir = Jbda { sigma: 2, kappa: Some(7), ..PLAIN };
    assert_eq!(sizes(&mut jbda(reservoir), &public, 6, 1000), [10, 10, 20, 7, 7, 7]);
    assert_eq!(sizes(&mut jbda(PLAIN), &public, 6, 1000), [10, 10, 20, 40, 80, 160]);
}

#[test]
fn the_last_round_is_cut_to_what_is_left() {
    let public = array![[0.1_f32], [0.2], [0.3], [0.4]];
    assert_eq!(sizes(&mut jbda(PLAIN), &public, 3, 7), [4, 3, 0]);
    let towards = TRnd::new(3, 0.1, 8);
    assert_eq!(sizes(&mut Grow::new(towards, Seed::new(1)), &public, 3, 7), [4, 3, 0]);
}

#[test]
fn it_ends_when_nothing_new_was_answered() {
    let public = array![[0.1_f32], [0.2]];
    let view = view_of(&public, &public);
    let mut jbda = jbda(PLAIN);
    assert_eq!(jbda.pick(&view, 9, None).unwrap().nrows(), 2);
    assert_eq!(jbda.pick(&view, 9, None).unwrap().nrows(), 0, "all seeds were refused");
    tell(&mut jbda, &public, &Answers::Labels(vec![0, 1]));
    assert_eq!(jbda.pick(&view, 9, Some(&Plain)).unwrap().nrows(), 2);
    assert_eq!(jbda.pick(&view, 9, Some(&Plain)).unwrap().nrows(), 0, "all copies were");
}

#[test]
fn no_seed_rows_is_an_error() {
    let none = Array2::zeros((0, 1));
    let got = jbda(PLAIN).pick(&view_of(&none, &none), 9, None);
    assert!(matches!(got, Err(Error::Input { .. })));
}

/// Logits -|x - centre|^2 of each class: the gradient of a class's loss leads away from the other centres.
struct Centres(Array2<f64>);

impl Own for Centres {
    fn logits(&self, x: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        Ok(Array2::from_shape_fn((x.nrows(), self.0.nrows()), |(i, k)| {
            let far = &x.row(i).mapv(f64::from) - &self.0.row(k);
            -far.dot(&far) as f32
        }))
    }

    fn input_grad(&self, x: ArrayView2<'_, f32>, class: &[usize]) -> Result<Array2<f32>> {
        let centre = self.0.select(Axis(0), class);
        Ok(((&centre - &x.mapv(f64::from)) * 2.0).mapv(|g| g as f32))
    }
}

#[test]
fn targeted_copies_move_towards_their_classes_within_the_box() {
    let own = Centres(array![[0.2, 0.2], [0.8, 0.2], [0.2, 0.8], [0.9, 0.9]]);
    let public = array![[0.3_f32, 0.25], [0.7, 0.1]];
    let mut view = view_of(&public, &public);
    view.classes = 4;
    let pgd = Pgd { eps: 0.1, alpha: 0.01, iterations: 8 };
    let mut best = Grow::new(JbTopK { k: 2, pgd }, Seed::new(1));
    let got = copies(&mut best, &view, &[0, 1], &own);
    assert_eq!(got.nrows(), 4);
    let loss = |x: &Array2<f32>, row: usize, class: usize| {
        -own.probs(x.view()).unwrap()[[row, class]].ln()
    };
    // Nearest wrong centres, by hand: of row 0 those of classes 1 and 2, of row 1 those of 0 and 3.
    for (copy, (row, class)) in [(0, 1), (0, 2), (1, 0), (1, 3)].into_iter().enumerate() {
        let (from, to) = (loss(&public, row, class), loss(&got, copy, class));
        assert!(to < from - 0.01, "copy {copy}: {from} then {to}");
        let far = &got.row(copy) - &public.row(row);
        assert!(far.iter().all(|d| d.abs() <= 0.0801), "8 steps of 0.01: {far}");
    }
    // 1.85 times the box in all: the box holds.
    let mut random = Grow::new(TRnd::new(9, 0.1, 8), Seed::new(1));
    let got = copies(&mut random, &view, &[0, 1], &own);
    assert_eq!(got.nrows(), 6, "at most the wrong classes that there are");
    for (i, copy) in got.rows().into_iter().enumerate() {
        let far = &copy - &public.row(i / 3);
        assert!(far.iter().all(|d| d.abs() <= 0.10001), "{far}");
        assert!(far.iter().any(|d| d.abs() > 0.05), "{far}");
    }
}

#[test]
fn targets_are_wrong_classes_and_none_twice() {
    assert_eq!(best_wrong(&[0.1, 0.5, 0.1, 0.3], 1, 2), [3, 0]);
    assert_eq!(best_wrong(&[0.1, 0.9], 0, 5), [1]);
    let targets = random_wrong(&[2, 0, 1], 3, 2, Seed::new(5));
    for (i, class) in [2, 0, 1].into_iter().enumerate() {
        let own = &targets[2 * i..2 * i + 2];
        assert!(own[0] != own[1] && !own.contains(&class), "{targets:?}");
    }
}
