//! Round trips of decoders, and files that are not what they should be.

use super::*;
use crate::Seed;
use crate::model::language::{Bend, Fresh, LlamaBlocks, NormRule, Positions};
use crate::model::{Arch, InputShape, Model, Parameter};

fn plan() -> Decoder {
    Decoder {
        vocabulary: 11,
        context: 12,
        layers: 2,
        heads: 2,
        width: 16,
        norm: NormRule::default(),
        positions: Positions::default(),
        bend: Bend::default(),
        dropout: 0.0,
        fresh: Fresh::FanIn,
        llama: None,
    }
}

fn llama(tied: bool) -> Decoder {
    let blocks =
        LlamaBlocks { key_heads: 1, head: 10, hidden: 24, base: 500.0, epsilon: 1e-6, tied };
    let (norm, bend) = (NormRule::Rms, Bend::Silu);
    Decoder { norm, bend, llama: Some(blocks), ..plan() }
}

fn decoder(plan: &Decoder) -> Language {
    Language::init(plan, Device::Cpu, Seed::new(1)).unwrap()
}

fn good() -> Vec<u8> {
    decoder(&plan()).to_bytes(&Provenance::new(), Storage::Full).unwrap()
}

/// A file of these tensors under this plan, whether they fit or not.
fn file(plan: Decoder, tensors: &[Parameter]) -> Vec<u8> {
    let header = Header { format: KIND.format, plan, provenance: Provenance::new() };
    save::to_bytes(&KIND, &header, tensors, Storage::Full).unwrap()
}

fn refusal(bytes: &[u8]) -> String {
    let message = Language::from_bytes(bytes, "some-file").expect_err("refused").to_string();
    assert!(message.starts_with("some-file: "), "{message}");
    message
}

#[test]
fn a_saved_decoder_answers_the_same_after_loading() {
    let dir = std::env::temp_dir().join(format!("retort-decoder-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let path = dir.join("decoder.safetensors");
    let provenance = Provenance::from([("seed".into(), "1".into())]);
    let other = Decoder {
        norm: NormRule::Rms,
        positions: Positions::Learnt,
        bend: Bend::Silu,
        fresh: Fresh::Gpt2,
        ..plan()
    };
    for plan in [plan(), other, llama(true), llama(false)] {
        let model = decoder(&plan);
        model.save(&path, &provenance).unwrap();
        let (back, found) = Language::load(&path).unwrap();
        assert_eq!((back.plan(), &found), (&plan, &provenance));
        assert_eq!(back.weights(), model.weights());
        let prompts = [vec![1, 2, 3], vec![9]];
        let answers = |model: &Language| model.greedy(&prompts, 8, None).unwrap();
        assert_eq!(answers(&back), answers(&model));
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(Language::from_bytes(&bytes, "embedded").unwrap().0.weights(), model.weights());
        assert_eq!(back.to_bytes(&provenance, Storage::Full).unwrap(), bytes);
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "nothing is left aside");
    std::fs::remove_dir_all(&dir).unwrap();
}

#[test]
fn half_the_space_keeps_eleven_bits_of_every_weight() {
    let model = decoder(&plan());
    let half = model.to_bytes(&Provenance::new(), Storage::Half).unwrap();
    let saved = good().len() - half.len();
    // Names of types and offsets are shorter, too.
    assert!(saved.abs_diff(2 * plan().numbers()) < 100, "{saved} bytes");
    let (back, _) = Language::from_bytes(&half, "half").unwrap();
    for ((name, _, found), (_, _, exact)) in back.weights().iter().zip(model.weights()) {
        // Half a unit of the last place, and of the smallest numbers' step, 2^-24.
        let close = |(found, exact): (&f32, f32)| {
            (found - exact).abs() <= exact.abs() / 2048.0 + 2.0_f32.powi(-25)
        };
        assert!(found.iter().zip(exact).all(close), "{name}");
    }
    assert_eq!(back.to_bytes(&Provenance::new(), Storage::Half).unwrap(), half);
    let params = Arc::new(vec![65_520.0; plan().numbers()]);
    let large = Language { params, ..model };
    let message = large.to_bytes(&Provenance::new(), Storage::Half).unwrap_err().to_string();
    assert!(message.contains("found 65520"), "{message}");
}

#[test]
fn a_plan_counts_its_numbers_before_it_is_built() {
    for norm in [NormRule::Layer, NormRule::Rms] {
        for positions in [Positions::Rotary, Positions::Learnt] {
            let plan = Decoder { norm, positions, ..plan() };
            assert_eq!(plan.numbers(), plan.network().unwrap().parameters());
        }
    }
    for tied in [false, true] {
        let plan = llama(tied);
        assert_eq!(plan.numbers(), plan.network().unwrap().parameters());
    }
}

#[test]
fn a_file_cut_short_anywhere_is_refused() {
    let bytes = good();
    for len in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        refusal(&bytes[..len]);
    }
    refusal(&[&bytes[..], &[0]].concat());
}

#[test]
fn plans_that_their_tensors_do_not_fit_are_refused() {
    let tensors = decoder(&plan()).weights();
    let huge = usize::MAX;
    let cases = [
        (Decoder { heads: 3, ..plan() }, "header: model.heads: found 3 heads for a width of 16"),
        (Decoder { layers: huge, ..plan() }, "header: model.layers: found 18446744073709551615"),
        (Decoder { vocabulary: huge, ..plan() }, "header: model.vocabulary: found 1844"),
        (Decoder { context: huge, ..plan() }, "header: model.context: found 1844"),
        (Decoder { heads: huge, ..plan() }, "header: model.heads: found 1844"),
        (Decoder { width: huge, ..plan() }, "header: model.width: found 1844"),
        (Decoder { dropout: 2.0, ..plan() }, "header: model.dropout: found 2"),
        (Decoder { layers: 256, width: 16_384, ..plan() }, "numbers, expected the 824"),
        (Decoder { layers: 3, ..plan() }, "tensors: found 6955 numbers"),
        (Decoder { vocabulary: 12, ..plan() }, "tensors: found 6955 numbers"),
        (Decoder { norm: NormRule::Rms, ..plan() }, "tensors: found 6955 numbers"),
    ];
    for (plan, expected) in cases {
        let message = refusal(&file(plan, &tensors));
        assert!(message.contains(expected), "{message}\nexpected {expected}");
    }
}

#[test]
fn tensors_of_other_names_or_shapes_are_refused() {
    let changed = |change: &dyn Fn(&mut Parameter)| {
        let mut tensors = decoder(&plan()).weights();
        change(&mut tensors[0]);
        refusal(&file(plan(), &tensors))
    };
    let message = changed(&|(_, shape, _)| shape.reverse());
    assert!(message.contains("of another shape: embed.weight [16, 11] for [11, 16]"), "{message}");
    let message = changed(&|(name, _, _)| *name = "other".into());
    assert!(message.contains("missing: embed.weight; extra: other"), "{message}");
}

#[test]
fn files_of_another_kind_or_format_are_refused() {
    let shape = InputShape::Flat(2);
    let seed = Seed::new(1);
    let classifier = Model::init(&Arch::Logistic {}, shape, 2, Device::Cpu, seed).unwrap();
    let path = std::env::temp_dir().join(format!("retort-classifier-{}", std::process::id()));
    classifier.save(&path, &Provenance::new()).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    assert!(refusal(&bytes).contains("no `retort-decoder` entry"));
    std::fs::write(&path, good()).unwrap();
    let message = Model::load(&path, Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("no `retort` entry"), "{message}");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(Language::load(&path).unwrap_err(), Error::Io { .. }));
    let header = Header { format: 2, plan: plan(), provenance: Provenance::new() };
    let later = save::to_bytes(&KIND, &header, &[], Storage::Full).unwrap();
    assert!(refusal(&later).contains("format 2, this version reads 1"));
}
