//! Jacobian-based dataset augmentation (Papernot et al. 2017, algorithm 1; CleverHans): ask the public
//! seed rows, train, move a copy of every row along the sign of the gradient of its class's logit, ask
//! the copies, and so on. Seeds are asked and paid for like any row. The set doubles each round; a
//! round that costs more than is left moves a random part of the set (reservoir sampling).

use ndarray::{Array2, Axis, Slice, Zip, concatenate};

use super::{Own, Strategy};
use crate::error::{Error, Result};
use crate::seed::{Seed, permutation};
use crate::student::View;

pub(super) struct Jbda {
    step: f64,
    tau: usize,
    reservoir: Seed,
    /// Augmentations done; none before the seeds are asked.
    round: Option<usize>,
    /// Rows answered so far `[n, d]` and the teacher's class of each.
    rows: Option<Array2<f32>>,
    classes: Vec<usize>,
    /// Rows answered when the last copies were made.
    used: usize,
}

impl Jbda {
    pub(super) fn new(step: f64, tau: usize, reservoir: Seed) -> Self {
        Self { step, tau, reservoir, round: None, rows: None, classes: Vec::new(), used: 0 }
    }

    /// Rows to move: all that were answered, or a random part.
    fn chosen(&self, rows: usize, round: usize) -> Vec<usize> {
        let n = self.classes.len();
        if n <= rows {
            return (0..n).collect();
        }
        let stream = self.reservoir.nth("round", round as u64);
        let mut part = permutation(&mut stream.rng(), n);
        part.truncate(rows);
        part.sort_unstable();
        part
    }
}

/// (-1)^floor(round / tau).
fn sign_of_round(round: usize, tau: usize) -> f64 {
    if (round / tau).is_multiple_of(2) { 1.0 } else { -1.0 }
}

/// x + step sign(gradient), clipped to the valid range; sign(0) = 0. `[n, d]`
fn jbda_step(x: &Array2<f32>, gradient: &Array2<f32>, step: f64, range: (f32, f32)) -> Array2<f32> {
    Zip::from(x).and(gradient).map_collect(|&x, &g| {
        let sign = f64::from(i8::from(g > 0.0) - i8::from(g < 0.0));
        ((f64::from(x) + step * sign) as f32).clamp(range.0, range.1)
    })
}

/// The first public rows: half of the budget at most, so that there is something to augment with.
fn seeds(view: &View<'_>, rows: usize) -> Result<Array2<f32>> {
    if view.public.nrows() == 0 {
        return Err(Error::input("public rows", 0, "at least one seed row for `jbda`"));
    }
    let n = view.public.nrows().min(rows.div_ceil(2));
    Ok(view.public.slice_axis(Axis(0), Slice::from(..n)).to_owned())
}

impl Strategy for Jbda {
    fn pick(&mut self, view: &View<'_>, rows: usize, own: Option<&dyn Own>) -> Result<Array2<f32>> {
        let Some(round) = self.round else {
            self.round = Some(0);
            return seeds(view, rows);
        };
        let (Some(known), Some(own)) = (&self.rows, own) else {
            return Ok(Array2::zeros((0, view.pool.ncols()))); // no seed was answered
        };
        if self.classes.len() == self.used {
            return Ok(Array2::zeros((0, known.ncols()))); // the last copies were all refused
        }
        let chosen = self.chosen(rows, round);
        let from = known.select(Axis(0), &chosen);
        let classes: Vec<usize> = chosen.iter().map(|&i| self.classes[i]).collect();
        let gradient = own.input_grad(from.view(), &classes)?;
        self.round = Some(round + 1);
        self.used = self.classes.len();
        Ok(jbda_step(&from, &gradient, self.step * sign_of_round(round, self.tau), view.range))
    }

    fn wants_model(&self) -> bool {
        self.classes.len() > self.used
    }

    fn told(&mut self, inputs: &Array2<f32>, classes: &[usize]) -> Result<()> {
        if inputs.nrows() == 0 {
            return Ok(());
        }
        self.classes.extend(classes);
        self.rows = Some(match self.rows.take() {
            None => inputs.clone(),
            Some(rows) => concatenate(Axis(0), &[rows.view(), inputs.view()])
                .map_err(|e| Error::Internal(e.to_string()))?,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{matrix, vectors, whole};
    use super::*;
    use crate::model::InputShape;
    use ndarray::{ArrayView2, array};

    /// z = W2 tanh(W1 x + b1) + b2, as the reference has it.
    struct Tanh {
        w1: Array2<f64>,
        b1: Array2<f64>,
        w2: Array2<f64>,
    }

    impl Own for Tanh {
        fn probs(&self, _: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
            Err(Error::Internal("not asked for".into()))
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

    fn view<'a>(pool: &'a Array2<f32>, public: &'a Array2<f32>, range: (f32, f32)) -> View<'a> {
        View {
            pool,
            public,
            public_labels: None,
            left: 1000,
            budget: 1000,
            classes: 2,
            shape: InputShape::Flat(public.ncols()),
            range,
        }
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
            };
            let (x, labels) = (matrix(&input["x"]).mapv(|v| v as f32), whole(&input["labels"]));
            let gradient = own.input_grad(x.view(), &labels).unwrap();
            assert!(close(&gradient, &matrix(&expected["grad_logit"]), 1e-4), "{}", case["id"]);
            let number = |key: &str| input[key].as_f64().unwrap();
            let range = (number("lo") as f32, number("hi") as f32);
            let step = number("lambda");
            let minus = jbda_step(&x, &gradient, -step, range);
            assert!(close(&minus, &matrix(&expected["x_new_minus"]), 1e-5), "{}", case["id"]);

            let mut jbda = Jbda::new(step, 3, Seed::new(1));
            let view = view(&x, &x, range);
            let asked = jbda.pick(&view, 1000, None).unwrap();
            assert_eq!(asked, x, "seeds first");
            jbda.told(&asked, &labels).unwrap();
            let copies = jbda.pick(&view, 1000, Some(&own)).unwrap();
            assert!(close(&copies, &matrix(&expected["x_new"]), 1e-5), "{}", case["id"]);
        }
    }

    /// A logit that rises in every feature.
    struct Rising;

    impl Own for Rising {
        fn probs(&self, _: ArrayView2<'_, f32>) -> Result<Array2<f64>> {
            Err(Error::Internal("not asked for".into()))
        }

        fn input_grad(&self, x: ArrayView2<'_, f32>, _: &[usize]) -> Result<Array2<f32>> {
            Ok(Array2::ones(x.dim()))
        }
    }

    #[test]
    fn the_set_doubles_each_round_and_the_step_changes_sign_every_tau_rounds() {
        for case in vectors("jbda_growth") {
            let number = |key: &str| case["input"][key].as_u64().unwrap() as usize;
            let (tau, rounds) = (number("tau"), number("rounds"));
            let signs: Vec<i64> = (0..rounds).map(|r| sign_of_round(r, tau) as i64).collect();
            assert_eq!(serde_json::json!(signs), case["expected"]["signs"], "{}", case["id"]);
            let public = Array2::zeros((number("seeds"), 1));
            let view = view(&public, &public, (-9.0, 9.0));
            let mut jbda = Jbda::new(0.1, tau, Seed::new(1));
            let mut queried = 0;
            for _ in 0..rounds {
                let asked = jbda.pick(&view, 100_000, Some(&Rising)).unwrap();
                queried += asked.nrows();
                jbda.told(&asked, &vec![0; asked.nrows()]).unwrap();
            }
            assert_eq!(queried as u64, case["expected"]["queried"].as_u64().unwrap());
        }
    }

    #[test]
    fn the_last_round_is_cut_to_what_is_left() {
        let public = array![[0.1_f32], [0.2], [0.3], [0.4]];
        let view = view(&public, &public, (0.0, 1.0));
        let mut jbda = Jbda::new(0.1, 3, Seed::new(1));
        let asked = jbda.pick(&view, 7, None).unwrap();
        jbda.told(&asked, &[0; 4]).unwrap();
        assert_eq!(jbda.pick(&view, 3, Some(&Rising)).unwrap().nrows(), 3);
    }

    #[test]
    fn it_ends_when_nothing_new_was_answered() {
        let public = array![[0.1_f32], [0.2]];
        let view = view(&public, &public, (0.0, 1.0));
        let mut jbda = Jbda::new(0.1, 3, Seed::new(1));
        assert_eq!(jbda.pick(&view, 9, None).unwrap().nrows(), 2);
        assert_eq!(jbda.pick(&view, 9, None).unwrap().nrows(), 0, "all seeds were refused");
        jbda.told(&public, &[0, 1]).unwrap();
        assert_eq!(jbda.pick(&view, 9, Some(&Rising)).unwrap().nrows(), 2);
        assert_eq!(jbda.pick(&view, 9, Some(&Rising)).unwrap().nrows(), 0, "all copies were");
    }

    #[test]
    fn no_seed_rows_is_an_error() {
        let none = Array2::zeros((0, 1));
        let got = Jbda::new(0.1, 3, Seed::new(1)).pick(&view(&none, &none, (0.0, 1.0)), 9, None);
        assert!(matches!(got, Err(Error::Input { .. })));
    }
}
