//! Following a format: a word of random letters, and a letter that says what to do with it.

use rand::Rng;

use super::words::{letters, pick};
use super::{Capability, Kind, Problem};

/// Every form: its letter, and the kind of problem it makes.
pub(super) const FORMS: [(char, Kind); 4] =
    [('c', Kind::Copy), ('r', Kind::Reverse), ('u', Kind::Upper), ('n', Kind::Length)];

/// A random word of 3 to 6 letters in a random form.
pub(super) fn draw(rng: &mut impl Rng) -> Problem {
    let (form, kind) = pick(rng, &FORMS);
    let word = letters(rng, 3, 6);
    Problem::new(Capability::Format, kind, &prompt(form, &word), &apply(form, &word))
}

/// What asks for the word in this form.
pub(super) fn prompt(form: char, word: &str) -> String {
    format!("F{form}:{word}>")
}

/// The word in this form.
pub(super) fn apply(form: char, word: &str) -> String {
    match form {
        'r' => word.chars().rev().collect(),
        'u' => word.to_ascii_uppercase(),
        'n' => word.len().to_string(),
        _ => word.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_does_what_its_letter_says() {
        for (form, answer) in [('c', "shsyb"), ('r', "byshs"), ('u', "SHSYB"), ('n', "5")] {
            assert_eq!(prompt(form, "shsyb"), format!("F{form}:shsyb>"));
            assert_eq!(apply(form, "shsyb"), answer);
        }
    }
}
