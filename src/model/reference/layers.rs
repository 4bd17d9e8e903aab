//! Each layer as differentiable tensor operations.

use candle_core::{D, DType, Result, Tensor};

use crate::model::layer::{
    Activation, Attention, Conv, Dense, Dropout, Embed, Gate, Layer, Norm, NormKind, Pass, Sample,
    Tied,
};

/// Output `[n, outputs]` of the layers for x `[n, inputs]`; parameters are taken in order.
pub(super) fn forward<'a>(
    layers: &[Layer],
    params: &mut impl Iterator<Item = &'a Tensor>,
    x: &Tensor,
    pass: Pass,
) -> Result<Tensor> {
    let n = x.dim(0)?;
    let mut x = x.clone();
    // Rows of the embedding, for an output layer that shares them.
    let mut rows = None;
    for layer in layers {
        let y = match layer {
            Layer::Dense(l) => dense(l, params, &x)?,
            Layer::Conv(l) => conv(l, params, &x)?,
            Layer::Norm(l) => norm(l, params, &x)?,
            Layer::Embed(l) => embed(l, params, &x, &mut rows)?,
            Layer::Attention(l) => attention(l, &x)?,
            Layer::Gate(l) => gate(l, &x)?,
            Layer::Tied(l) => tied(l, rows.expect("a tied layer comes after its embedding"), &x)?,
            Layer::Dropout(l) => dropout(l, &x, pass)?,
            Layer::Sample(l) => sample(l, &x, pass)?,
            Layer::Residual(l) => {
                // Boxed, because the parameters' iterator would otherwise be a type without end.
                let params: &mut dyn Iterator<Item = &'a Tensor> = params;
                (forward(&l.inner, &mut { params }, &x, pass)? + &x)?
            }
            Layer::Beside(l) => {
                let params: &mut dyn Iterator<Item = &'a Tensor> = params;
                let inside = forward(&l.inner, &mut { params }, &x, pass)?;
                Tensor::cat(&[&x, &inside], 1)?
            }
        };
        x = y.reshape((n, ()))?;
    }
    Ok(x)
}

fn next<'a>(params: &mut impl Iterator<Item = &'a Tensor>) -> &'a Tensor {
    params.next().expect("a tensor for each parameter of each layer")
}

fn dense<'a>(
    l: &Dense,
    params: &mut impl Iterator<Item = &'a Tensor>,
    x: &Tensor,
) -> Result<Tensor> {
    let mut z = x.reshape(((), l.from))?.matmul(next(params))?; // [n * times, to]
    if l.bias {
        z = z.broadcast_add(next(params))?;
    }
    bend(l.activation, z)
}

/// The activations' own operations are not used: candle's ReLU turns NaN into 0, which hides divergence.
fn bend(activation: Activation, z: Tensor) -> Result<Tensor> {
    match activation {
        Activation::None => Ok(z),
        Activation::Relu => &z * z.gt(0.0)?.to_dtype(z.dtype())?,
        Activation::Gelu => {
            let u = ((z.sqr()? * &z)? * 0.044_715)?.add(&z)?;
            &z * sigmoid(&(u * (2.0 * 0.797_884_560_802_865_4))?)?
        }
        Activation::Silu => &z * sigmoid(&z)?,
    }
}

fn sigmoid(z: &Tensor) -> Result<Tensor> {
    (z.neg()?.exp()? + 1.0)?.recip()
}

fn conv<'a>(l: &Conv, params: &mut impl Iterator<Item = &'a Tensor>, x: &Tensor) -> Result<Tensor> {
    let (weight, bias) = (next(params), next(params));
    let kernel = weight.t()?.reshape((l.filters, l.c, l.kernel, l.kernel))?;
    let images = x.reshape(((), l.c, l.h, l.w))?;
    let z = images.conv2d(&kernel, l.pad, 1, 1, 1)?; // [n, f, h, w]
    let (n, (h, w)) = (x.dim(0)?, l.out());
    if !l.pool {
        let z = z.reshape((n, l.filters, h * w))?;
        return bend(Activation::Relu, z.broadcast_add(&bias.reshape((1, l.filters, 1))?)?);
    }
    let z = z.narrow(2, 0, 2 * h)?.narrow(3, 0, 2 * w)?.contiguous()?;
    let windows = z.reshape((n * l.filters, h, 2, w, 2))?.permute((0, 1, 3, 2, 4))?;
    let windows = windows.contiguous()?.reshape((n * l.filters * h * w, 4))?;
    // The first of the largest gets the whole gradient.
    let winner = windows.argmax_keepdim(D::Minus1)?;
    let largest = windows.gather(&winner, 1)?.reshape((n, l.filters, h * w))?;
    bend(Activation::Relu, largest.broadcast_add(&bias.reshape((1, l.filters, 1))?)?)
}

fn norm<'a>(l: &Norm, params: &mut impl Iterator<Item = &'a Tensor>, x: &Tensor) -> Result<Tensor> {
    let x = x.reshape(((), l.width))?;
    let x = match l.kind {
        NormKind::Layer => x.broadcast_sub(&x.mean_keepdim(1)?)?,
        NormKind::Rms => x,
    };
    let scale = (x.sqr()?.mean_keepdim(1)? + l.eps)?.sqrt()?;
    let y = x.broadcast_div(&scale)?.broadcast_mul(next(params))?;
    match l.kind {
        NormKind::Layer => y.broadcast_add(next(params)),
        NormKind::Rms => Ok(y),
    }
}

fn embed<'a>(
    l: &Embed,
    params: &mut impl Iterator<Item = &'a Tensor>,
    x: &Tensor,
    table: &mut Option<&'a Tensor>,
) -> Result<Tensor> {
    let n = x.dim(0)?;
    let tokens = x.flatten_all()?.to_dtype(DType::U32)?;
    let rows = table.insert(next(params)).index_select(&tokens, 0)?; // [n * positions, width]
    let rows = rows.reshape((n, l.positions, l.width))?;
    if l.places { rows.broadcast_add(next(params)) } else { Ok(rows) }
}

fn attention(l: &Attention, x: &Tensor) -> Result<Tensor> {
    let (n, t, d) = (x.dim(0)?, l.positions, l.width / l.heads);
    let x = x.reshape((n, t, l.heads + 2 * l.key_heads, d))?;
    let part = |at: usize, heads: usize| x.narrow(2, at, heads)?.transpose(1, 2)?.contiguous();
    let (q, k) = (part(0, l.heads)?, part(l.heads, l.key_heads)?);
    let v = part(l.heads + l.key_heads, l.key_heads)?;
    let (q, k, v) = (turn(l, q)?, shared(l, turn(l, k)?)?, shared(l, v)?); // [n, heads, t, d]
    let scores = (q.matmul(&k.t()?.contiguous()?)? / (d as f64).sqrt())?; // [n, heads, t, t]
    let ahead = (0..t * t).map(|at| if at % t > at / t { -1e30_f32 } else { 0.0 });
    let mask = Tensor::from_vec(ahead.collect(), (t, t), x.device())?;
    let scores = scores.broadcast_add(&mask)?;
    let scores = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?.detach())?.exp()?;
    let weights = scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?;
    weights.matmul(&v)?.transpose(1, 2)?.contiguous()
}

/// Keys or values `[n, key heads, t, d]`, once for each query head that they serve.
fn shared(l: &Attention, x: Tensor) -> Result<Tensor> {
    let (n, kept, t, d) = x.dims4()?;
    let group = l.heads / kept;
    let wide = x.unsqueeze(2)?.broadcast_as((n, kept, group, t, d))?.contiguous()?;
    wide.reshape((n, l.heads, t, d))
}

/// silu(gate) times what it opens.
fn gate(l: &Gate, x: &Tensor) -> Result<Tensor> {
    let x = x.reshape(((), 2, l.width))?;
    let part = |i: usize| x.narrow(1, i, 1)?.contiguous();
    bend(Activation::Silu, part(0)?)? * part(1)?
}

fn tied(l: &Tied, rows: &Tensor, x: &Tensor) -> Result<Tensor> {
    x.reshape(((), l.width))?.matmul(&rows.t()?.contiguous()?)
}

/// Rotary positions of `[n, heads, t, d]`.
fn turn(l: &Attention, x: Tensor) -> Result<Tensor> {
    if !l.rotary() {
        return Ok(x);
    }
    let half = x.dim(D::Minus1)? / 2;
    let (cosines, sines) = l.angles();
    let table = |values: &[f32]| Tensor::from_slice(values, (l.positions, half), x.device());
    let (cosines, sines) = (table(cosines)?, table(sines)?);
    let (a, b) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
    let left = (a.broadcast_mul(&cosines)? - b.broadcast_mul(&sines)?)?;
    let right = (b.broadcast_mul(&cosines)? + a.broadcast_mul(&sines)?)?;
    Tensor::cat(&[left, right], D::Minus1)
}

fn dropout(l: &Dropout, x: &Tensor, pass: Pass) -> Result<Tensor> {
    let Pass::Learn(seed) = pass else { return Ok(x.clone()) };
    let mut kept = vec![0; x.elem_count()];
    l.draw(seed, &mut kept);
    let scale = 1.0 / (1.0 - l.share);
    let mask = kept.iter().map(|&k| f32::from(k) * scale as f32).collect();
    x * Tensor::from_vec(mask, x.shape(), x.device())?
}

fn sample(l: &Sample, x: &Tensor, pass: Pass) -> Result<Tensor> {
    let (means, logs) = (x.narrow(1, 0, l.len)?, x.narrow(1, l.len, l.len)?);
    let Pass::Learn(seed) = pass else { return means.contiguous() };
    let noise = l.noise(seed).take(means.elem_count()).map(|e| e as f32).collect::<Vec<_>>();
    let noise = Tensor::from_vec(noise, means.shape(), x.device())?;
    means + ((logs * 0.5)?.exp()? * noise)?
}
