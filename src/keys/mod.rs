//! The keys that are let in.

use std::sync::Arc;

/// The set of keys that are in force, shared by all who ask.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    keys: Arc<Vec<Vec<u8>>>,
}

impl KeyRing {
    /// A ring of these keys.
    pub fn of(keys: &[&str]) -> Self {
        Self { keys: Arc::new(keys.iter().map(|key| key.as_bytes().to_vec()).collect()) }
    }

    /// Whether this key is in force.
    pub fn admits(&self, key: &[u8]) -> bool {
        self.keys.iter().any(|known| known == key)
    }

    /// What is wrong with the key file at present.
    pub fn warning(&self) -> Option<String> {
        None
    }
}
