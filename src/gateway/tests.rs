use ndarray::Array2;

use super::*;
use crate::defense::{DefenseSpec, Workshop};
use crate::ledger::Budget;
use crate::oracle::scripted::Scripted;
use crate::oracle::{AccountId, Tick};
use crate::seed::Seed;

fn gateway(queries: u64, stack: &[DefenseSpec]) -> (Gateway, AccountId) {
    let mut ledger = Ledger::new();
    let actor = ledger.open_actor("student", Budget { queries: Some(queries) });
    let account = ledger.open_account(actor);
    let oracle = Scripted::constant(4, vec![0.62, 0.3, 0.08]);
    let stack =
        Stack::build(stack, Seed::new(1), oracle.card(), &Workshop::empty(oracle.card())).unwrap();
    (Gateway::new(ledger, stack, Box::new(oracle)), account)
}

fn limit(queries: u64, burst: u64) -> DefenseSpec {
    let per = crate::defense::rate_limit::Period::Day;
    DefenseSpec::RateLimit(crate::defense::rate_limit::Params { queries, per, burst })
}

#[test]
fn sixty_four_rows_with_ten_left_get_ten_answers() {
    let (mut gateway, me) = gateway(10, &[]);
    let reply = gateway.ask(&Batch::classify(me, Tick::ZERO, Array2::zeros((64, 4)))).unwrap();
    assert_eq!(reply.answers.len(), 10);
    let answered = reply.outcomes.iter().filter(|o| matches!(o, Outcome::Answered(_))).count();
    let over = reply
        .outcomes
        .iter()
        .filter(|o| **o == Outcome::Denied(Denial::OverBudget { left: 0 }))
        .count();
    assert_eq!((answered, over), (10, 54));
    assert!(matches!(reply.outcomes[9], Outcome::Answered(9)));
    let totals = gateway.ledger().totals();
    assert_eq!(
        (totals[0].attempted, totals[0].answered, totals[0].denied["over-budget"]),
        (64, 10, 54)
    );
}

#[test]
fn a_throttled_row_gives_its_unit_to_the_next_account_of_the_same_actor() {
    let ask = |together: bool| {
        let mut ledger = Ledger::new();
        let actor = ledger.open_actor("student", Budget { queries: Some(3) });
        let accounts = [ledger.open_account(actor), ledger.open_account(actor)];
        let oracle = Scripted::constant(4, vec![0.62, 0.3, 0.08]);
        let stack = Stack::build(
            &[limit(1, 1)],
            Seed::new(1),
            oracle.card(),
            &Workshop::empty(oracle.card()),
        )
        .unwrap();
        let mut gateway = Gateway::new(ledger, stack, Box::new(oracle));
        let mut batch = Batch::classify(accounts[0], Tick::ZERO, Array2::zeros((5, 4)));
        batch.account[4] = accounts[1];
        let cut: Vec<Vec<usize>> =
            if together { vec![(0..5).collect()] } else { (0..5).map(|i| vec![i]).collect() };
        let replies = cut.iter().map(|c| gateway.ask(&batch.select(c)).unwrap());
        let outcomes: Vec<bool> =
            replies.flat_map(|r| r.outcomes).map(|o| matches!(o, Outcome::Answered(_))).collect();
        (outcomes, gateway.ledger().totals())
    };
    assert_eq!(ask(true), ask(false));
    assert_eq!(ask(true).0, [true, false, false, false, true]);
}

#[test]
fn each_stage_is_measured_on_its_own() {
    let round = DefenseSpec::Round(crate::defense::round::Params { digits: 1 });
    let label = DefenseSpec::LabelOnly(crate::defense::label_only::Params {});
    let (mut gateway, me) = gateway(10, &[label, round]);
    gateway.ask(&Batch::classify(me, Tick::ZERO, Array2::zeros((2, 4)))).unwrap();
    let stages = gateway.stages();
    assert_eq!((stages[0].layer.as_str(), stages[1].layer.as_str()), ("label-only", "round"));
    assert!((stages[1].l1_max - (0.02 + 0.0 + 0.02)).abs() < 1e-12, "{:?}", stages[1]);
    assert!((stages[0].l1_mean - (0.4 + 0.3 + 0.1)).abs() < 1e-12, "{:?}", stages[0]);
}

#[test]
fn rows_of_the_wrong_width_are_an_error() {
    let (mut gateway, me) = gateway(10, &[]);
    assert!(gateway.ask(&Batch::classify(me, Tick::ZERO, Array2::zeros((2, 3)))).is_err());
    assert_eq!(gateway.ledger().totals()[0].attempted, 0);
}

#[test]
fn the_exchange_log_tells_equal_inputs_and_what_became_of_each_row() {
    let (mut gateway, me) = gateway(2, &[]);
    gateway.keep_log(10);
    gateway.ask(&Batch::classify(me, Tick::ms(3), Array2::zeros((3, 4)))).unwrap();
    let log: Vec<_> = gateway.log().unwrap().entries().copied().collect();
    assert_eq!(
        log.iter().map(|e| e.code).collect::<Vec<_>>(),
        [Code::Answered, Code::Answered, Code::OverBudget]
    );
    assert!(log.iter().all(|e| e.input == log[0].input && e.at == Tick::ms(3)));
}
