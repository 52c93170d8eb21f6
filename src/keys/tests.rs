//! The watcher against real files, with the system's events and without them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::kubelet::write_volume;
use super::watch::start_with;
use super::*;
use crate::limits::KEY_FILE_BYTES_MAX;

const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of its own, gone at the end.
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let path = std::env::temp_dir().join(format!("ksana-keys-{}", Uuid::new_v4().simple()));
        fs::create_dir(&path).expect("a new folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn await_that(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "still not: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn write(path: impl AsRef<Path>, text: impl AsRef<[u8]>) {
    fs::write(path, text).expect("a file");
}

fn replace(path: &Path, text: &str) {
    let temporary = path.with_extension("tmp");
    write(&temporary, text);
    fs::rename(temporary, path).expect("same folder");
}

/// Each step changes the key at `config/keys`, below a folder of its own, to the one it is given.
/// Every step is made three times: some ways of watching see the first one only.
fn check(rotate: impl Fn(&Path, &str)) {
    for use_events in [true, false] {
        let folder = Folder::new();
        let path = folder.0.join("config/keys");
        fs::create_dir(folder.0.join("config")).expect("a new folder");
        rotate(&path, "key-0");
        let (ring, watcher) = start_with(&path, use_events).expect("a thread");
        assert!(ring.admits(b"key-0"), "the start has looked");
        for step in 1..4 {
            let (old, new) = (format!("key-{}", step - 1), format!("key-{step}"));
            rotate(&path, &new);
            await_that(&new, || ring.admits(new.as_bytes()));
            await_that(&format!("{old} is refused"), || !ring.admits(old.as_bytes()));
            assert_eq!(ring.warning(), None);
        }
        assert!(watcher.is_running());
        assert!(watcher.stop(PATIENCE));
    }
}

#[test]
fn written_in_place() {
    check(|path, key| write(path, key));
}

#[test]
fn renamed_over() {
    check(replace);
}

#[test]
fn deleted_and_made_again() {
    check(|path, key| {
        let _ = fs::remove_file(path);
        write(path, key);
    });
}

#[test]
fn folder_deleted_and_made_again() {
    check(|path, key| {
        let folder = path.parent().expect("a folder");
        fs::remove_dir_all(folder).expect("own folder");
        fs::create_dir(folder).expect("a new folder");
        write(path, key);
    });
}

#[test]
fn folder_replaced_by_another() {
    check(|path, key| {
        let folder = path.parent().expect("a folder");
        let (new, old) = (folder.with_file_name("new"), folder.with_file_name("old"));
        fs::create_dir(&new).expect("a new folder");
        write(new.join("keys"), key);
        fs::rename(folder, &old).expect("same parent");
        fs::rename(&new, folder).expect("same parent");
        fs::remove_dir_all(old).expect("own folder");
    });
}

#[test]
fn kubernetes_volume_swapped() {
    check(|path, key| write_volume(path.parent().expect("a folder"), &[("keys", key)]));
}

#[test]
fn target_of_a_link_written() {
    check(|path, key| {
        let target = path.parent().and_then(Path::parent).expect("a folder").join("elsewhere");
        write(&target, key);
        let _ = symlink(&target, path);
    });
}

#[test]
fn appended_key_counts_and_the_first_stays() {
    let folder = Folder::new();
    let path = folder.0.join("keys");
    write(&path, "alpha\n");
    let (ring, _watcher) = start(&path).expect("a thread");
    OpenOptions::new().append(true).open(&path).and_then(|mut file| file.write_all(b"beta\n")).expect("a file");
    await_that("beta", || ring.admits(b"beta"));
    assert!(ring.admits(b"alpha"));
}

#[test]
fn key_that_stays_is_never_refused_while_files_are_swapped() {
    let folder = Folder::new();
    let path = folder.0.join("keys");
    for swap in [replace, |path: &Path, text: &str| write_volume(path.parent().unwrap(), &[("keys", text)])] {
        let _ = fs::remove_file(&path);
        swap(&path, "steady\nkey-0\n");
        let (ring, watcher) = start(&path).expect("a thread");
        for step in 1..10 {
            let key = format!("key-{step}");
            swap(&path, &format!("steady\n{key}\n"));
            await_that(&key, || {
                assert!(ring.admits(b"steady"));
                ring.admits(key.as_bytes())
            });
        }
        assert!(watcher.stop(PATIENCE));
    }
}

#[test]
fn deleting_and_emptying_revoke_and_a_new_file_counts() {
    for use_events in [true, false] {
        let folder = Folder::new();
        let path = folder.0.join("config/keys");
        let (ring, watcher) = start_with(&path, use_events).expect("a thread, though not even the folder is there");
        assert!(!ring.admits(b"alpha") && !ring.admits(b""));
        fs::create_dir(folder.0.join("config")).expect("a new folder");
        write(&path, "alpha\n");
        await_that("alpha", || ring.admits(b"alpha"));
        fs::remove_file(&path).expect("own file");
        await_that("deleting revokes", || !ring.admits(b"alpha"));
        write(&path, "alpha\n");
        await_that("alpha again", || ring.admits(b"alpha"));
        write(&path, "# nothing\n");
        await_that("emptying revokes", || !ring.admits(b"alpha"));
        write(&path, "alpha\n");
        await_that("alpha once more", || ring.admits(b"alpha"));
        fs::remove_dir_all(folder.0.join("config")).expect("own folder");
        await_that("deleting the folder revokes", || !ring.admits(b"alpha"));
        assert_eq!(ring.warning(), None);
        assert!(watcher.stop(PATIENCE));
    }
}

#[test]
fn unusable_file_keeps_the_keys_and_warns_until_it_is_mended() {
    let folder = Folder::new();
    let path = folder.0.join("keys");
    write(&path, "alpha\n");
    let (ring, _watcher) = start(&path).expect("a thread");
    let check = |reason: &str| {
        await_that(reason, || ring.warning().is_some_and(|warning| warning.contains(reason)));
        assert!(ring.admits(b"alpha"));
        assert!(!ring.warning().expect(reason).contains("ksana-keys-"), "no path for strangers");
    };
    write(&path, b"beta\n\xff\n");
    check("not UTF-8");
    write(&path, vec![b'\n'; usize::try_from(KEY_FILE_BYTES_MAX).expect("small") + 1]);
    check("larger than 1048576 bytes");
    // A name that leads to itself can be seen and not read, by root neither.
    let link = folder.0.join("link");
    symlink("keys", &link).expect("a new link");
    fs::rename(&link, &path).expect("same folder");
    check("symbolic links");
    let made = std::process::Command::new("mkfifo").arg(&link).status().expect("mkfifo");
    assert!(made.success());
    fs::rename(&link, &path).expect("same folder");
    check("not a regular file");
    replace(&path, "alpha\n");
    await_that("mended", || ring.warning().is_none());
    assert!(ring.admits(b"alpha"));
}

#[test]
fn first_start_makes_a_file_that_only_the_owner_reads() {
    let folder = Folder::new();
    let path = folder.0.join("config/api_keys.txt");
    ensure_default(&path);
    let text = fs::read_to_string(&path).expect("a file");
    let [comment, key] = text.lines().collect::<Vec<_>>()[..] else { panic!("two lines") };
    assert!(comment.starts_with("# "));
    assert!(key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    let (ring, _watcher) = start(&path).expect("a thread");
    assert!(ring.admits(key.as_bytes()));
    ensure_default(&path);
    assert_eq!(fs::read_to_string(&path).expect("a file"), text, "a second start leaves it");
}

#[test]
fn first_start_goes_on_where_no_file_can_be_made() {
    let folder = Folder::new();
    let blocked = folder.0.join("file");
    write(&blocked, "");
    ensure_default(&blocked.join("api_keys.txt"));
    assert_eq!(fs::read_to_string(&blocked).expect("a file"), "");
}
