//! Every case of `tests/vectors/losses.json`: values and gradients that independent code computed.

use std::collections::BTreeMap;

use ndarray::{Array1, Array2};
use serde_json::Value;

use super::super::*;

const VECTORS: &str =
    include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/losses.json"));

/// A case's input, by key.
struct Input<'a>(&'a Value);

impl Input<'_> {
    fn rows(&self, key: &str) -> Array2<f64> {
        rows(&self.0[key], number)
    }

    fn number(&self, key: &str) -> f64 {
        number(&self.0[key])
    }

    fn numbers(&self, key: &str) -> Vec<f64> {
        self.0[key].as_array().unwrap().iter().map(number).collect()
    }

    fn labels(&self, key: &str) -> Vec<usize> {
        self.numbers(key).into_iter().map(|v| v as usize).collect()
    }

    fn student(&self) -> Array2<f64> {
        self.rows("student_logits")
    }

    fn teacher(&self) -> Array2<f64> {
        self.rows("teacher_logits")
    }

    /// Rows that count; all of them where the case has no mask.
    fn mask(&self) -> Vec<bool> {
        match self.0.get("mask") {
            Some(_) => self.numbers("mask").into_iter().map(|m| m == 1.0).collect(),
            None => vec![true; self.student().nrows()],
        }
    }

    fn diverge(&self, divergence: Divergence, t: f64) -> (f64, Array2<f64>) {
        let (z, v) = (self.student(), self.teacher());
        divergence.loss(z.view(), v.view(), &self.mask(), t).unwrap()
    }

    fn kd(&self) -> (f64, Array2<f64>) {
        let probs = softmax(self.teacher().view());
        let t = self.number("T");
        soft_label::Tempered::new(probs.view(), t, 1e-300).unwrap().loss(self.student().view())
    }

    /// Mean over rows that count of -sum p log p.
    fn entropy(&self) -> f64 {
        let p = softmax(self.teacher().view());
        let each = p.rows().into_iter().zip(self.mask()).filter(|(_, counts)| *counts);
        let entropies: Array1<f64> = each
            .map(|(p, _)| -p.iter().map(|&p| p * libm::log(p.max(1e-300))).sum::<f64>())
            .collect();
        entropies.mean().unwrap()
    }
}

fn rows<T>(value: &Value, f: impl Fn(&Value) -> T) -> Array2<T> {
    let rows = value.as_array().unwrap();
    let flat: Vec<T> = rows.iter().flat_map(|r| r.as_array().unwrap()).map(f).collect();
    Array2::from_shape_vec((rows.len(), flat.len() / rows.len()), flat).unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

/// What ours give for a case, by the keys of `expected`; none for a method that nobody knows.
fn ours(method: &str, input: &Input<'_>) -> Option<Value> {
    let of = |(loss, grad): (f64, Array2<f64>)| {
        let grad: Vec<Vec<f64>> = grad.rows().into_iter().map(|r| r.to_vec()).collect();
        serde_json::json!({ "loss": loss, "grad": grad })
    };
    let and = |mut value: Value, key: &str, more: f64| {
        value[key] = more.into();
        value
    };
    let z = || input.student();
    Some(match method {
        "ce" => of(hard_label::loss(z().view(), &input.labels("labels"))),
        "soft_ce" => of(cross_entropy(z().view(), input.rows("targets").view())),
        "kd" => of(input.kd()),
        "kd_probs" => {
            let probs = input.rows("teacher_probs");
            let (t, eps) = (input.number("T"), input.number("eps"));
            of(soft_label::Tempered::new(probs.view(), t, eps).unwrap().loss(z().view()))
        }
        "kd_total" => {
            let (soft, soft_grad) = input.kd();
            let (hard, hard_grad) = hard_label::loss(z().view(), &input.labels("labels"));
            let (a, b) = (input.number("w_ce"), input.number("w_kd"));
            of((a * hard + b * soft, hard_grad * a + soft_grad * b))
        }
        "dkd" => {
            let weights = dkd::Weights {
                alpha: input.number("alpha"),
                beta: input.number("beta"),
                temperature: input.number("T"),
            };
            let (v, right) = (input.teacher(), input.labels("target"));
            of(dkd::loss(z().view(), v.view(), &right, weights).unwrap())
        }
        "dist" => {
            let weights = dist::Weights {
                beta: input.number("beta"),
                gamma: input.number("gamma"),
                temperature: input.number("tau"),
            };
            of(dist::loss(z().view(), input.teacher().view(), weights).unwrap())
        }
        "logit_std_kd" => {
            let loss = |deviation| {
                let (v, t) = (input.teacher(), input.number("T"));
                logit_std::loss(z().view(), v.view(), t, deviation).unwrap()
            };
            let population = loss(logit_std::Deviation::Population).0;
            and(of(loss(logit_std::Deviation::Sample)), "loss_population", population)
        }
        "forward_kl" => {
            let found = input.diverge(Divergence::ForwardKl {}, 1.0);
            let entropy = input.entropy();
            and(of(found.clone()), "distillm_value", found.0 + entropy)
        }
        "reverse_kl" => of(input.diverge(Divergence::ReverseKl {}, 1.0)),
        "skew_kl" => {
            let found = input.diverge(Divergence::SkewKl { alpha: input.number("alpha") }, 1.0);
            let entropy = input.entropy();
            and(of(found.clone()), "distillm_value", found.0 + entropy)
        }
        "skew_reverse_kl" => {
            let alpha = input.number("alpha");
            of(input.diverge(Divergence::SkewReverseKl { alpha }, 1.0))
        }
        "tvd" => of(input.diverge(Divergence::TotalVariation {}, 1.0)),
        "gjsd" => {
            let divergence = Divergence::Jsd { beta: input.number("beta") };
            of(input.diverge(divergence, input.number("T")))
        }
        "gjsd_limits" => {
            let betas = input.numbers("betas");
            let jsd = |&beta: &f64| input.diverge(Divergence::Jsd { beta }, 1.0).0;
            let end = |beta: f64| if beta < 0.5 { beta } else { 1.0 - beta };
            serde_json::json!({
                "jsd": betas.iter().map(jsd).collect::<Vec<_>>(),
                "scaled": betas.iter().map(|b| jsd(b) / end(*b)).collect::<Vec<_>>(),
                "forward_kl": input.diverge(Divergence::Jsd { beta: 0.0 }, 1.0).0,
                "reverse_kl": input.diverge(Divergence::Jsd { beta: 1.0 }, 1.0).0,
            })
        }
        "akl" => {
            let mu = input.number("mu");
            let (p, q) = (softmax(input.teacher().view()), softmax(z().view()));
            let weight = |(p, q): (ndarray::ArrayView1<'_, f64>, ndarray::ArrayView1<'_, f64>)| {
                akl::weight(&q.to_vec(), &p.to_vec(), mu)
            };
            let weights: Vec<f64> = p.rows().into_iter().zip(q.rows()).map(weight).collect();
            let mut found = of(input.diverge(Divergence::Akl { mu }, 1.0));
            found["w_forward"] = weights.into();
            found
        }
        "topk_tail" => {
            let top = TopK {
                classes: input.number("vocab") as usize,
                ids: rows(&input.0["ids"], |v| v.as_u64().unwrap() as usize),
                probs: rows(&input.0["logprobs"], |v| libm::exp(number(v))),
            };
            let tail =
                |tail: Tail| of(tail.loss(z().view(), &top, Divergence::ForwardKl {}).unwrap());
            // The classifiers' bucket is the same loss in another file.
            let both = [of(bucket::loss(z().view(), &top)), tail(Tail::Bucket)];
            let [first, second] = both.map(|v| number(&v["loss"]));
            assert!((first - second).abs() <= 1e-12 * first.abs().max(1.0), "{first} {second}");
            serde_json::json!({
                "bucket": tail(Tail::Bucket),
                "renormalise_both": tail(Tail::RenormaliseBoth),
                "teacher_renormalised": tail(Tail::TeacherRenormalised),
                "truncated": tail(Tail::Truncated),
            })
        }
        "topk_retemper" => {
            let probs: Vec<f64> = input.numbers("logprobs").into_iter().map(libm::exp).collect();
            let missing = input.number("missing_tokens") as usize;
            let a = input.number("T_generation") / input.number("T_loss");
            serde_json::json!({
                "distillkit": retemper(&probs, missing, a, Leftover::OneToken),
                "spread": retemper(&probs, missing, a, Leftover::Spread),
            })
        }
        "uld" => {
            let p = softmax(input.teacher().view());
            of(uld::loss(z().view(), p.view()).unwrap())
        }
        _ => return None,
    })
}

/// What is expected but needs what the input does not hold: the whole distribution behind a top-k answer, or
/// classes that another entry already shows.
const NOT_COMPUTED: [(&str, &str); 3] =
    [("topk_tail", "full_kl"), ("topk_retemper", "exact"), ("akl", "head")];

/// Compares numbers wherever they lie; gives how many.
fn compare(id: &str, found: &Value, expected: &Value, abs: f64, rel: f64) -> usize {
    match expected {
        Value::Array(items) => {
            let found = found.as_array().unwrap_or_else(|| panic!("{id}: no list"));
            assert_eq!(found.len(), items.len(), "{id}");
            found.iter().zip(items).map(|(f, e)| compare(id, f, e, abs, rel)).sum()
        }
        Value::Object(entries) => entries
            .iter()
            .map(|(key, e)| compare(&format!("{id} {key}"), &found[key], e, abs, rel))
            .sum(),
        _ => {
            let (found, expected) = (found.as_f64().unwrap_or(f64::NAN), number(expected));
            let near = (found - expected).abs() <= abs + rel * expected.abs();
            assert!(near, "{id}: {found}, expected {expected}");
            1
        }
    }
}

#[test]
fn every_loss_and_gradient_matches_the_reference_vectors() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let mut checked = BTreeMap::new();
    let mut numbers = 0;
    for case in file["cases"].as_array().unwrap() {
        let (method, id) = (case["method"].as_str().unwrap(), case["id"].as_str().unwrap());
        let found = ours(method, &Input(&case["input"]))
            .unwrap_or_else(|| panic!("{id}: nobody computes `{method}`"));
        let mut expected = case["expected"].clone();
        for (of, key) in NOT_COMPUTED {
            if of == method {
                expected.as_object_mut().unwrap().remove(key);
            }
        }
        let (abs, rel) = (number(&case["tolerance"]["abs"]), number(&case["tolerance"]["rel"]));
        numbers += compare(id, &found, &expected, abs, rel);
        *checked.entry(method.to_string()).or_insert(0) += 1;
    }
    assert_eq!(checked.len(), file["what"].as_object().unwrap().len(), "{checked:?}");
    assert_eq!(checked.values().sum::<usize>(), 113);
    assert_eq!(numbers, 1750);
}

#[test]
fn a_bucket_is_a_lower_bound_and_a_spread_leftover_nearer_the_truth() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let of = |method: &'static str| cases.iter().filter(move |c| c["method"] == method);
    for case in of("topk_tail") {
        let bucket = number(&case["expected"]["bucket"]["loss"]);
        let found = ours("topk_tail", &Input(&case["input"])).unwrap();
        let (found, full) =
            (number(&found["bucket"]["loss"]), number(&case["expected"]["full_kl"]["loss"]));
        assert!(found <= full + 1e-9, "{}: {found} {full} {bucket}", case["id"]);
    }
    for case in of("topk_retemper") {
        let found = ours("topk_retemper", &Input(&case["input"])).unwrap();
        let gap = |key: &str| {
            let exact = case["expected"]["exact"].as_array().unwrap();
            let found = found[key].as_array().unwrap();
            found.iter().zip(exact).map(|(f, e)| (number(f) - number(e)).abs()).sum::<f64>()
        };
        assert!(gap("spread") <= gap("distillkit") + 1e-12, "{}", case["id"]);
    }
}
