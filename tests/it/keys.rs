//! Kept: key file.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::{Builder, Connection, KEY, Ksana, eventually, hourly};

/// The contract says one second after the change (and half a second more for what revokes); a loaded
/// machine gets the rest.
const TAKES_EFFECT_WITHIN: Duration = Duration::from_secs(5);

fn status(ksana: &Ksana, key: &str) -> u16 {
    ksana.bare("GET", "/jobs").header("X-API-Key", key).send().status
}

/// Waits until `key` is answered with `expected`, and holds the daemon to its promise of speed.
#[track_caller]
fn becomes(ksana: &Ksana, key: &str, expected: u16) {
    let begun = Instant::now();
    eventually(&format!("the key {key:?} to give {expected}"), || (status(ksana, key) == expected).then_some(()));
    assert!(begun.elapsed() < TAKES_EFFECT_WITHIN, "it took {:?}", begun.elapsed());
}

/// Writes a new file and renames it over the key file, as editors do.
fn rename_over(ksana: &Ksana, content: &str) {
    let fresh = ksana.path("config/fresh");
    fs::write(&fresh, content).expect("own folder");
    fs::rename(fresh, ksana.key_file()).expect("own folder");
}

fn write(ksana: &Ksana, content: impl AsRef<[u8]>) {
    fs::write(ksana.key_file(), content).expect("own folder");
}

#[test]
fn lines_are_trimmed_and_comments_and_empty_lines_passed_over() {
    let text = "# a comment\r\n\r\n  first  \r\n\t# another\n\nsecond\n   \nthird";
    let ksana = Builder::new().file("config/api_keys.txt", text).start();
    for key in ["first", "second", "third"] {
        assert_eq!(status(&ksana, key), 200, "{key}");
    }
    for key in ["# a comment", "# another", "a comment", "firs", "first2", "FIRST"] {
        assert_eq!(status(&ksana, key), 403, "{key}");
    }
}

#[test]
fn written_in_place() {
    let ksana = Ksana::start();
    write(&ksana, "second\n");
    becomes(&ksana, "second", 200);
    assert_eq!(status(&ksana, KEY), 403);
    write(&ksana, "third\n");
    becomes(&ksana, "third", 200);
    assert_eq!(status(&ksana, "second"), 403);
}

#[test]
fn appended_to() {
    let ksana = Ksana::start();
    let mut file = OpenOptions::new().append(true).open(ksana.key_file()).expect("it is there");
    file.write_all(b"second\n").expect("it takes more");
    becomes(&ksana, "second", 200);
    assert_eq!(status(&ksana, KEY), 200);
}

#[test]
fn rewritten_with_a_text_of_the_same_length() {
    let ksana = Builder::new().file("config/api_keys.txt", "key-a\n").start();
    write(&ksana, "key-b\n");
    becomes(&ksana, "key-b", 200);
    assert_eq!(status(&ksana, "key-a"), 403);
}

#[test]
fn renamed_over_again_and_again() {
    let ksana = Ksana::start();
    for round in 0..3 {
        let key = format!("renamed-{round}");
        rename_over(&ksana, &key);
        becomes(&ksana, &key, 200);
    }
    assert_eq!(status(&ksana, "renamed-1"), 403);
    write(&ksana, "in-place-after-renames");
    becomes(&ksana, "in-place-after-renames", 200);
}

#[test]
fn deleting_revokes_and_making_again_admits() {
    let ksana = Ksana::start();
    fs::remove_file(ksana.key_file()).expect("it is there");
    becomes(&ksana, KEY, 403);
    ksana.log.wait_for("warn", &["api_keys.txt"]);
    write(&ksana, "second\n");
    becomes(&ksana, "second", 200);
    assert_eq!(status(&ksana, KEY), 403);
    fs::remove_file(ksana.key_file()).expect("it is there");
    becomes(&ksana, "second", 403);
}

#[test]
fn the_folder_deleted_and_made_again() {
    let ksana = Ksana::start();
    for round in 0..2 {
        fs::remove_dir_all(ksana.path("config")).expect("own folder");
        becomes(&ksana, KEY, 403);
        fs::create_dir(ksana.path("config")).expect("own folder");
        let key = format!("again-{round}");
        write(&ksana, &key);
        becomes(&ksana, &key, 200);
        write(&ksana, KEY);
        becomes(&ksana, KEY, 200);
    }
}

#[test]
fn the_folder_moved_away_and_another_moved_in() {
    let ksana = Ksana::start();
    let (fresh, away) = (ksana.path("fresh"), ksana.path("away"));
    fs::create_dir(&fresh).expect("own folder");
    fs::write(fresh.join("api_keys.txt"), "second\n").expect("own folder");
    fs::rename(ksana.path("config"), away).expect("own folder");
    fs::rename(fresh, ksana.path("config")).expect("own folder");
    becomes(&ksana, "second", 200);
    assert_eq!(status(&ksana, KEY), 403);
    write(&ksana, "third\n");
    becomes(&ksana, "third", 200);
}

#[test]
fn the_file_as_a_link_that_is_turned_to_another_file() {
    let builder = Builder::new().without_key_file().file("one/keys", "one").file("two/keys", "two");
    symlink("../one/keys", builder.path("config/api_keys.txt")).expect("own folder");
    let ksana = builder.start();
    assert_eq!(status(&ksana, "one"), 200);
    symlink("../two/keys", ksana.path("config/fresh")).expect("own folder");
    fs::rename(ksana.path("config/fresh"), ksana.key_file()).expect("own folder");
    becomes(&ksana, "two", 200);
    assert_eq!(status(&ksana, "one"), 403);
    fs::write(ksana.path("two/keys"), "changed behind the link").expect("own folder");
    becomes(&ksana, "changed behind the link", 200);
}

#[test]
fn absent_at_the_start_refuses_every_key_until_the_file_appears() {
    let ksana = Builder::new().without_key_file().start();
    assert_eq!(status(&ksana, KEY), 403);
    ksana.bare("GET", "/jobs").send().expect(401);
    assert!(!ksana.key_file().exists(), "only the default file is made");
    ksana.log.wait_for("warn", &["api_keys.txt"]);
    write(&ksana, KEY);
    becomes(&ksana, KEY, 200);
}

#[test]
fn absent_with_its_folder_at_the_start() {
    let builder = Builder::new();
    let file = builder.path("later/deep/keys").display().to_string();
    let ksana = builder.env("AUTH_KEYS_FILE", &file).start();
    assert_eq!(status(&ksana, KEY), 403);
    fs::create_dir_all(ksana.path("later/deep")).expect("own folder");
    fs::write(file, KEY).expect("own folder");
    becomes(&ksana, KEY, 200);
}

#[test]
fn a_momentarily_empty_file_does_not_revoke() {
    let ksana = Ksana::start();
    for _ in 0..10 {
        write(&ksana, "");
        assert_eq!(status(&ksana, KEY), 200);
        write(&ksana, KEY);
        assert_eq!(status(&ksana, KEY), 200);
    }
}

#[test]
fn a_file_without_a_key_revokes() {
    for empty in ["", "\n\n", "# only a comment\n"] {
        let ksana = Ksana::start();
        write(&ksana, empty);
        becomes(&ksana, KEY, 403);
        ksana.log.wait_for("warn", &["api_keys.txt"]);
    }
}

#[test]
fn a_file_that_is_not_utf_8_keeps_the_last_good_keys() {
    let ksana = Ksana::start();
    write(&ksana, b"second\n\xff\xfe\n");
    ksana.log.wait_for("error", &["api_keys.txt"]);
    assert_eq!(status(&ksana, KEY), 200);
    assert_eq!(status(&ksana, "second"), 403);
    let ready = ksana.bare("GET", "/ready").send().expect(200).text();
    assert!(ready.contains("api_keys.txt") || ready.contains("key file"), "{ready}");
    write(&ksana, "third\n");
    becomes(&ksana, "third", 200);
    assert_eq!(status(&ksana, KEY), 403);
}

#[test]
fn requests_in_flight_are_not_disturbed() {
    let ksana = Ksana::start();
    let request = ksana.call("POST", "/jobs").json(&hourly("http://127.0.0.1:9/")).bytes();
    let (first, rest) = request.split_at(request.len() - 10);
    let mut connection = Connection::open(ksana.port).expect("it listens");
    connection.send(first).expect("it reads");
    // What comes behind on another connection is answered, so the half request has been seen too.
    assert_eq!(status(&ksana, KEY), 200);
    write(&ksana, "second\n");
    becomes(&ksana, KEY, 403);
    connection.send(rest).expect("it reads");
    connection.response("POST").expect("a whole answer").expect("an answer").expect(201);
}

#[test]
fn the_first_start_makes_the_default_file_with_one_random_key() {
    let builder = Builder::new().without_key_file().unset("AUTH_KEYS_FILE");
    fs::remove_dir(builder.path("config")).expect("it is empty");
    let mut ksana = builder.start();
    let file = ksana.key_file();
    let mode = fs::metadata(&file).expect("it is made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&file).expect("it is UTF-8");
    let keys: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let [key] = keys[..] else { panic!("one key, not {}", keys.len()) };
    assert!(key.len() >= 20, "nobody guesses it");
    assert_eq!(status(&ksana, key), 200);
    ksana.restart();
    assert_eq!(fs::read_to_string(&file).expect("it is UTF-8"), text, "only the first start makes it");
    assert_eq!(status(&ksana, key), 200);
    assert!(!ksana.log.text().contains(key), "a key is never logged");

    let other = Builder::new().without_key_file().env("AUTH_KEYS_FILE", "").start();
    assert_ne!(fs::read_to_string(other.key_file()).expect("an empty variable is an unset one"), text);
}

#[test]
fn the_default_file_is_used_where_it_is() {
    let ksana = Builder::new().unset("AUTH_KEYS_FILE").start();
    assert_eq!(status(&ksana, KEY), 200);
    assert_eq!(fs::read_to_string(ksana.key_file()).expect("it is there"), format!("{KEY}\n"));
}

#[test]
fn unreadable_keeps_the_last_good_keys_and_shows_in_ready() {
    let ksana = Builder::new().run_by_nobody().start();
    let mode = |mode| fs::set_permissions(ksana.key_file(), Permissions::from_mode(mode)).expect("own file");
    mode(0o000);
    ksana.log.wait_for("error", &["api_keys.txt"]);
    assert_eq!(status(&ksana, KEY), 200);
    let ready = ksana.bare("GET", "/ready").send().expect(200).json();
    assert_ne!(ready["warnings"], json!(null), "{ready}");
    assert_ne!(ready["warnings"], json!([]), "{ready}");
    rename_over(&ksana, "second\n");
    becomes(&ksana, "second", 200);
    eventually("the warning to go", || {
        let ready = ksana.bare("GET", "/ready").send().expect(200).json();
        (ready["warnings"] == json!([]) || ready["warnings"] == json!(null)).then_some(())
    });
}
