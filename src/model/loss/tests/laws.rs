//! What divergences are by their nature, whatever the numbers.

use ndarray::Array2;

use super::super::*;
use crate::seed::{Seed, normal};

/// Logits with a deviation of three, and here and there a class that is all but impossible.
fn draw(seed: u64, n: usize, c: usize) -> Array2<f64> {
    let mut rng = Seed::new(seed).rng();
    Array2::from_shape_fn((n, c), |(i, j)| {
        let far = if (i + j) % 7 == 3 { 40.0 } else { 0.0 };
        3.0 * normal(&mut rng) - far
    })
}

fn loss(divergence: Divergence, z: &Array2<f64>, v: &Array2<f64>, t: f64) -> (f64, Array2<f64>) {
    divergence.loss(z.view(), v.view(), &vec![true; z.nrows()], t).unwrap()
}

/// One of each kind, the ends of every range among them.
fn all() -> Vec<Divergence> {
    let mut all = Divergence::examples();
    for share in [0.0, 1e-6, 0.9] {
        all.extend([
            Divergence::Jsd { beta: share },
            Divergence::Jsd { beta: 1.0 - share },
            Divergence::SkewKl { alpha: share },
            Divergence::SkewReverseKl { alpha: share },
        ]);
    }
    all
}

#[test]
fn divergences_are_never_negative_and_zero_at_equality() {
    for divergence in all() {
        for seed in 0..20 {
            let (z, v) = (draw(seed, 1, 9), draw(seed + 100, 1, 9));
            let (apart, _) = loss(divergence, &z, &v, 1.0);
            assert!(apart > 0.0 && apart.is_finite(), "{divergence:?}: {apart}");
            let (none, grad) = loss(divergence, &z, &z, 1.0);
            assert!(none.abs() < 1e-14, "{divergence:?}: {none}");
            // Total variation has a kink there.
            let smooth = divergence != Divergence::TotalVariation {};
            assert!(!smooth || grad.iter().all(|g| g.abs() < 1e-14), "{divergence:?}: {grad}");
        }
    }
}

#[test]
fn a_shift_of_a_row_of_logits_changes_nothing() {
    let (z, v) = (draw(1, 4, 9), draw(2, 4, 9));
    let shifted = |rows: &Array2<f64>, by: f64| {
        let mut rows = rows.clone();
        rows.row_mut(2).mapv_inplace(|z| z + by);
        rows
    };
    for divergence in all() {
        let (plain, grad) = loss(divergence, &z, &v, 2.0);
        let (moved, moved_grad) = loss(divergence, &shifted(&z, 7.5), &shifted(&v, -31.0), 2.0);
        assert!((plain - moved).abs() < 1e-12 * plain.max(1.0), "{divergence:?}");
        let apart = (&grad - &moved_grad).iter().fold(0.0_f64, |a, g| a.max(g.abs()));
        assert!(apart < 1e-12, "{divergence:?}: {apart}");
        // So the gradient of a row has no sum.
        assert!(grad.rows().into_iter().all(|g| g.sum().abs() < 1e-13), "{divergence:?}");
    }
}

#[test]
fn gradients_are_the_slopes_of_the_losses() {
    let (z, v) = (draw(3, 3, 5), draw(4, 3, 5));
    let mask = [true, false, true];
    for divergence in all().into_iter().filter(|d| !matches!(d, Divergence::Akl { .. })) {
        let of = |z: &Array2<f64>| divergence.loss(z.view(), v.view(), &mask, 1.5).unwrap();
        let grad = of(&z).1;
        for (at, found) in grad.indexed_iter() {
            let h = 1e-5;
            let moved = |by: f64| {
                let mut z = z.clone();
                z[at] += by;
                of(&z).0
            };
            let slope = (moved(h) - moved(-h)) / (2.0 * h);
            assert!((slope - found).abs() < 1e-8, "{divergence:?} {at:?}: {found}, {slope}");
        }
        assert!(grad.row(1).iter().all(|g| *g == 0.0));
    }
}

#[test]
fn skewed_and_mixed_divergences_meet_the_plain_ones_at_their_ends() {
    let (z, v) = (draw(5, 3, 6), draw(6, 3, 6));
    let of = |divergence| loss(divergence, &z, &v, 1.0);
    let (forward, reverse) = (of(Divergence::ForwardKl {}), of(Divergence::ReverseKl {}));
    assert_eq!(of(Divergence::Jsd { beta: 0.0 }), forward);
    assert_eq!(of(Divergence::Jsd { beta: 1.0 }), reverse);
    assert_eq!(of(Divergence::SkewKl { alpha: 0.0 }), forward);
    assert_eq!(of(Divergence::SkewReverseKl { alpha: 0.0 }), reverse);
    // The middle of the mixture is symmetric.
    let half = Divergence::Jsd { beta: 0.5 };
    assert!((of(half).0 - loss(half, &v, &z, 1.0).0).abs() < 1e-13);
}

#[test]
fn every_known_class_makes_every_tail_the_full_divergence() {
    let (z, v) = (draw(7, 3, 6), draw(8, 3, 6));
    let top = TopK::of(&softmax(v.view()), 6);
    for tail in Tail::ALL {
        for divergence in Divergence::examples().into_iter().filter(|d| tail.fits(*d).is_ok()) {
            let (found, grad) = tail.loss(z.view(), &top, divergence).unwrap();
            let (full, full_grad) = loss(divergence, &z, &v, 1.0);
            assert!((found - full).abs() < 1e-9, "{tail:?} {divergence:?}: {found}, {full}");
            let apart = (&grad - &full_grad).iter().fold(0.0_f64, |a, g| a.max(g.abs()));
            assert!(apart < 1e-9, "{tail:?} {divergence:?}: {apart}");
        }
    }
}

#[test]
fn gradients_of_tails_are_the_slopes_of_their_losses() {
    let (z, v) = (draw(9, 2, 7), draw(10, 2, 7));
    let top = TopK::of(&softmax(v.view()), 3);
    for tail in Tail::ALL {
        for divergence in Divergence::examples() {
            let smooth = !matches!(divergence, Divergence::Akl { .. });
            if tail.fits(divergence).is_err() || !smooth {
                continue;
            }
            let of = |z: &Array2<f64>| tail.loss(z.view(), &top, divergence).unwrap();
            for (at, found) in of(&z).1.indexed_iter() {
                let moved = |by: f64| {
                    let mut z = z.clone();
                    z[at] += by;
                    of(&z).0
                };
                let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((slope - found).abs() < 1e-8, "{tail:?} {divergence:?}: {found}, {slope}");
            }
        }
    }
}

#[test]
fn values_and_pairs_that_cannot_work_are_refused() {
    for (divergence, key) in [
        (Divergence::Jsd { beta: 1.5 }, "beta"),
        (Divergence::SkewKl { alpha: 1.0 }, "alpha"),
        (Divergence::SkewReverseKl { alpha: f64::NAN }, "alpha"),
        (Divergence::Akl { mu: 0.0 }, "mu"),
        (Divergence::Akl { mu: 1.0 }, "mu"),
    ] {
        assert!(divergence.check().unwrap_err().to_string().contains(key));
    }
    let reverse = Divergence::ReverseKl {};
    assert!(Tail::TeacherRenormalised.fits(reverse).is_err());
    assert!(Tail::Truncated.fits(reverse).is_err());
    assert!(Tail::Bucket.fits(reverse).is_ok());
    let z = draw(1, 2, 3);
    let found = reverse.loss(z.view(), z.view(), &[true], 1.0).unwrap_err().to_string();
    assert!(found.contains("mask of rows"), "{found}");
    assert!(reverse.loss(z.view(), z.view(), &[true; 2], 0.0).is_err());
}

#[test]
fn a_divergence_is_written_by_its_name() {
    for divergence in Divergence::examples() {
        let text = serde_json::to_string(&divergence).unwrap();
        assert_eq!(serde_json::from_str::<Divergence>(&text).unwrap(), divergence, "{text}");
    }
    let plain: Divergence = serde_json::from_str(r#"{"kind":"skew-reverse-kl"}"#).unwrap();
    assert_eq!(plain, Divergence::SkewReverseKl { alpha: 0.1 });
    assert!(serde_json::from_str::<Divergence>(r#"{"kind":"jsd","alpha":0.1}"#).is_err());
}
