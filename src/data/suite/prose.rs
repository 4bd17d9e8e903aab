//! English-like prose without end: sentences of a small grammar over a small stock of words.
//!
//! It stands in for a text from a file. There is something to learn at every distance (letters, words,
//! their order, agreement of article and noun) and a choice at every word, so no model predicts it whole.

use rand::Rng;

use super::words::{capital, pick, weighted};
use crate::seed::below;

const NOUNS: [&str; 40] = [
    "man", "river", "house", "child", "door", "horse", "mother", "road", "king", "tree", "stone",
    "letter", "boat", "garden", "miller", "window", "field", "song", "lamp", "soldier", "bird",
    "market", "winter", "village", "bell", "cloud", "island", "ring", "brother", "apple", "wall",
    "storm", "owl", "basket", "mountain", "stranger", "engine", "shadow", "orchard", "violin",
];
const ADJECTIVES: [&str; 24] = [
    "old", "little", "dark", "good", "long", "white", "cold", "young", "great", "quiet", "empty",
    "golden", "broken", "heavy", "strange", "early", "green", "proud", "narrow", "distant",
    "gentle", "ugly", "silver", "tired",
];
const ACTIONS: [&str; 24] = [
    "saw", "found", "carried", "left", "heard", "watched", "followed", "opened", "crossed",
    "noticed", "loved", "painted", "sold", "mended", "feared", "forgot", "reached", "built",
    "admired", "lost", "hid", "praised", "borrowed", "guarded",
];
const EVENTS: [&str; 16] = [
    "waited", "slept", "laughed", "returned", "sang", "fell", "stood", "wandered", "spoke",
    "rested", "wept", "listened", "trembled", "arrived", "vanished", "shone",
];
const PLACES: [&str; 12] = [
    "by", "near", "under", "behind", "beyond", "across", "beside", "before", "above", "within",
    "around", "toward",
];
const TIMES: [&str; 12] = [
    "at dawn", "all day", "long ago", "too late", "at last", "again", "that day", "alone",
    "slowly", "at noon", "in vain", "for now",
];
const LINKS: [&str; 8] = [", and", ", but", " while", " since", " until", " when", ", for", " as"];
const PEOPLE: [&str; 10] =
    ["he", "she", "they", "we", "I", "Anna", "Peter", "nobody", "everyone", "Clara"];
const DETERMINERS: [&str; 7] = ["the", "a", "his", "her", "the", "their", "every"];

/// Sentences of at least `length` bytes together.
pub(super) fn prose(rng: &mut impl Rng, length: usize) -> String {
    let mut text = sentence(rng);
    while text.len() < length {
        text.push(' ');
        text.push_str(&sentence(rng));
    }
    text
}

fn sentence(rng: &mut impl Rng) -> String {
    let mut text = capital(&clause(rng));
    if below(rng, 5) < 2 {
        text.push_str(pick(rng, &LINKS));
        text.push(' ');
        text.push_str(&clause(rng));
    }
    text.push(['.', '!', '?'][weighted(rng, &[8, 1, 1])]);
    text
}

/// Somebody did something, somewhere, some time.
fn clause(rng: &mut impl Rng) -> String {
    let subject = if below(rng, 5) < 2 { skewed(rng, &PEOPLE).to_string() } else { thing(rng) };
    let mut parts = vec![subject];
    if below(rng, 2) == 0 {
        parts.extend([skewed(rng, &ACTIONS).to_string(), thing(rng)]);
    } else {
        parts.push(skewed(rng, &EVENTS).to_string());
    }
    if below(rng, 5) < 2 {
        parts.extend([skewed(rng, &PLACES).to_string(), thing(rng)]);
    }
    if below(rng, 4) == 0 {
        parts.push(skewed(rng, &TIMES).to_string());
    }
    parts.join(" ")
}

/// A noun with what stands before it.
fn thing(rng: &mut impl Rng) -> String {
    let mut words = vec![skewed(rng, &NOUNS)];
    if below(rng, 5) < 2 {
        words.insert(0, skewed(rng, &ADJECTIVES));
    }
    let determiner = match pick(rng, &DETERMINERS) {
        "a" if words[0].starts_with(['a', 'e', 'i', 'o', 'u']) => "an",
        other => other,
    };
    words.insert(0, determiner);
    words.join(" ")
}

/// One of the words, early ones more often, as some words of any language are.
fn skewed<'a>(rng: &mut impl Rng, words: &[&'a str]) -> &'a str {
    words[below(rng, words.len()).min(below(rng, words.len()))]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seed;

    #[test]
    fn prose_is_sentences_of_plain_letters() {
        let text = prose(&mut Seed::new(1).rng(), 5_000);
        assert!(text.len() >= 5_000 && text.len() < 5_300, "{}", text.len());
        assert!(text.bytes().all(|b| b.is_ascii_alphabetic() || b" ,.!?".contains(&b)));
        assert!(text.ends_with(['.', '!', '?']) && !text.contains("  "));
        let starts = text.split_inclusive(['.', '!', '?']).map(str::trim_start);
        assert!(starts.into_iter().all(|s| s.starts_with(|c: char| c.is_ascii_uppercase())));
    }

    #[test]
    fn articles_agree_with_what_follows() {
        let text = prose(&mut Seed::new(2).rng(), 50_000).to_ascii_lowercase();
        let words: Vec<&str> = text.split(' ').collect();
        let vowel = |word: &str| word.starts_with(['a', 'e', 'i', 'o', 'u']);
        let mut articles = 0;
        for pair in words.windows(2).filter(|pair| matches!(pair[0], "a" | "an")) {
            assert_eq!(pair[0] == "an", vowel(pair[1]), "{pair:?}");
            articles += 1;
        }
        assert!(articles > 100);
    }
}
