//! The key that the very first start makes, so that a new installation is closed and yet usable.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use tracing::{info, warn};
use uuid::Uuid;

/// Makes the key file with one random key where there is none. To be called only for the default
/// file: whoever names a file of his own wants no other keys than his. Where it cannot be made, the
/// service starts without keys, as it does without a file anywhere else.
pub fn ensure_default(path: &Path) {
    // People look for it later, from another folder.
    let shown = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let shown = shown.display();
    match make(path) {
        Ok(()) => info!(path = %shown, "made a key file with one random key"),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => warn!(path = %shown, %error, "cannot make a key file"),
    }
}

fn make(path: &Path) -> io::Result<()> {
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        fs::create_dir_all(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let key = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    let text = format!("# API keys, one a line. Made at the first start; replace it, or add your own.\n{key}\n");
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key must not become one. The reason is in `written`.
        let _ = fs::remove_file(path);
    }
    written
}
