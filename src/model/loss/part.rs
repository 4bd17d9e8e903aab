//! A loss on some of a network's outputs. The others are as if they were not there: no loss, no gradient.

use std::ops::Range;

use super::{Goal, Room};

/// A goal for neighbouring outputs of a wider network.
#[derive(Clone, Debug)]
pub(in crate::model) struct Part {
    pub goal: Box<Goal>,
    pub outputs: Range<usize>,
    /// Outputs of the network.
    pub of: usize,
}

impl Part {
    /// As [`Goal::loss`], for logits `[n, of]`.
    pub(super) fn loss(&self, index: &[usize], z: &mut [f64], weight: f64, room: &mut Room) -> f64 {
        let mut own = std::mem::take(&mut room.part);
        own.clear();
        for row in z.chunks_exact(self.of) {
            own.extend_from_slice(&row[self.outputs.clone()]); // [n, outputs]
        }
        let loss = self.goal.loss(index, &[], index.len(), &mut own, weight, room);
        for (row, own) in z.chunks_exact_mut(self.of).zip(own.chunks_exact(self.outputs.len())) {
            row.fill(0.0);
            row[self.outputs.clone()].copy_from_slice(own);
        }
        room.part = own;
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::loss::{Loss, Targets};

    #[test]
    fn outputs_outside_the_part_change_nothing_and_get_no_gradient() {
        // Two equal logits of the part: a loss of ln 2 each, whatever stands beside them; mean over two rows.
        let goal = Goal::new(&Targets::Labels(vec![0, 1]), Loss::HardLabel, 2).unwrap();
        let part = Part { goal: Box::new(goal), outputs: 1..3, of: 4 };
        let mut z = [9.0, 0.5, 0.5, -3.0, -7.0, 2.0, 2.0, 1e6];
        let loss = part.loss(&[0, 1], &mut z, 2.0, &mut Room::default());
        assert!((loss - std::f64::consts::LN_2).abs() < 1e-12, "{loss}");
        let expected = [0.0, -0.25, 0.25, 0.0, 0.0, 0.25, -0.25, 0.0];
        assert!(z.iter().zip(expected).all(|(z, e)| (z - e).abs() < 1e-12), "{z:?}");
    }
}
