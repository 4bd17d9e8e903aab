//! Choices, and words that mean nothing.

use rand::Rng;

use crate::seed::below;

/// One of the items, each as likely.
pub(super) fn pick<T: Copy>(rng: &mut impl Rng, items: &[T]) -> T {
    items[below(rng, items.len())]
}

/// A whole number from `low` to `high`, both included.
pub(super) fn between(rng: &mut impl Rng, low: usize, high: usize) -> usize {
    low + below(rng, high - low + 1)
}

/// A place in the list, as often as its weight says. Not all weights may be zero.
pub(super) fn weighted(rng: &mut impl Rng, weights: &[u32]) -> usize {
    let total: usize = weights.iter().map(|w| *w as usize).sum();
    let mut left = below(rng, total);
    for (place, &weight) in weights.iter().enumerate() {
        match left.checked_sub(weight as usize) {
            Some(rest) => left = rest,
            None => return place,
        }
    }
    unreachable!("the draw is below the sum of the weights")
}

/// A random lower-case letter.
pub(super) fn letter(rng: &mut impl Rng) -> char {
    char::from(pick(rng, b"abcdefghijklmnopqrstuvwxyz"))
}

/// Random lower-case letters, `low` to `high` of them.
pub(super) fn letters(rng: &mut impl Rng, low: usize, high: usize) -> String {
    (0..between(rng, low, high)).map(|_| letter(rng)).collect()
}

/// A name of two random syllables, half of the time with a consonant at its end: `zama`, `mozuk`.
pub(super) fn name(rng: &mut impl Rng) -> String {
    let mut name = String::new();
    for _ in 0..2 {
        name.push(char::from(pick(rng, b"bdfgklmnprstvz")));
        name.push(char::from(pick(rng, b"aeiou")));
    }
    if below(rng, 2) == 0 {
        name.push(char::from(pick(rng, b"fklmnrst")));
    }
    name
}

/// The word with a capital first letter.
pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    #[test]
    fn places_are_drawn_as_often_as_their_weights_say() {
        let mut rng = Seed::new(1).rng();
        let mut counts = [0; 4];
        (0..10_000).for_each(|_| counts[weighted(&mut rng, &[10, 0, 30, 60])] += 1);
        assert_eq!(counts[1], 0);
        for (count, share) in counts.into_iter().zip([0.1, 0.0, 0.3, 0.6]) {
            assert!((f64::from(count) / 10_000.0 - share).abs() < 0.015, "{counts:?}");
        }
    }

    #[test]
    fn names_have_four_or_five_letters_and_a_capital_when_asked() {
        let mut rng = Seed::new(2).rng();
        for _ in 0..1_000 {
            let name = name(&mut rng);
            assert!((4..=5).contains(&name.len()), "{name}");
            assert!(capital(&name).starts_with(|c: char| c.is_ascii_uppercase()), "{name}");
        }
        assert_eq!(capital(""), "");
    }
}
