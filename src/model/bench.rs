//! Matrix products of the engine by themselves, for `examples/peer`. No part of the interface.

use super::cpu::{Matrix, Packed, Real, Size, Start};

/// A product `[m, k] x [k, n]` to be computed again and again.
#[derive(Debug)]
pub struct Product {
    size: Size,
    /// Whether the left and the right matrix lie column after column.
    turned: [bool; 2],
    a: Vec<f32>,
    b: Vec<f32>,
    c: Vec<f32>,
    pack: Vec<f32>,
    ready: Option<Packed<f32>>,
}

impl Product {
    /// Of some numbers.
    pub fn new([m, k, n]: [usize; 3], turned: [bool; 2]) -> Self {
        let numbers = |len: usize| (0..len).map(|i| (i % 17) as f32 * 0.1 - 0.8).collect();
        let (a, b, c) = (numbers(m * k), numbers(k * n), vec![0.0; m * n]);
        Self { size: Size { m, k, n }, turned, a, b, c, pack: Vec::new(), ready: None }
    }

    /// With the right matrix put into the kernel's order now and not in every run.
    #[must_use]
    pub fn ready(mut self) -> Self {
        let Size { k, n, .. } = self.size;
        self.ready = Some(f32::packed(k, n, Self::matrix(&self.b, k, n, self.turned[1])));
        self
    }

    /// Multiply-adds of a run.
    pub const fn multiply_adds(&self) -> usize {
        self.size.m * self.size.k * self.size.n
    }

    /// Computes it; gives a number of the result.
    pub fn run(&mut self) -> f32 {
        let Size { m, k, n } = self.size;
        let a = Self::matrix(&self.a, m, k, self.turned[0]);
        let b = Self::matrix(&self.b, k, n, self.turned[1]);
        let (c, pack) = (&mut self.c, &mut self.pack);
        match &self.ready {
            Some(ready) => f32::multiply_packed(m, a, ready, c, n, Start::Zero, pack),
            None => f32::multiply(self.size, a, b, c, n, Start::Zero, pack),
        }
        c[0]
    }

    fn matrix(data: &[f32], rows: usize, columns: usize, turned: bool) -> Matrix<'_, f32> {
        match turned {
            true => Matrix::rows(data, rows).turned(),
            false => Matrix::rows(data, columns),
        }
    }
}
