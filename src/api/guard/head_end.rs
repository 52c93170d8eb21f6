//! Where a request's head ends.

/// Finds the empty line that ends a head, however the bytes are cut up.
#[derive(Debug, Default)]
pub(super) struct HeadEnd {
    /// The library passes over empty lines before a request; they end no head.
    begun: bool,
    /// How many of CR LF CR LF have come in a row.
    seen: u8,
}

impl HeadEnd {
    pub(super) fn is_in(&mut self, bytes: &[u8]) -> bool {
        bytes.iter().any(|&byte| {
            self.begun |= !matches!(byte, b'\r' | b'\n');
            self.seen = match (byte, self.seen) {
                (b'\r', 0 | 2) | (b'\n', 1 | 3) if self.begun => self.seen + 1,
                (b'\r', _) if self.begun => 1,
                _ => 0,
            };
            self.seen == 4
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_found_however_the_bytes_are_cut() {
        let head = b"\r\n\r\nGET / HTTP/1.1\r\nA: \n\r\n\nB: \r\r\n\r\n";
        for cut in 0..head.len() {
            let mut end = HeadEnd::default();
            assert!(!end.is_in(&head[..cut]), "{cut}");
            assert!(end.is_in(&head[cut..]), "{cut}");
        }
        let mut end = HeadEnd::default();
        let found: Vec<_> = head.iter().map(|byte| end.is_in(&[*byte])).collect();
        assert_eq!(found.iter().position(|found| *found), Some(head.len() - 1));
    }
}
