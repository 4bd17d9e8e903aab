//! The elementwise halves of a layer, forward and backward, and the way to a tensor's numbers.
//!
//! On the processor each is one pass over plain slices; on other devices the same formula in engine
//! operations. The engine's own ReLU is not used: it turns NaN into 0, which hides divergence.

use candle_core::{DType, Device, Storage, Tensor, WithDType};

use crate::error::{Error, Result};

/// Turns an engine's failure into ours.
pub(super) fn engine(error: candle_core::Error) -> Error {
    Error::Internal(format!("engine: {error}"))
}

/// Calls `f` with the tensor's numbers in row-major order; copies only from other devices.
pub(super) fn with_slice<T: WithDType, R>(tensor: &Tensor, f: impl FnOnce(&[T]) -> R) -> Result<R> {
    let host = tensor.to_device(&Device::Cpu).and_then(|t| t.contiguous()).map_err(engine)?;
    let (storage, layout) = host.storage_and_layout();
    let Storage::Cpu(numbers) = &*storage else {
        return Err(Error::Internal("a tensor moved to the processor is not there".into()));
    };
    let all = T::cpu_storage_as_slice(numbers).map_err(engine)?;
    let start = layout.start_offset();
    Ok(f(&all[start..start + layout.shape().elem_count()]))
}

/// A tensor on `device` from numbers in row-major order.
pub(super) fn tensor<T: WithDType>(
    values: Vec<T>,
    shape: &[usize],
    device: &Device,
) -> Result<Tensor> {
    Tensor::from_vec(values, shape, device).map_err(engine)
}

/// `z + bias` for each row of z `[n, c]`, bias `[c]`, then ReLU if asked.
pub(super) fn add_bias(z: &Tensor, bias: &Tensor, relu: bool) -> Result<Tensor> {
    if !z.device().is_cpu() {
        return add_bias_engine(z, bias, relu).map_err(engine);
    }
    match z.dtype() {
        DType::F64 => add_bias_host::<f64>(z, bias, relu),
        _ => add_bias_host::<f32>(z, bias, relu),
    }
}

/// Takes the gradient of the output `y` of [`add_bias`] to its inputs: (`[n, c]`, bias `[c]`).
pub(super) fn undo_bias(y: &Tensor, grad: Tensor, relu: bool) -> Result<(Tensor, Tensor)> {
    if !y.device().is_cpu() {
        return undo_bias_engine(y, grad, relu).map_err(engine);
    }
    match y.dtype() {
        DType::F64 => undo_bias_host::<f64>(y, grad, relu),
        _ => undo_bias_host::<f32>(y, grad, relu),
    }
}

fn add_bias_engine(z: &Tensor, bias: &Tensor, relu: bool) -> candle_core::Result<Tensor> {
    let y = z.broadcast_add(bias)?;
    if !relu {
        return Ok(y);
    }
    let open = y.gt(&y.zeros_like()?)?.to_dtype(y.dtype())?;
    y * open
}

fn undo_bias_engine(y: &Tensor, grad: Tensor, relu: bool) -> candle_core::Result<(Tensor, Tensor)> {
    let grad = match relu {
        true => (grad * y.gt(&y.zeros_like()?)?.to_dtype(y.dtype())?)?,
        false => grad,
    };
    let bias = grad.sum(0)?;
    Ok((grad, bias))
}

fn add_bias_host<T: WithDType>(z: &Tensor, bias: &Tensor, relu: bool) -> Result<Tensor> {
    let values = with_slice::<T, _>(bias, |bias| {
        with_slice::<T, _>(z, |z| {
            let mut out = Vec::with_capacity(z.len());
            for row in z.chunks_exact(bias.len()) {
                let sums = row.iter().zip(bias).map(|(&z, &b)| z + b);
                match relu {
                    // `<=` is false for NaN, which therefore stays.
                    true => out.extend(sums.map(|y| if y <= T::zero() { T::zero() } else { y })),
                    false => out.extend(sums),
                }
            }
            out
        })
    })??;
    tensor(values, z.dims(), z.device())
}

fn undo_bias_host<T: WithDType>(y: &Tensor, grad: Tensor, relu: bool) -> Result<(Tensor, Tensor)> {
    let columns = *y.dims().last().ok_or_else(|| Error::Internal("a scalar activation".into()))?;
    let mut bias = vec![T::zero(); columns];
    let masked = with_slice::<T, _>(&grad, |g| {
        if !relu {
            add_rows(&mut bias, g);
            return Ok(None);
        }
        with_slice::<T, _>(y, |y| {
            let open = |(&g, &y): (&T, &T)| if y <= T::zero() { T::zero() } else { g };
            let masked: Vec<T> = g.iter().zip(y).map(open).collect();
            add_rows(&mut bias, &masked);
            Some(masked)
        })
    })??;
    let grad = match masked {
        Some(values) => tensor(values, y.dims(), y.device())?,
        None => grad,
    };
    Ok((grad, tensor(bias, &[columns], y.device())?))
}

/// Adds every row to `sum`, first row first.
fn add_rows<T: WithDType>(sum: &mut [T], rows: &[T]) {
    for row in rows.chunks_exact(sum.len()) {
        sum.iter_mut().zip(row).for_each(|(s, &v)| *s += v);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(values: &[f32]) -> Tensor {
        tensor(values.to_vec(), &[2, values.len() / 2], &Device::Cpu).unwrap()
    }

    fn numbers(t: &Tensor) -> Vec<f32> {
        with_slice(t, <[f32]>::to_vec).unwrap()
    }

    #[test]
    fn relu_is_zero_at_and_below_zero_and_lets_nan_through() {
        let bias = tensor(vec![1.0f32, -1.0], &[2], &Device::Cpu).unwrap();
        let y = add_bias(&rows(&[-1.0, 3.0, f32::NAN, 0.5]), &bias, true).unwrap();
        let y = numbers(&y);
        assert_eq!(y[..2], [0.0, 2.0]);
        assert!(y[2].is_nan() && y[3] == 0.0);
    }

    #[test]
    fn slices_and_engine_operations_agree() {
        let z = rows(&[-1.0, 0.25, 2.0, -3.0, 4.0, 0.5]);
        let bias = tensor(vec![0.5f32, -0.25, 0.0], &[3], &Device::Cpu).unwrap();
        let g = rows(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        for relu in [false, true] {
            let y = add_bias(&z, &bias, relu).unwrap();
            assert_eq!(numbers(&y), numbers(&add_bias_engine(&z, &bias, relu).unwrap()));
            let (a, da) = undo_bias(&y, g.clone(), relu).unwrap();
            let (b, db) = undo_bias_engine(&y, g.clone(), relu).unwrap();
            assert_eq!((numbers(&a), numbers(&da)), (numbers(&b), numbers(&db)));
        }
    }
}
