//! Every layer's gradients against finite differences in 64 bits, over shapes.

use proptest::prelude::*;

use super::*;
use crate::model::cpu::Runner;
use crate::model::language::{Bend, Decoder, Fresh, LlamaBlocks, NormRule, Positions};
use crate::model::network::Network;
use crate::seed::normal;

/// A network in 64 bits, a few examples, and random weights on its outputs.
struct Probe {
    network: Network,
    params: Vec<f64>,
    inputs: Vec<f64>,
    out: Vec<f64>,
    n: usize,
}

const PASS: Pass = Pass::Trace;

impl Probe {
    fn new(layers: Vec<Layer>, n: usize) -> Self {
        let network = Network::new(layers);
        let mut rng = Seed::new(6).rng();
        let mut normals = |n: usize| (0..n).map(|_| normal(&mut rng)).collect::<Vec<_>>();
        // Gains and biases drawn at their start would hide slips.
        let params = normals(network.parameters()).iter().map(|v| 0.5 * v).collect();
        let inputs = normals(n * network.inputs());
        let out = normals(n * network.outputs());
        Self { network, params, inputs, out, n }
    }

    fn tokens(mut self, vocabulary: usize) -> Self {
        for (i, token) in self.inputs.iter_mut().enumerate() {
            *token = ((i * 7 + 3) % vocabulary) as f64;
        }
        self
    }

    /// The scalar whose gradients are checked: outputs times their weights, summed.
    fn value(&self, pass: Pass) -> f64 {
        let mut runner = Runner::new(&self.network);
        let mut sum = 0.0;
        let goal = |y: &[f64], _: &mut [f64]| {
            sum = y.iter().zip(&self.out).map(|(y, w)| y * w).sum();
        };
        let mut grads = vec![0.0; self.params.len()];
        runner.learn(&self.params, &self.inputs, self.n, pass, goal, &mut grads);
        sum
    }

    fn grads(&self, pass: Pass) -> (Vec<f64>, Vec<f64>) {
        let mut runner = Runner::new(&self.network);
        let mut grads = vec![f64::NAN; self.params.len()];
        let goal = |_: &[f64], dy: &mut [f64]| dy.copy_from_slice(&self.out);
        // Twice, so that what a pass leaves behind would show.
        for _ in 0..2 {
            runner.learn(&self.params, &self.inputs, self.n, pass, goal, &mut grads);
        }
        let dx = runner.pull(&self.params, &self.inputs, self.n, goal).to_vec();
        (grads, dx)
    }

    fn difference(&mut self, pass: Pass, place: impl Fn(&mut Self) -> &mut f64) -> f64 {
        let h = 1e-6;
        let old = *place(self);
        *place(self) = old + h;
        let up = self.value(pass);
        *place(self) = old - h;
        let down = self.value(pass);
        *place(self) = old;
        (up - down) / (2.0 * h)
    }

    /// Checks parameters' gradients, and the input's where it has any.
    fn check(&mut self, pass: Pass, input: bool) {
        let (grads, dx) = self.grads(pass);
        let close =
            |found: f64, expected: f64| (found - expected).abs() < 2e-6 + 2e-6 * expected.abs();
        for (i, found) in grads.into_iter().enumerate() {
            let expected = self.difference(pass, |probe| &mut probe.params[i]);
            assert!(close(found, expected), "parameter {i}: {found}, expected {expected}");
        }
        for (i, found) in dx.into_iter().enumerate().filter(|_| input) {
            let expected = self.difference(PASS, |probe| &mut probe.inputs[i]);
            assert!(close(found, expected), "input {i}: {found}, expected {expected}");
        }
    }
}

fn dense(times: usize, from: usize, to: usize, activation: Activation, at: usize) -> Layer {
    let (name, draw) = ("dense".into(), Draw::Fans { into: from, out: to });
    Layer::Dense(Dense { name, times, from, to, activation, bias: true, draw, at })
}

fn conv(c: usize, h: usize, w: usize, filters: usize, at: usize) -> Layer {
    let (kernel, pad, pool) = (3, 1, true);
    Layer::Conv(Conv { name: "conv".into(), c, h, w, filters, kernel, pad, pool, at })
}

fn activation() -> impl Strategy<Value = Activation> {
    use Activation::{Gelu, None, Relu, Silu};
    prop_oneof![Just(None), Just(Relu), Just(Gelu), Just(Silu)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn dense_gradients_agree_with_differences(
        n in 1usize..4, times in 1usize..3, from in 1usize..9, to in 1usize..9, f in activation(),
    ) {
        let layers = vec![
            dense(times, from, to, f, 0),
            dense(times, to, 3, Activation::None, (from + 1) * to),
        ];
        Probe::new(layers, n).check(PASS, true);
    }

    #[test]
    fn convolution_gradients_agree_with_differences(
        n in 1usize..3, c in 1usize..4, h in 2usize..7, w in 2usize..7, filters in 1usize..4,
    ) {
        Probe::new(vec![conv(c, h, w, filters, 0)], n).check(PASS, true);
    }

    #[test]
    fn gradients_of_any_convolution_agree_with_differences(
        n in 1usize..3, c in 1usize..3, h in 5usize..8, w in 5usize..8, filters in 1usize..3,
        half in 0usize..3, pad in 0usize..3, pool: bool,
    ) {
        let kernel = 2 * half + 1;
        let pad = pad.min(half);
        let name = "conv".into();
        let layer = Conv { name, c, h, w, filters, kernel, pad, pool, at: 0 };
        prop_assume!(layer.outputs() > 0);
        Probe::new(vec![Layer::Conv(layer)], n).check(PASS, true);
    }

    #[test]
    fn norm_gradients_agree_with_differences(
        n in 1usize..3, times in 1usize..4, width in 2usize..20, rms: bool, eps in 1e-6..0.5,
    ) {
        let kind = if rms { NormKind::Rms } else { NormKind::Layer };
        let norm = Norm { name: "norm".into(), kind, times, width, eps, at: 0 };
        Probe::new(vec![Layer::Norm(norm)], n).check(PASS, true);
    }

    #[test]
    fn attention_gradients_agree_with_differences(
        n in 1usize..3, positions in 1usize..6, heads in 1usize..3, half in 1usize..3, rotary: bool,
    ) {
        let attention = Attention::new(positions, 2 * half * heads, heads, rotary);
        Probe::new(vec![Layer::Attention(attention)], n).check(PASS, true);
    }

    #[test]
    fn gradients_of_shared_keys_and_values_agree_with_differences(
        n in 1usize..3, positions in 1usize..6, group in 1usize..4, keys in 1usize..3,
        half in 1usize..3, base in 2.0..1e5,
    ) {
        let heads = [group * keys, keys];
        let attention = Attention::grouped(positions, heads, 2 * half, Some(base));
        Probe::new(vec![Layer::Attention(attention)], n).check(PASS, true);
    }

    #[test]
    fn gate_gradients_agree_with_differences(
        n in 1usize..3, times in 1usize..4, width in 1usize..20,
    ) {
        Probe::new(vec![Layer::Gate(Gate { times, width })], n).check(PASS, true);
    }
}

#[test]
fn attention_over_several_blocks_agrees_with_differences() {
    let attention = Attention::new(35, 4, 2, true);
    Probe::new(vec![Layer::Attention(attention)], 1).check(PASS, true);
    let attention = Attention::grouped(35, [4, 2], 2, Some(50.0));
    Probe::new(vec![Layer::Attention(attention)], 1).check(PASS, true);
}

#[test]
fn keys_that_heads_share_are_keys_that_each_has_of_its_own() {
    let (positions, d) = (7, 4);
    let grouped = Attention::grouped(positions, [4, 2], d, Some(100.0));
    let own = Attention::grouped(positions, [4, 4], d, Some(100.0));
    let x: Vec<f64> = (0..positions * grouped.row).map(|i| (i * i % 17) as f64 / 8.0).collect();
    // Of every row: four queries, then both keys and both values, each twice.
    let twice = |row: &[f64]| -> Vec<f64> {
        let (queries, shared) = row.split_at(4 * d);
        let twice = shared.chunks_exact(d).flat_map(|head| [head, head].concat());
        queries.iter().copied().chain(twice).collect()
    };
    let wide: Vec<f64> = x.chunks_exact(grouped.row).flat_map(twice).collect();
    let y = |attention: &Attention, x: &[f64]| {
        let network = Network::new(vec![Layer::Attention(attention.clone())]);
        Runner::new(&network).answer(&[], x, 1, 1).to_vec()
    };
    assert_eq!(y(&grouped, &x), y(&own, &wide));
}

#[test]
fn two_convolutions_hand_their_gradients_on() {
    let layers = vec![conv(2, 9, 8, 2, 0), conv(2, 4, 4, 3, (18 + 1) * 2)];
    Probe::new(layers, 2).check(PASS, true);
}

#[test]
fn a_whole_decoder_agrees_with_differences() {
    for places in [false, true] {
        let (positions, vocabulary, width) = (5, 7, 4);
        let mut at = 0;
        let mut take = |n: usize| {
            at += n;
            at - n
        };
        let (name, draw) = (String::from("embed"), Draw::Normal { deviation: 0.1 });
        let rows = vocabulary + if places { positions } else { 0 };
        let at_embed = take(rows * width);
        let tied = false;
        let embed = Embed { name, positions, vocabulary, width, places, tied, draw, at: at_embed };
        let (kind, eps, times) = (NormKind::Layer, EPS, positions);
        let norm = Norm { name: "norm".into(), kind, times, width, eps, at: take(2 * width) };
        let project = dense(positions, width, 3 * width, Activation::None, take(15 * width));
        let attention = Layer::Attention(Attention::new(positions, width, 2, !places));
        let merge = dense(positions, width, width, Activation::Gelu, take(5 * width));
        let inner = vec![Layer::Norm(norm), project, attention, merge];
        let out = dense(positions, width, vocabulary, Activation::None, take(5 * vocabulary));
        let layers = vec![Layer::Embed(embed), Layer::Residual(Residual { inner }), out];
        Probe::new(layers, 2).tokens(vocabulary).check(PASS, false);
    }
}

#[test]
fn a_whole_tied_decoder_of_the_llama_family_agrees_with_differences() {
    for tied in [true, false] {
        let blocks =
            LlamaBlocks { key_heads: 1, head: 2, hidden: 5, base: 50.0, epsilon: 1e-2, tied };
        let plan = Decoder {
            vocabulary: 7,
            context: 5,
            layers: 1,
            heads: 2,
            width: 6,
            norm: NormRule::Rms,
            positions: Positions::Rotary,
            bend: Bend::Silu,
            dropout: 0.0,
            fresh: Fresh::FanIn,
            llama: Some(blocks),
        };
        let layers = plan.network().unwrap().layers().to_vec();
        Probe::new(layers, 2).tokens(7).check(PASS, false);
    }
}

#[test]
fn a_network_that_tells_its_hidden_layers_agrees_with_differences_and_gives_the_same() {
    let layers = vec![
        conv(1, 5, 4, 2, 0),
        dense(1, 8, 5, Activation::Relu, 20),
        dense(1, 5, 3, Activation::None, 65),
    ];
    let plain = Probe::new(layers, 3);
    assert_eq!(plain.network.hidden_widths(), [8, 5]);
    let mut probe = Probe::new(plain.network.telling().layers().to_vec(), 3);
    assert_eq!((probe.network.inputs(), probe.network.outputs()), (20, 8 + 5 + 3));
    let (mut own, mut telling) = (Runner::new(&plain.network), Runner::new(&probe.network));
    let told = telling.answer(&plain.params, &plain.inputs, 3, 2).to_vec();
    for (layers, columns) in [(1, 0..8), (2, 8..13), (3, 13..16)] {
        let alone = own.answer(&plain.params, &plain.inputs, 3, layers).to_vec();
        let part: Vec<f64> =
            told.chunks_exact(16).flat_map(|row| &row[columns.clone()]).copied().collect();
        assert_eq!(part, alone);
    }
    probe.check(PASS, true);
}

#[test]
fn dropout_scales_the_survivors_and_drops_the_rest_both_ways() {
    let drop = Dropout { name: "drop".into(), len: 400, share: 0.25 };
    let layers = vec![dense(1, 3, 400, Activation::None, 0), Layer::Dropout(drop)];
    let learn = Pass::Learn(Seed::new(3));
    let mut probe = Probe::new(layers, 1);
    let (grads, _) = probe.grads(learn);
    let dropped = grads[1200..].iter().filter(|g| **g == 0.0).count();
    assert!((70..130).contains(&dropped), "{dropped} of 400 dropped");
    for i in [0, 5, 1200, 1300, 1599] {
        let expected = probe.difference(learn, |probe| &mut probe.params[i]);
        assert!((grads[i] - expected).abs() < 1e-6, "{i}: {}, expected {expected}", grads[i]);
    }
}

/// Upstream's pooling gave 0.25 here.
#[test]
fn the_whole_gradient_of_a_window_goes_to_its_largest_value() {
    let mut probe = Probe::new(vec![conv(1, 2, 2, 1, 0)], 1);
    // The kernel that copies, no bias, and the image 1 2 3 4.
    probe.params = vec![0.0; 10];
    probe.params[4] = 1.0;
    probe.inputs = vec![1.0, 2.0, 3.0, 4.0];
    probe.out = vec![1.0];
    assert_eq!(probe.grads(PASS).1, [0.0, 0.0, 0.0, 1.0]);
    // Equal values: the first one.
    probe.inputs = vec![4.0, 4.0, 4.0, 4.0];
    assert_eq!(probe.grads(PASS).1, [1.0, 0.0, 0.0, 0.0]);
    // A value that is no number is not lost.
    probe.inputs = vec![1.0, f64::NAN, 3.0, 4.0];
    assert!(probe.value(PASS).is_nan());
}
