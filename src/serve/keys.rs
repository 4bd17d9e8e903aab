//! API keys. A key is hashed on arrival and compared with every known hash in constant time; keys
//! themselves are not kept, so none can be printed.

use std::collections::BTreeSet;

use axum::http::HeaderMap;
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::error::{Error, Result};
use crate::ledger::AccountId;

/// Hashes of the keys and whose they are.
pub struct Keys(Vec<([u8; 32], AccountId)>);

impl Keys {
    /// Refuses empty keys and one key for two accounts. Several keys may share an account.
    pub fn new(keys: &[(String, AccountId)]) -> Result<Self> {
        let mut seen = BTreeSet::new();
        for (i, (key, _)) in keys.iter().enumerate() {
            let place = format!("serve.keys[{i}]");
            if key.is_empty() || !key.bytes().all(|b| b.is_ascii_graphic()) {
                return Err(Error::config(place, "an unusable key", "visible ASCII, no spaces"));
            }
            if !seen.insert(key) {
                return Err(Error::config(place, "a key given twice", "different keys"));
            }
        }
        Ok(Self(keys.iter().map(|(k, a)| (*blake3::hash(k.as_bytes()).as_bytes(), *a)).collect()))
    }

    /// Whose request this is: `Authorization: Bearer KEY` or `x-api-key: KEY`. Without any known
    /// keys everyone is account 0.
    pub fn account(&self, headers: &HeaderMap) -> Option<AccountId> {
        if self.0.is_empty() {
            return Some(AccountId(0));
        }
        let hash = *blake3::hash(presented(headers)?).as_bytes();
        let (mut found, mut account) = (subtle::Choice::from(0), 0u32);
        for (known, owner) in &self.0 {
            let same = known.ct_eq(&hash);
            account.conditional_assign(&owner.0, same);
            found |= same;
        }
        bool::from(found).then_some(AccountId(account))
    }
}

fn presented(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get("authorization").map(|v| v.as_bytes()).and_then(|v| {
        let (scheme, key) = v.split_at_checked(7)?;
        scheme.eq_ignore_ascii_case(b"bearer ").then(|| key.trim_ascii())
    });
    bearer.or_else(|| headers.get("x-api-key").map(|v| v.as_bytes()))
}
