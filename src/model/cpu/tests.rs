//! Fast products against plain ones in 64 bits, for sizes that leave every kind of rest.

use proptest::prelude::*;

use super::gemm;
use super::*;
use crate::seed::{Seed, normal};

fn numbers(n: usize, name: &str) -> Vec<f32> {
    let mut rng = Seed::new(1).child(name).rng();
    (0..n).map(|_| normal(&mut rng) as f32).collect()
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&v| f64::from(v)).collect()
}

fn close(found: &[f32], expected: &[f64], terms: usize) -> bool {
    let slack = 1e-6 * (1.0 + terms as f64);
    found.iter().zip(expected).all(|(f, e)| (f64::from(*f) - e).abs() <= slack)
}

/// Both forms of a start, on the same numbers.
fn starts<'a>(kind: usize, narrow: &'a [f32], wide: &'a [f64]) -> (Start<'a, f32>, Start<'a, f64>) {
    match kind {
        0 => (Start::Zero, Start::Zero),
        1 => (Start::Columns(narrow), Start::Columns(wide)),
        _ => (Start::Result, Start::Result),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn products_agree_with_the_plain_sum(
        m in 1usize..35, k in 0usize..70, n in 1usize..140,
        a_turned: bool, b_turned: bool, kind in 0usize..3, gap in 0usize..3,
    ) {
        let size = Size { m, k, n };
        let (a, b) = (numbers(m * k, "a"), numbers(k * n, "b"));
        let (a64, b64) = (wide(&a), wide(&b));
        let matrix = |turned: bool, rows: usize, columns: usize| match turned {
            false => (columns, 1),
            true => (1, rows),
        };
        let ((ar, ac), (br, bc)) = (matrix(a_turned, m, k), matrix(b_turned, k, n));
        let stride = n + gap;
        let mut c = numbers(m * stride, "c");
        let mut c64 = wide(&c);
        let (first, first64) = (numbers(n, "start"), wide(&numbers(n, "start")));
        let (start, start64) = starts(kind, &first, &first64);
        let narrow = |data, row, column| Matrix::<f32> { data, row, column };
        let broad = |data, row, column| Matrix::<f64> { data, row, column };
        let mut pack = Vec::new();
        gemm::multiply(
            size, narrow(&a, ar, ac), narrow(&b, br, bc), &mut c, stride, start, &mut pack,
        );
        let mut none = Vec::new();
        f64::multiply(
            size, broad(&a64, ar, ac), broad(&b64, br, bc), &mut c64, stride, start64, &mut none,
        );
        prop_assert!(close(&c, &c64, k));
        let ready = gemm::packed(k, n, narrow(&b, br, bc));
        let mut again = numbers(m * stride, "c");
        gemm::multiply_packed(m, narrow(&a, ar, ac), &ready, &mut again, stride, start, &mut pack);
        prop_assert_eq!(again, c);
    }

    #[test]
    fn products_of_scattered_rows_agree_with_the_plain_sum(
        m in 1usize..12, k in 1usize..30, n in 1usize..70,
    ) {
        let size = Size { m, k, n };
        let reach = n.next_multiple_of(LANES);
        let (a, b) = (numbers(m * k, "a"), numbers(3 * k + reach, "b"));
        let places: Vec<usize> = (0..k).map(|i| 3 * i).collect();
        let mut c = vec![0.0; m * reach];
        let mut c64 = wide(&c);
        let right = Scattered { data: &b[..], starts: &places };
        gemm::multiply_scattered(size, Matrix::rows(&a, k), right, &mut c, reach, Start::Zero);
        let (a64, b64) = (wide(&a), wide(&b));
        let right = Scattered { data: &b64[..], starts: &places };
        f64::multiply_scattered(size, Matrix::rows(&a64, k), right, &mut c64, reach, Start::Zero);
        prop_assert!(close(&c, &c64, k));
    }

    #[test]
    fn products_along_rows_agree_with_the_plain_sum(
        m in 1usize..10, k in 1usize..90, n in 1usize..10, add: bool,
    ) {
        let size = Size { m, k, n };
        let (a, b) = (numbers(m * (k + 2), "a"), numbers(5 * n + k, "b"));
        let places: Vec<usize> = (0..n).map(|i| 5 * i).collect();
        let mut c = numbers(m * n, "c");
        let mut c64 = wide(&c);
        let (start, start64) = if add { (Start::Result, Start::Result) } else { (Start::Zero, Start::Zero) };
        let right = Scattered { data: &b[..], starts: &places };
        gemm::multiply_rows(size, Matrix::rows(&a, k + 2), right, &mut c, start);
        let (a64, b64) = (wide(&a), wide(&b));
        let right = Scattered { data: &b64[..], starts: &places };
        f64::multiply_rows(size, Matrix::rows(&a64, k + 2), right, &mut c64, start64);
        prop_assert!(close(&c, &c64, k));
    }
}

#[test]
fn a_long_sum_is_cut_and_stays_right() {
    let size = Size { m: 9, k: 1500, n: 50 };
    let (a, b) = (numbers(9 * 1500, "a"), numbers(1500 * 50, "b"));
    for turned in [false, true] {
        let place = |row: usize, column: usize| if turned { (1, row) } else { (column, 1) };
        let (row, column) = place(9, 1500);
        let (mut c, mut c64) = (vec![0.0f32; 450], vec![0.0; 450]);
        let b32 = Matrix::rows(&b[..], 50);
        let a32 = Matrix { data: &a[..], row, column };
        gemm::multiply(size, a32, b32, &mut c, 50, Start::Zero, &mut Vec::new());
        let mut again = c.clone();
        let ready = gemm::packed(1500, 50, b32);
        gemm::multiply_packed(9, a32, &ready, &mut again, 50, Start::Zero, &mut Vec::new());
        assert_eq!(again, c);
        let (a64, b64) = (wide(&a), wide(&b));
        let a64 = Matrix { data: &a64[..], row, column };
        f64::multiply(size, a64, Matrix::rows(&b64, 50), &mut c64, 50, Start::Zero, &mut vec![]);
        assert!(close(&c, &c64, 1500));
    }
}

#[test]
fn a_sum_of_no_terms_is_what_it_starts_from() {
    let size = Size { m: 2, k: 0, n: 3 };
    let nothing = Matrix::<f32> { data: &[], row: 0, column: 1 };
    let mut c = [7.0; 7];
    let start = Start::Columns(&[1.0, 2.0, 3.0]);
    gemm::multiply(size, nothing, nothing, &mut c, 4, start, &mut Vec::new());
    assert_eq!(c, [1.0, 2.0, 3.0, 7.0, 1.0, 2.0, 3.0]);
}

#[test]
fn a_row_comes_out_alike_in_any_company() {
    let (k, n) = (700, 150);
    let (a, b) = (numbers(20 * k, "a"), numbers(k * n, "b"));
    let product = |m: usize, from: usize| {
        let mut c = vec![0.0; m * n];
        let left = Matrix::rows(&a[from * k..], k);
        let right = Matrix::rows(&b[..], n);
        gemm::multiply(Size { m, k, n }, left, right, &mut c, n, Start::Zero, &mut vec![]);
        c
    };
    let all = product(20, 0);
    for (m, from) in [(1, 3), (2, 5), (3, 1), (7, 13), (17, 2)] {
        assert_eq!(product(m, from), all[from * n..(from + m) * n]);
    }
}
