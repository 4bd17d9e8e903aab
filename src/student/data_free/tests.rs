use super::*;
use crate::model::Init;
use crate::oracle::Denial;
use crate::student::strategy::testing::view_of;
use crate::student::{Knows, ObjectiveSpec, RecoverySpec, StrategySpec, build};

const SHAPE: InputShape = InputShape::Flat(4);

fn teacher() -> Model {
    Model::init_by(Init::LecunNormal, &Arch::Logistic {}, SHAPE, 3, Device::Cpu, Seed::new(8))
        .unwrap()
}

fn student(replay: usize) -> Box<dyn Student> {
    let text =
        format!(r#"{{"kind":"data-free","batch":16,"latent":8,"hidden":16,"replay":{replay}}}"#);
    let spec = StudentSpec {
        name: "s".into(),
        strategy: serde_json::from_str::<StrategySpec>(&text).unwrap(),
        objective: ObjectiveSpec::default(),
        recovery: RecoverySpec::None,
        model: Arch::Mlp { hidden: vec![8] },
        knows: Knows::default(),
    };
    build(&spec, &Recipe::default(), Device::Cpu, None, SHAPE, 3, Seed::new(2)).unwrap()
}

/// Rows of each ask of a session with this budget, and how well the student agrees with the teacher in the end.
fn session(budget: u64) -> (Vec<usize>, f64) {
    let teacher = teacher();
    let mut student = student(500);
    let pool = Array2::zeros((0, 4));
    let mut view = view_of(&pool, &pool);
    (view.classes, view.left, view.budget) = (3, budget, budget);
    let mut asks = Vec::new();
    while view.left > 0 {
        let Ask::Batch(rows) = student.next(&view).unwrap() else { break };
        let answers = Answers::Probs(teacher.probs(rows.view()).unwrap());
        student.tell(&rows, &Reply::all(answers)).unwrap();
        view.left -= rows.nrows() as u64;
        asks.push(rows.nrows());
    }
    let learned = student.learn(&view, Seed::new(3)).unwrap();
    assert_eq!(learned.transfer_rows as u64, budget);
    let mut rng = Seed::new(5).rng();
    let rows = Array2::from_shape_fn((500, 4), |_| crate::seed::uniform(&mut rng) as f32);
    let classes = |model: &Model| crate::oracle::top1(&model.probs(rows.view()).unwrap());
    let (own, theirs) = (classes(&learned.last), classes(&teacher));
    let agreed = own.iter().zip(theirs).filter(|(a, b)| **a == *b).count();
    (asks, agreed as f64 / 500.0)
}

#[test]
fn differences_are_paid_for_and_turns_go_round() {
    let (asks, _) = session(300);
    // A generator's step of 16 points and as many differences, then five batches of the student, and so on.
    assert_eq!(asks, [32, 16, 16, 16, 16, 16, 32, 16, 16, 16, 16, 16, 32, 16, 16, 12]);
}

#[test]
fn a_small_teacher_is_learnt_without_any_data() {
    let ((_, few), (_, many)) = (session(40), session(12_000));
    assert!(many > 0.85 && many > few, "{few} then {many}");
}

#[test]
fn questions_are_answered_by_their_own_answers() {
    let mut student = student(10);
    let pool = Array2::zeros((0, 4));
    let mut view = view_of(&pool, &pool);
    (view.classes, view.left, view.budget) = (3, 100, 100);
    let Ask::Batch(rows) = student.next(&view).unwrap() else { panic!() };
    let other = rows.mapv(|x| x / 2.0);
    let denied = vec![Outcome::Denied(Denial::OverBudget { left: 0 }); rows.nrows()];
    let nothing = Reply { outcomes: denied, answers: Answers::Labels(vec![]) };
    assert!(matches!(student.tell(&other, &nothing), Err(Error::Internal(_))));
    let Ask::Batch(rows) = student.next(&view).unwrap() else { panic!() };
    let labels = Reply::all(Answers::Labels(vec![0; rows.nrows()]));
    assert!(matches!(student.tell(&rows, &labels), Err(Error::Input { .. })));
    let Ask::Batch(rows) = student.next(&view).unwrap() else { panic!() };
    student.tell(&rows, &nothing).unwrap();
    assert_eq!(student.learn(&view, Seed::new(1)).unwrap().flops, 0.0);
}
