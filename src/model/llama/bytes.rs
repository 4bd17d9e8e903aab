//! Any bytes to tokens and back. Tables of byte pairs write each byte as a character of an alphabet (Radford et al. 2019,
//! section 2.2), so that tokens may hold a part of a character of UTF-8. Other tables know text alone.

use tokenizers::DecoderWrapper;

use super::Tokenizer;
use crate::error::Result;

/// The character that stands for each byte: printable ones for themselves, the others in order from 256 on.
const CHARACTERS: [char; 256] = {
    let (mut table, mut byte, mut next) = (['\0'; 256], 0, 256);
    while byte < 256 {
        let printable = matches!(byte, 33..=126 | 161..=172 | 174..=255);
        let code = if printable { byte as u32 } else { next };
        next += !printable as u32;
        if let Some(character) = char::from_u32(code) {
            table[byte] = character;
        }
        byte += 1;
    }
    table
};

/// The byte that a character stands for.
fn byte(character: char) -> Option<u8> {
    let same = u8::try_from(u32::from(character)).ok();
    let same = same.filter(|&byte| CHARACTERS[usize::from(byte)] == character);
    let found = || CHARACTERS.iter().position(|c| *c == character).map(|byte| byte as u8);
    same.or_else(found)
}

impl Tokenizer {
    /// Tokens of bytes from outside: of text as of any text, of other bytes one each. Tables that do not know bytes read
    /// replacement characters in the place of these.
    pub fn encode_bytes(&self, bytes: &[u8]) -> Result<Vec<u32>> {
        let mut tokens = Vec::new();
        let mut text = String::new();
        for chunk in bytes.utf8_chunks() {
            text.push_str(chunk.valid());
            let own = |&byte: &u8| self.id(&CHARACTERS[usize::from(byte)].to_string());
            match chunk.invalid().iter().map(own).collect::<Option<Vec<u32>>>() {
                Some(own) if self.of_bytes() => {
                    if !own.is_empty() {
                        tokens.extend(self.encode_plain(&std::mem::take(&mut text))?);
                        tokens.extend(own);
                    }
                }
                _ => text.push(char::REPLACEMENT_CHARACTER),
            }
        }
        tokens.extend(self.encode_plain(&text)?);
        Ok(tokens)
    }

    /// The bytes of tokens, special ones as they are written. Numbers without a token are none.
    pub fn decode_bytes(&self, tokens: &[u32]) -> Result<Vec<u8>> {
        if !self.of_bytes() {
            return Ok(self.decode(tokens)?.into_bytes());
        }
        let mut bytes = Vec::new();
        for &token in tokens {
            match self.written(token) {
                Some((text, true)) => bytes.extend_from_slice(text.as_bytes()),
                Some((text, false)) => bytes.extend(text.chars().filter_map(byte)),
                None => {}
            }
        }
        Ok(bytes)
    }

    fn of_bytes(&self) -> bool {
        matches!(self.tables.get_decoder(), Some(DecoderWrapper::ByteLevel(_)))
    }

    /// What a table has for a token, and whether that is its text itself, as of special ones.
    fn written(&self, token: u32) -> Option<(String, bool)> {
        let added =
            self.tables.get_added_vocabulary().get_added_tokens_decoder().contains_key(&token);
        Some((self.tables.id_to_token(token)?, added))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::tiny;
    use super::*;

    #[test]
    fn every_byte_has_a_character_of_its_own_and_back() {
        let table = tiny::byte_characters();
        for b in 0..=u8::MAX {
            let character = CHARACTERS[usize::from(b)];
            assert_eq!(character.to_string(), table[usize::from(b)]);
            assert_eq!(byte(character), Some(b));
        }
        assert_eq!(byte('\u{4e2d}'), None);
    }

    #[test]
    fn any_bytes_come_back_and_are_no_more_tokens_than_bytes() {
        let model = tiny::model();
        let tokenizer = model.tokenizer();
        let all: Vec<u8> = (0..=u8::MAX).collect();
        let backwards: Vec<u8> = (0..=u8::MAX).rev().collect();
        for bytes in
            [&all[..], &backwards, b"hello 12", b"\xff\xfehell\xe4\xb8o", b"\xe4\xb8\xad", b""]
        {
            let tokens = tokenizer.encode_bytes(bytes).unwrap();
            assert_eq!(tokenizer.decode_bytes(&tokens).unwrap(), bytes);
            assert!(tokens.len() <= bytes.len());
        }
        // Text is cut as text, a special token is written out, a number beyond the table is nothing.
        assert_eq!(
            tokenizer.encode_bytes(b"hello").unwrap(),
            tokenizer.encode_plain("hello").unwrap()
        );
        assert_eq!(tokenizer.decode_bytes(&[2, 3 + 65, 999]).unwrap(), b"<|im_end|>A");
    }
}
