//! A set of keys that nobody can read back.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use uuid::Uuid;

/// Drawn anew by each process, so that nobody can work out a digest, or aim at one.
static NAMESPACE: LazyLock<Uuid> = LazyLock::new(Uuid::new_v4);

/// The keys of one reading of the file. Only digests are kept: there is nothing to print, and what
/// is compared tells nothing of a key, however long it takes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KeySet {
    digests: HashSet<Uuid>,
}

impl KeySet {
    /// Reads the text of a key file: a line is trimmed; an empty one, or one that begins with `#`,
    /// is passed over; every other one is a key.
    ///
    /// # Errors
    ///
    /// What is not text, with the place but without the content.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes)
            .map_err(|error| format!("it is not UTF-8 text, from byte {} on", error.valid_up_to() + 1))?;
        // A power cut may leave a file of zeros, which would be UTF-8, and one useless key.
        if let Some(at) = text.find('\0') {
            return Err(format!("it is not text: byte {} is zero", at + 1));
        }
        // Some editors begin a file with a byte order mark.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Ok(text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect())
    }

    /// How many different keys there are.
    pub fn len(&self) -> usize {
        self.digests.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.digests.is_empty()
    }

    /// Whether this is one of them.
    pub fn holds(&self, key: &[u8]) -> bool {
        self.holds_digest(digest(key))
    }

    pub(super) fn holds_digest(&self, digest: Uuid) -> bool {
        self.digests.contains(&digest)
    }
}

pub(super) fn digest(key: &[u8]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, key)
}

impl<'a> FromIterator<&'a str> for KeySet {
    fn from_iter<I: IntoIterator<Item = &'a str>>(keys: I) -> Self {
        Self { digests: keys.into_iter().map(|key| digest(key.as_bytes())).collect() }
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_trimmed_lines_that_are_no_comments() {
        let check = |text: &str, keys: &[&str]| {
            assert_eq!(KeySet::parse(text.as_bytes()), Ok(keys.iter().copied().collect()), "{text:?}");
        };
        check("", &[]);
        check("\n \r\n\t\n# alpha\n  # beta\n", &[]);
        check("alpha", &["alpha"]);
        check("alpha\nbeta\n", &["alpha", "beta"]);
        check("  alpha \r\n\tbeta\t\r\n", &["alpha", "beta"]);
        check("\u{feff}alpha\n", &["alpha"]);
        check("\u{feff}# comment\nalpha\n", &["alpha"]);
        check("alpha # no comment\nbe#ta\n", &["alpha # no comment", "be#ta"]);
        check("alpha\nalpha\n", &["alpha"]);
        check("schlüssel\n", &["schlüssel"]);
    }

    #[test]
    fn what_is_no_text_is_refused_by_place() {
        assert_eq!(KeySet::parse(b"alpha\n\xff\xfe"), Err("it is not UTF-8 text, from byte 7 on".into()));
        assert_eq!(KeySet::parse(b"alpha\n\0\0"), Err("it is not text: byte 7 is zero".into()));
    }

    #[test]
    fn only_whole_keys_are_held() {
        let keys = KeySet::parse(b"alpha\nbeta\n").expect("text");
        for key in ["alpha", "beta"] {
            assert!(keys.holds(key.as_bytes()), "{key}");
        }
        for key in ["", "alph", "alphaa", "Alpha", " alpha", "alpha\n", "alpha\nbeta"] {
            assert!(!keys.holds(key.as_bytes()), "{key:?}");
        }
    }

    #[test]
    fn nothing_of_a_key_is_shown() {
        let keys = KeySet::parse(b"alpha\nbeta\n").expect("text");
        assert_eq!(format!("{keys:?}"), "KeySet(2 keys)");
        assert_eq!(format!("{:?}", crate::keys::KeyRing::fixed(keys)), "KeyRing(KeySet(2 keys))");
    }

    #[test]
    fn example_file_holds_keys() {
        let keys = KeySet::parse(include_bytes!("../../config/api_keys.example.txt")).expect("text");
        assert_eq!(keys.len(), 2);
    }
}
