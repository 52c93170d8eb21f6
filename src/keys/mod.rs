//! Who may come in: the keys of a file that may change at any moment, published as a whole.

mod file;
mod fingerprint;
mod first;
mod keeper;
mod pass;
mod set;
mod watch;

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use keeper::{Look, Without};

pub use file::is_mount_point;
pub use fingerprint::fingerprint;
pub use first::ensure_default;
pub use pass::Pass;
pub use set::KeySet;
pub use watch::{KeyWatcher, start};

/// The keys in force. Clones name the same ones; a change swaps them whole.
#[derive(Clone, Default)]
pub struct KeyRing {
    published: Arc<RwLock<Published>>,
    /// How often other keys came into force.
    changes: Arc<AtomicU64>,
}

#[derive(Default)]
struct Published {
    keys: Arc<KeySet>,
    /// What an operator should know, without the file's path: `/ready` is open to all.
    warning: Option<String>,
}

impl KeyRing {
    /// A ring of keys that no file changes.
    pub fn fixed(keys: KeySet) -> Self {
        let ring = Self::default();
        ring.publish(Published { keys: Arc::new(keys), warning: None });
        ring
    }

    /// Whether this is a key. How long the answer takes says nothing of how near a guess came.
    pub fn admits(&self, key: &[u8]) -> bool {
        let keys = Arc::clone(&self.read().keys);
        keys.holds(key)
    }

    /// For an answer that lasts: tells later whether this is still a key.
    pub fn pass(&self, key: &[u8]) -> Pass {
        Pass::new(self, set::digest(key))
    }

    /// Why the keys may be older than the file, where that is so.
    pub fn warning(&self) -> Option<String> {
        self.read().warning.clone()
    }

    /// How many keys are in force.
    pub fn len(&self) -> usize {
        self.read().keys.len()
    }

    /// Whether every key is refused.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How often other keys came into force, the first ones included.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Nothing can panic while the lock is held, so what it guards is always whole.
    fn read(&self) -> RwLockReadGuard<'_, Published> {
        self.published.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, published: Published) {
        let mut present = self.published.write().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&present.keys, &published.keys) {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        *present = published;
    }
}

/// How many keys a file holds; `None` where there is no file.
///
/// # Errors
///
/// Why it cannot be read.
pub fn count(path: &Path) -> Result<Option<usize>, String> {
    match file::look(path).0 {
        Look::Keys(keys) => Ok(Some(keys.len())),
        Look::Without(Without::Empty) => Ok(Some(0)),
        Look::Without(Without::Absent) => Ok(None),
        Look::Unusable(reason) => Err(reason),
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({:?})", self.read().keys)
    }
}

#[cfg(test)]
mod kubelet;
#[cfg(test)]
mod tests;
