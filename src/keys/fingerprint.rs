//! What stands for a key where people read who asked for a run: never the key itself, and the same in every process.

use uuid::{Uuid, uuid};

/// It never changes, and the README tells it: whoever has a key can work out its fingerprint.
const NAMESPACE: Uuid = uuid!("349f8dbe-3ce2-4d35-8213-6e1071341ddd");

/// Enough to tell keys apart, too little to be one.
const DIGITS: usize = 8;

/// The first digits of the UUID v5 of a key.
pub fn fingerprint(key: &[u8]) -> Box<str> {
    Uuid::new_v5(&NAMESPACE, key).to_string()[..DIGITS].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By `uuidgen --sha1` of util-linux.
    #[test]
    fn a_fingerprint_is_what_the_readme_says_that_it_is() {
        assert_eq!(&*fingerprint(b"test-key"), "fa021411");
        assert_ne!(fingerprint(b"test-keys"), fingerprint(b"test-key"));
    }
}
