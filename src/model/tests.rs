//! The face of the room: arrays in, arrays out.

use super::*;
use ndarray::Slice;

const DIGITS: InputShape = InputShape::Image { c: 1, h: 8, w: 8 };

fn inputs(n: usize, d: usize) -> Array2<f32> {
    let mut rng = Seed::new(9).rng();
    Array2::from_shape_fn((n, d), |_| crate::seed::normal(&mut rng) as f32)
}

fn models() -> impl Iterator<Item = Model> {
    let wide = InputShape::Flat(784);
    let init =
        |arch: &Arch, shape| Model::init(arch, shape, 10, Device::Cpu, Seed::new(1)).unwrap();
    let flat = Arch::Mlp { hidden: vec![100, 30] };
    Arch::examples().into_iter().map(move |a| init(&a, DIGITS)).chain([init(&flat, wide)])
}

fn networks() -> impl Iterator<Item = Model> {
    models().filter(|model| model.arch().has_gradients())
}

#[test]
fn a_row_is_answered_alike_in_any_company() {
    for model in models() {
        let x = inputs(300, model.shape().len());
        let last = |size: usize| Slice::from(300 - size..);
        let all = model.logits(x.view()).unwrap();
        for size in [1, 2, 3, 63, 64, 65, 71, 72, 73, 100, 129] {
            let part = model.logits(x.slice_axis(Axis(0), last(size))).unwrap();
            assert_eq!(part, all.slice_axis(Axis(0), last(size)), "{:?} in {size}", model.arch());
        }
    }
}

#[test]
fn probabilities_are_the_softmax_and_sum_to_one() {
    for model in models() {
        let x = inputs(5, model.shape().len());
        let probs = model.probs(x.view()).unwrap();
        assert!(probs.sum_axis(Axis(1)).iter().all(|s| (s - 1.0).abs() < 1e-12));
        assert!(model.probs(inputs(0, x.ncols()).view()).unwrap().is_empty());
    }
}

#[test]
fn input_gradients_agree_with_differences_of_logits_and_losses() {
    for model in networks() {
        let x = inputs(3, model.shape().len());
        let class = [2, 0, 9];
        let logit = model.input_grad(x.view(), &class).unwrap();
        let loss = model.loss_input_grad(x.view(), &class).unwrap();
        let value = |x: &Array2<f32>| {
            let z = model.logits(x.view()).unwrap().mapv(f64::from);
            let sum: f64 = (0..3).map(|i| z[[i, class[i]]]).sum();
            (sum, 3.0 * loss::hard_label::loss(z.view(), &class).0)
        };
        for (i, j) in [(0, 9), (1, 20), (2, 35)] {
            let moved = |h: f32| {
                let mut x = x.clone();
                x[[i, j]] += h;
                value(&x)
            };
            let (up, down) = (moved(1e-3), moved(-1e-3));
            for (grad, up, down) in [(&logit, up.0, down.0), (&loss, up.1, down.1)] {
                let expected = (up - down) / 2e-3;
                let found = f64::from(grad[[i, j]]);
                assert!((found - expected).abs() < 3e-3, "{found}, expected {expected}");
            }
        }
    }
}

#[test]
fn logits_are_the_last_layer_applied_to_the_features() {
    for model in networks() {
        let x = inputs(4, model.shape().len());
        let weights = model.weights().unwrap();
        let [.., (_, shape, weight), (_, _, bias)] = &weights[..] else { panic!("two layers") };
        let weight = Array2::from_shape_vec((shape[0], shape[1]), weight.clone()).unwrap();
        let features = model.features(x.view()).unwrap();
        let expected = features.dot(&weight) + &ndarray::Array1::from(bias.clone());
        let difference = model.logits(x.view()).unwrap() - expected;
        assert!(difference.iter().all(|d| d.abs() < 1e-5));
        let grad = model.last_layer_grad(x.view(), &[0, 1, 2, 3]).unwrap();
        assert_eq!(grad.dim(), (4, 10 * features.ncols()));
    }
}

#[test]
fn every_model_answers_by_its_own_weights() {
    for model in networks() {
        let x = inputs(3, model.shape().len());
        let before = model.logits(x.view()).unwrap();
        let moved = model.params().unwrap().iter().map(|w| w + 0.01).collect();
        let other = model.with_params(moved).unwrap();
        assert_ne!(other.logits(x.view()).unwrap(), before);
        assert_eq!(model.logits(x.view()).unwrap(), before);
    }
}

#[test]
fn the_hash_follows_the_weights() {
    let make = |seed| {
        let arch = Arch::Mlp { hidden: vec![4] };
        Model::init(&arch, InputShape::Flat(3), 2, Device::Cpu, Seed::new(seed)).unwrap()
    };
    assert_eq!(make(1).weights_hash().unwrap(), make(1).weights_hash().unwrap());
    assert_ne!(make(1).weights_hash().unwrap(), make(2).weights_hash().unwrap());
    assert_eq!(make(1).parameters(), 3 * 4 + 4 + 4 * 2 + 2);
}

#[test]
fn wrong_shapes_and_classes_are_refused() {
    let model = models().next().unwrap();
    let error = model.logits(inputs(2, 63).view()).unwrap_err();
    assert_eq!(error.to_string(), "model inputs: expected shape [2, 64], got [2, 63]");
    assert!(model.input_grad(inputs(2, 64).view(), &[0]).is_err());
    assert!(model.input_grad(inputs(2, 64).view(), &[0, 10]).is_err());
}

#[test]
fn a_model_without_gradients_refuses_what_needs_gradients_or_layers() {
    let without: Vec<Model> = models().filter(|model| !model.arch().has_gradients()).collect();
    assert_eq!(without.len(), 2);
    for model in without {
        let x = inputs(2, 64);
        let refused = [
            model.features(x.view()).map(|_| ()),
            model.input_grad(x.view(), &[0, 1]).map(|_| ()),
            model.loss_input_grad(x.view(), &[0, 1]).map(|_| ()),
            model.last_layer_grad(x.view(), &[0, 1]).map(|_| ()),
            model.logits_along_ones(x.view()).map(|_| ()),
            Learner::new(model.clone(), &Recipe::default(), Seed::new(1)).map(|_| ()),
        ];
        let expected = format!("found one of kind `{}`, expected a network", model.arch().kind());
        for result in refused {
            let message = result.unwrap_err().to_string();
            assert!(message.contains(&expected), "{message}");
        }
        let lesson = Lesson { inputs: x, targets: Targets::Labels(vec![0, 1]) };
        let settings = Lbfgs { ridge: 0.0, gtol: 1e-6, iterations: 1 };
        assert!(solve(&model, &lesson, Loss::HardLabel, &settings).is_err());
        let (recipe, seed) = (Recipe::default(), Seed::new(1));
        assert!(fit(model, &lesson, Loss::Misinformation, &recipe, seed).is_err());
    }
}

#[test]
fn normal_weights_have_a_deviation_of_one_over_the_root_of_their_inputs() {
    for arch in Arch::examples().into_iter().filter(Arch::has_gradients) {
        let model = Model::init_by(Init::LecunNormal, &arch, DIGITS, 10, Device::Cpu, Seed::new(1))
            .unwrap();
        for (name, shape, values) in model.weights().unwrap() {
            if shape.len() == 1 {
                assert!(values.iter().all(|v| *v == 0.0), "{name}");
                continue;
            }
            let fan_in = values.len() / shape[shape.len() - 1];
            let squares: f64 = values.iter().map(|v| f64::from(v * v)).sum();
            let found = squares / values.len() as f64 * fan_in as f64;
            // The mean square of n normal draws errs by sqrt(2 / n).
            let error = (2.0 / values.len() as f64).sqrt();
            assert!((found - 1.0).abs() < 4.0 * error, "{name} of {arch:?}: {found}");
        }
    }
}
