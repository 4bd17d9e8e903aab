use super::*;
use crate::model::Arch;
use crate::oracle::Denial;
use crate::student::{Knows, ObjectiveSpec, RecoverySpec, StrategySpec};
use ndarray::array;

fn student_of(strategy: StrategySpec, recovery: RecoverySpec) -> Standard {
    let spec = StudentSpec {
        name: "s".into(),
        strategy,
        objective: ObjectiveSpec::default(),
        recovery,
        model: Arch::Logistic {},
        knows: Knows::default(),
    };
    let recipe = Recipe { steps: 20, ..Recipe::default() };
    Standard::new(&spec, &recipe, Device::Cpu, None, InputShape::Flat(1), 2, Seed::new(1)).unwrap()
}

fn student(recovery: RecoverySpec) -> Standard {
    student_of(StrategySpec::Random {}, recovery)
}

fn view<'a>(pool: &'a Array2<f32>, public: &'a Array2<f32>, left: u64) -> View<'a> {
    View {
        pool,
        public,
        public_labels: None,
        left,
        budget: left,
        classes: 2,
        shape: InputShape::Flat(1),
        range: (0.0, 1.0),
    }
}

fn column(n: usize) -> Array2<f32> {
    Array2::from_shape_fn((n, 1), |(i, _)| i as f32 / n as f32)
}

fn rows(ask: Ask) -> Array2<f32> {
    match ask {
        Ask::Batch(rows) => rows,
        Ask::Done => panic!("nothing is asked"),
    }
}

/// Answers that encode their own input: probability of class 0 = the input.
fn encoded(inputs: &Array2<f32>) -> Answers {
    Answers::Probs(Array2::from_shape_fn((inputs.nrows(), 2), |(i, c)| {
        let p = f64::from(inputs[[i, 0]]);
        if c == 0 { p } else { 1.0 - p }
    }))
}

/// Answers the rows at `kept` of `asked` and denies the others.
fn partly(asked: &Array2<f32>, kept: &[usize]) -> Reply {
    let mut outcomes = vec![Outcome::Denied(Denial::OverBudget { left: 0 }); asked.nrows()];
    kept.iter().enumerate().for_each(|(i, &row)| outcomes[row] = Outcome::Answered(i));
    Reply { outcomes, answers: encoded(&asked.select(Axis(0), kept)) }
}

/// Asks until the student is done or the budget is spent; returns rows asked.
fn session(s: &mut Standard, pool: &Array2<f32>, public: &Array2<f32>, budget: u64) -> u64 {
    let mut spent = 0;
    while spent < budget {
        let Ask::Batch(asked) = s.next(&view(pool, public, budget - spent)).unwrap() else { break };
        s.tell(&asked, &Reply::all(encoded(&asked))).unwrap();
        spent += asked.nrows() as u64;
        assert!(spent <= budget, "over budget");
    }
    spent
}

#[test]
fn an_averaging_student_pays_for_every_repeat() {
    let (pool, public) = (column(10), Array2::zeros((0, 1)));
    let average = || student(RecoverySpec::Average { n: 3 });
    let asked = rows(average().next(&view(&pool, &public, 11)).unwrap());
    assert_eq!(asked.nrows(), 9); // three rows three times; two units pay for no whole row
    assert_eq!(average().next(&view(&pool, &public, 2)).unwrap(), Ask::Done);
}

#[test]
fn a_hundred_inputs_asked_twice_are_two_hundred_queries_of_a_hundred_rows() {
    let (pool, public) = (column(100), Array2::zeros((0, 1)));
    for recovery in [RecoverySpec::Average { n: 2 }, RecoverySpec::Jitter { n: 2, scale: 0.01 }] {
        let mut s = student(recovery);
        assert_eq!(session(&mut s, &pool, &public, 1000), 200);
        let learned = s.learn(&view(&pool, &public, 800), Seed::new(2)).unwrap();
        assert_eq!(learned.transfer_rows, 100);
    }
}

#[test]
fn every_strategy_with_every_recovery_keeps_to_its_budget() {
    let (pool, public) = (column(120), column(10));
    for strategy in StrategySpec::examples().into_iter().filter(|s| !s.is_student()) {
        for recovery in RecoverySpec::examples() {
            if recovery == RecoverySpec::Counter {
                continue;
            }
            let n = recovery.repeats() as u64;
            let mut s = student_of(strategy.clone(), recovery.clone());
            let spent = session(&mut s, &pool, &public, 42);
            assert_eq!(spent, 42 / n * n, "{strategy:?} {recovery:?}");
            let learned = s.learn(&view(&pool, &public, 0), Seed::new(2)).unwrap();
            assert_eq!(learned.transfer_rows as u64, 42 / n, "{strategy:?} {recovery:?}");
        }
    }
}

#[test]
fn every_answer_stays_with_its_own_input_after_denials() {
    let (pool, public) = (column(64), Array2::zeros((0, 1)));
    for (recovery, repeats) in [(RecoverySpec::None, 1), (RecoverySpec::Average { n: 2 }, 2)] {
        let mut s = student(recovery);
        let asked = rows(s.next(&view(&pool, &public, 64)).unwrap());
        // Rows that are denied whole, and rows of which one repeat is.
        let kept: Vec<usize> = (0..64).filter(|i| i % 7 != 1 && i % 5 != 2 && i % 9 > 1).collect();
        s.tell(&asked, &partly(&asked, &kept)).unwrap();
        let again = match s.next(&view(&pool, &public, 6)).unwrap() {
            Ask::Batch(again) => again,
            Ask::Done => Array2::zeros((0, 1)),
        };
        if again.nrows() > 0 {
            s.tell(&again, &Reply::all(encoded(&again))).unwrap();
        }
        let (lesson, _) = s.lesson(&view(&pool, &public, 0)).unwrap().unwrap();
        let Targets::Probs(targets) = lesson.targets else { panic!("another kind") };
        for (x, t) in lesson.inputs.column(0).iter().zip(targets.column(0)) {
            assert!((f64::from(*x) - t).abs() < 1e-12);
        }
        let mut distinct: Vec<usize> = kept.iter().map(|i| i / repeats).collect();
        distinct.dedup();
        assert_eq!(lesson.inputs.nrows(), distinct.len() + again.nrows() / repeats);
    }
}

#[test]
fn answers_about_other_rows_are_refused() {
    let (pool, public) = (column(8), Array2::zeros((0, 1)));
    let mut s = student(RecoverySpec::None);
    let asked = rows(s.next(&view(&pool, &public, 8)).unwrap());
    let reversed = asked.select(Axis(0), &[7, 6, 5, 4, 3, 2, 1, 0]);
    assert!(matches!(s.tell(&reversed, &Reply::all(encoded(&reversed))), Err(Error::Internal(_))));
    assert!(matches!(s.tell(&asked, &Reply::all(encoded(&asked))), Err(Error::Internal(_))));
}

#[test]
fn a_student_that_was_told_nothing_stays_untrained() {
    let (pool, public) = (array![[0.5_f32]], Array2::zeros((0, 1)));
    let mut s = student(RecoverySpec::None);
    let asked = rows(s.next(&view(&pool, &public, 1)).unwrap());
    s.tell(&asked, &partly(&asked, &[])).unwrap();
    let learned = s.learn(&view(&pool, &public, 0), Seed::new(2)).unwrap();
    assert_eq!((learned.transfer_rows, learned.flops), (0, 0.0));
    let fresh = s.fresh().unwrap().weights_hash().unwrap();
    assert_eq!(learned.last.weights_hash().unwrap(), fresh);
}

#[test]
fn known_public_labels_join_the_answers_as_certain_ones() {
    let (pool, public) = (column(4), column(3));
    let mut s = student(RecoverySpec::None);
    let mut view = view(&pool, &public, 4);
    view.public_labels = Some(&[1, 0]);
    let asked = rows(s.next(&view).unwrap());
    s.tell(&asked, &Reply::all(encoded(&asked))).unwrap();
    let (lesson, _) = s.lesson(&view).unwrap().unwrap();
    let Targets::Probs(targets) = lesson.targets else { panic!("another kind") };
    assert_eq!(lesson.inputs.nrows(), 6);
    assert_eq!(targets.row(4), array![0.0, 1.0].view());
    assert_eq!(targets.row(5), array![1.0, 0.0].view());
    assert_eq!(s.learn(&view, Seed::new(2)).unwrap().transfer_rows, 4);
}

#[test]
fn training_that_diverges_says_so() {
    let (pool, public) = (column(40), Array2::zeros((0, 1)));
    let mut s = student(RecoverySpec::None);
    s.recipe.optimizer =
        crate::model::Optimizer::Sgd { lr: 1e30, momentum: 0.0, weight_decay: 0.0 };
    session(&mut s, &pool, &public, 40);
    let learned = s.learn(&view(&pool, &public, 0), Seed::new(2));
    assert!(matches!(learned, Err(Error::Diverged { .. })));
}

#[test]
fn the_same_seed_asks_a_prefix_of_what_a_larger_budget_asks() {
    let (pool, public) = (column(50), Array2::zeros((0, 1)));
    let ask = |n| rows(student(RecoverySpec::None).next(&view(&pool, &public, n)).unwrap());
    assert_eq!(ask(10), ask(40).slice_axis(Axis(0), Slice::from(..10)));
}

#[test]
fn the_same_seed_learns_the_same_weights() {
    let (pool, public) = (column(60), column(5));
    let hash = |strategy: StrategySpec| {
        let mut s = student_of(strategy, RecoverySpec::None);
        session(&mut s, &pool, &public, 30);
        let learned = s.learn(&view(&pool, &public, 0), Seed::new(2)).unwrap();
        learned.last.weights_hash().unwrap()
    };
    for strategy in StrategySpec::examples().into_iter().filter(|s| !s.is_student()) {
        assert_eq!(hash(strategy.clone()), hash(strategy));
    }
}
