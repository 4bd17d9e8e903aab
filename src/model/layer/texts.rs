//! Where texts lie among the tokens of a batch.
//!
//! A batch is a number of examples of `context` tokens. An example may be one text. Texts of other lengths are
//! laid one after another instead, from the first token of the first example on and across examples; what the
//! last leaves of its example is nobody's. Then nothing is computed for what pads a text. Only layers that
//! look beyond one token need to know: attention, and learnt places.

/// A text's tokens among those of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::model) struct Stretch {
    /// Its first token.
    pub at: usize,
    /// Its tokens, 1 or more.
    pub len: usize,
}

/// Texts of these lengths one after another, and the examples of `context` tokens that they need.
pub(in crate::model) fn lay(
    lengths: impl Iterator<Item = usize>,
    context: usize,
    texts: &mut Vec<Stretch>,
) -> usize {
    texts.clear();
    let mut at = 0;
    for len in lengths {
        texts.push(Stretch { at, len });
        at += len;
    }
    at.div_ceil(context)
}

/// The texts of n examples of `context` tokens: those laid out, or else one an example.
pub(super) fn lying(
    texts: &[Stretch],
    n: usize,
    context: usize,
) -> impl Iterator<Item = Stretch> + '_ {
    let whole = if texts.is_empty() { n } else { 0 };
    let whole = (0..whole).map(move |i| Stretch { at: i * context, len: context });
    texts.iter().copied().chain(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lie_one_after_another_or_one_an_example() {
        let mut texts = Vec::new();
        assert_eq!(lay([3, 8, 1].into_iter(), 8, &mut texts), 2);
        let at = |at, len| Stretch { at, len };
        assert_eq!(texts, [at(0, 3), at(3, 8), at(11, 1)]);
        assert_eq!(lying(&texts, 2, 8).collect::<Vec<_>>(), texts);
        assert_eq!(lying(&[], 2, 8).collect::<Vec<_>>(), [at(0, 8), at(8, 8)]);
        assert_eq!(lay([].into_iter(), 8, &mut texts), 0);
    }
}
