//! Which parameters weight decay shrinks.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::layer::Slot;

/// Parameters that weight decay shrinks.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Decay {
    /// Every parameter.
    #[default]
    All,
    /// Weights and embeddings, those of two or more dimensions; no biases and no gains of norms.
    Matrices,
}

/// Neighbouring parameters that decay alike.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    pub part: Range<usize>,
    /// Factor of the weight decay, 1 or 0.
    pub decay: f64,
}

impl Decay {
    /// Cuts parameters that fill a slice without gaps into as few spans as there can be.
    pub(super) fn spans(self, slots: &[Slot]) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        for slot in slots {
            let decays = self == Self::All || slot.shape.len() >= 2;
            let decay = if decays { 1.0 } else { 0.0 };
            let end = slot.at + slot.len();
            match spans.last_mut() {
                Some(last) if last.decay == decay => last.part.end = end,
                _ => spans.push(Span { part: slot.at..end, decay }),
            }
        }
        spans
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::init::Draw;

    #[test]
    fn neighbours_that_decay_alike_share_a_span() {
        let shapes: [&[usize]; 6] = [&[5, 2], &[2], &[2], &[2, 3], &[3, 1], &[3]];
        let mut at = 0;
        let slots = shapes.map(|shape| {
            let slot =
                Slot { name: String::new(), shape: shape.to_vec(), at, draw: Draw::Constant(0.0) };
            at += slot.len();
            slot
        });
        let span = |part, decay| Span { part, decay };
        assert_eq!(Decay::All.spans(&slots), [span(0..26, 1.0)]);
        let expected = [span(0..10, 1.0), span(10..14, 0.0), span(14..23, 1.0), span(23..26, 0.0)];
        assert_eq!(Decay::Matrices.spans(&slots), expected);
    }
}
