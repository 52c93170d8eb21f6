//! For an answer that lasts: whether the key that it was asked for with is still one.

use std::fmt;

use uuid::Uuid;

use super::KeyRing;

/// A key that was admitted. It holds a digest, so that nothing of the key is left behind.
#[derive(Clone)]
pub struct Pass {
    ring: KeyRing,
    digest: Uuid,
    /// How often the keys had changed when it was last found.
    changes: u64,
}

impl Pass {
    pub(super) fn new(ring: &KeyRing, digest: Uuid) -> Self {
        // No number of changes, so that the first look is one.
        Self { ring: ring.clone(), digest, changes: u64::MAX }
    }

    /// Whether the key is in force. As long as no key changes that takes no look at them.
    pub fn is_valid(&mut self) -> bool {
        // Read before the look: a change in between is looked at the next time.
        let changes = self.ring.changes();
        if changes == self.changes {
            return true;
        }
        let is_valid = self.ring.read().keys.holds_digest(self.digest);
        if is_valid {
            self.changes = changes;
        }
        is_valid
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::Published;
    use super::*;

    #[test]
    fn a_pass_is_valid_as_long_as_its_key_is_one() {
        let ring = KeyRing::fixed(["alpha", "beta"].into_iter().collect());
        let (mut alpha, mut gamma) = (ring.pass(b"alpha"), ring.pass(b"gamma"));
        assert!(alpha.is_valid() && alpha.is_valid() && !gamma.is_valid());
        let publish = |keys: &[&str]| {
            ring.publish(Published { keys: Arc::new(keys.iter().copied().collect()), warning: None });
        };
        publish(&["alpha", "gamma"]);
        assert!(alpha.is_valid() && gamma.is_valid());
        publish(&["gamma"]);
        assert!(!alpha.is_valid() && !alpha.is_valid() && gamma.is_valid());
        publish(&["alpha"]);
        assert!(alpha.is_valid() && !gamma.is_valid());
    }

    #[test]
    fn a_pass_shows_nothing() {
        assert_eq!(format!("{:?}", KeyRing::default().pass(b"alpha")), "Pass { .. }");
    }
}
