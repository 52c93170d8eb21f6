//! What Kubernetes' node agent does to a volume of a Secret, call for call: tests rotate keys with it.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use uuid::Uuid;

/// Makes `folder` hold exactly these files (name, content), by a swap of its `..data` link.
pub(super) fn write_volume(folder: &Path, files: &[(&str, &str)]) {
    let data = folder.join("..data");
    let old = fs::read_link(&data).ok().map(|name| folder.join(name));
    if old.as_ref().is_some_and(|old| holds(old, files)) {
        return;
    }
    let name = format!("..2026_11_22_17_00_00.{}", Uuid::new_v4().simple());
    let new = folder.join(&name);
    fs::create_dir(&new).expect("a new folder");
    fs::set_permissions(&new, Permissions::from_mode(0o755)).expect("own folder");
    for (file, content) in files {
        let path = new.join(file);
        let mut open =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o440).open(&path).expect("a new file");
        open.write_all(content.as_bytes()).expect("space");
        fs::set_permissions(&path, Permissions::from_mode(0o440)).expect("own file");
    }
    let temporary = folder.join("..data_tmp");
    symlink(&name, &temporary).expect("a new link");
    fs::rename(&temporary, &data).expect("same folder");
    for (file, _) in files {
        let link = folder.join(file);
        if link.symlink_metadata().is_err() {
            symlink(Path::new("..data").join(file), &link).expect("a new link");
        }
    }
    for entry in fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("readable")) {
        let name = entry.file_name().into_string().expect("UTF-8");
        if !name.starts_with("..") && files.iter().all(|(file, _)| *file != name) {
            fs::remove_file(entry.path()).expect("own link");
        }
    }
    if let Some(old) = old {
        fs::remove_dir_all(old).expect("own folder");
    }
}

fn holds(folder: &Path, files: &[(&str, &str)]) -> bool {
    fs::read_dir(folder).is_ok_and(|entries| entries.count() == files.len())
        && files.iter().all(|(file, content)| fs::read_to_string(folder.join(file)).is_ok_and(|held| held == *content))
}
