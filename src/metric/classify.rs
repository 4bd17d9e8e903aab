//! Scores of class predictions and of probabilities, on held-out rows.

use ndarray::Array2;

fn share(hits: impl Iterator<Item = bool>) -> f64 {
    let (mut right, mut n) = (0_u64, 0_u64);
    for hit in hits {
        right += u64::from(hit);
        n += 1;
    }
    right as f64 / n.max(1) as f64
}

/// Share of predictions equal to the true class.
pub fn accuracy(predicted: &[usize], labels: &[usize]) -> f64 {
    share(predicted.iter().zip(labels).map(|(a, b)| a == b))
}

/// Share of predictions equal to the teacher's (top-1 fidelity, Jagielski et al. 2020, section 2).
pub fn agreement(predicted: &[usize], teacher: &[usize]) -> f64 {
    accuracy(predicted, teacher)
}

/// Agreement on the rows where the teacher is wrong; none if it never is.
pub fn agreement_on_errors(
    predicted: &[usize],
    teacher: &[usize],
    labels: &[usize],
) -> Option<f64> {
    let wrong: Vec<usize> = (0..labels.len()).filter(|&i| teacher[i] != labels[i]).collect();
    (!wrong.is_empty()).then(|| share(wrong.iter().map(|&i| predicted[i] == teacher[i])))
}

/// Accuracy of the best constant answer.
pub fn floor_accuracy(labels: &[usize], classes: usize) -> f64 {
    let mut counts = vec![0_u64; classes];
    labels.iter().for_each(|&l| counts[l] += 1);
    counts.into_iter().max().unwrap_or(0) as f64 / labels.len().max(1) as f64
}

/// Agreement of the best constant answer with the teacher's classes.
pub fn floor_agreement(teacher: &[usize], classes: usize) -> f64 {
    floor_accuracy(teacher, classes)
}

/// Mean over rows of KL(teacher || student) in nats; student probabilities are raised to 1e-12.
/// Both `[n, classes]`, rows sum to 1.
pub fn kl_teacher_student(teacher: &Array2<f64>, student: &Array2<f64>) -> f64 {
    let sum: f64 = teacher
        .iter()
        .zip(student)
        .filter(|(p, _)| **p > 0.0)
        .map(|(&p, &q)| p * (libm::log(p) - libm::log(q.max(1e-12))))
        .sum();
    sum / teacher.nrows().max(1) as f64
}

/// Expected and maximal calibration error (Guo et al. 2017, equations 3 and 5): `bins` of equal width
/// over the top-1 confidence, a confidence on an edge in the lower bin.
pub fn ece(confidence: &[f64], correct: &[bool], bins: usize) -> (f64, f64) {
    let mut sums = vec![(0.0, 0.0, 0.0); bins]; // rows, right, confidence
    for (&c, &right) in confidence.iter().zip(correct) {
        let up = (c * bins as f64).ceil() as usize;
        let bin = up.saturating_sub(1).min(bins - 1);
        // The product above may round across an edge: decide by the edges themselves.
        let bin = if bin > 0 && c <= bin as f64 / bins as f64 {
            bin - 1
        } else if bin + 1 < bins && c > (bin + 1) as f64 / bins as f64 {
            bin + 1
        } else {
            bin
        };
        sums[bin].0 += 1.0;
        sums[bin].1 += f64::from(u8::from(right));
        sums[bin].2 += c;
    }
    let n = confidence.len().max(1) as f64;
    let gaps = sums.iter().filter(|s| s.0 > 0.0).map(|s| (s.0, ((s.1 - s.2) / s.0).abs()));
    gaps.fold((0.0, 0.0), |(e, m): (f64, f64), (rows, gap)| (e + rows / n * gap, m.max(gap)))
}

/// Expected calibration error of probabilities `[n, classes]`, 15 bins.
pub fn ece_of(probs: &Array2<f64>, labels: &[usize]) -> f64 {
    let mut confidence = Vec::with_capacity(labels.len());
    let mut correct = Vec::with_capacity(labels.len());
    for (row, &label) in probs.rows().into_iter().zip(labels) {
        let (top, best) = row
            .iter()
            .enumerate()
            .fold((0, f64::MIN), |(t, b), (i, &p)| if p > b { (i, p) } else { (t, b) });
        confidence.push(best);
        correct.push(top == label);
    }
    ece(&confidence, &correct, 15).0
}
