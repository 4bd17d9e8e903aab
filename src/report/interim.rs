//! Statistics over seeds until the metric room has them; only `aggregate.rs` calls this.

/// Mean and half-width of the 95 % Student t interval; needs two values.
pub fn mean_ci(x: &[f64]) -> (f64, f64) {
    let (mean, se) = mean_se(x);
    (mean, t_quantile(x.len() - 1) * se)
}

/// Mean and its standard error (n - 1).
pub fn mean_se(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let ss = x.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    (mean, (ss / (n - 1.0) / n).sqrt())
}

/// Two-sided p of mean zero.
pub fn p_zero(x: &[f64]) -> f64 {
    let (mean, se) = mean_se(x);
    t_two_sided(mean / se, x.len() as f64 - 1.0)
}

/// Fieller's interval of mean(a) / mean(b) from paired values, if bounded.
pub fn fieller(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    let n = a.len() as f64;
    let (ma, sa) = mean_se(a);
    let (mb, sb) = mean_se(b);
    let cov = a.iter().zip(b).map(|(x, y)| (x - ma) * (y - mb)).sum::<f64>() / (n - 1.0) / n;
    let t2 = t_quantile(a.len() - 1).powi(2);
    let (qa, qb, qc) = (mb * mb - t2 * sb * sb, ma * mb - t2 * cov, ma * ma - t2 * sa * sa);
    let disc = qb * qb - qa * qc;
    (qa > 0.0 && disc >= 0.0).then(|| ((qb - disc.sqrt()) / qa, (qb + disc.sqrt()) / qa))
}

/// Holm's adjusted p.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut out = vec![0.0; p.len()];
    let mut last = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        last = last.max(((p.len() - rank) as f64 * p[i]).min(1.0));
        out[i] = last;
    }
    out
}

/// `scores[candidate][seed]`: per seed, the score of the candidate that is best on the other seeds.
pub fn cross_fitted(scores: &[Vec<f64>]) -> Vec<f64> {
    let seeds = scores.first().map_or(0, Vec::len);
    let others = |c: &[f64], out: usize| c.iter().sum::<f64>() - c[out];
    let best = |out: usize| {
        (1..scores.len())
            .fold(0, |b, c| if others(&scores[c], out) > others(&scores[b], out) { c } else { b })
    };
    (0..seeds).map(|s| scores[best(s)][s]).collect()
}

fn t_quantile(df: usize) -> f64 {
    let df = df as f64;
    let (mut low, mut high) = (0.0, 1e3);
    for _ in 0..200 {
        let mid = 0.5 * (low + high);
        if t_two_sided(mid, df) > 0.05 { low = mid } else { high = mid }
    }
    0.5 * (low + high)
}

/// P(|T| > t), regularised incomplete beta by Lentz's continued fraction.
fn t_two_sided(t: f64, df: f64) -> f64 {
    let x = df / (df + t * t);
    let (a, b) = (0.5 * df, 0.5);
    if x >= 1.0 {
        return 1.0;
    }
    let front = libm::exp(
        libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b)
            + a * libm::log(x)
            + b * libm::log1p(-x),
    );
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(a, b, x) / a
    } else {
        1.0 - front * fraction(b, a, 1.0 - x) / b
    }
}

fn fraction(a: f64, b: f64, x: f64) -> f64 {
    let (mut c, mut d) = (1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0)));
    let mut h = d;
    for m in 1..300 {
        let m = f64::from(m);
        for term in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = 1.0 / (1.0 + term * d);
            c = 1.0 + term / c;
            h *= d * c;
        }
    }
    h
}
