//! Kept: key file, as Kubernetes' volumes and Docker's mounts change it.

use std::fs;

use crate::support::{Builder, KEY, Ksana, SecretVolume, eventually};

/// Nobody in a pod is root, so permissions count.
fn start(builder: Builder, volume: &SecretVolume) -> Ksana {
    builder.run_by_nobody().env("AUTH_KEYS_FILE", volume.file().display().to_string()).start()
}

fn status(ksana: &Ksana, key: &str) -> u16 {
    ksana.bare("GET", "/jobs").header("X-API-Key", key).send().status
}

fn becomes(ksana: &Ksana, key: &str, expected: u16) {
    eventually(&format!("the key {key:?} to give {expected}"), || (status(ksana, key) == expected).then_some(()));
}

#[test]
fn the_data_link_of_a_volume_swapped_twice() {
    let builder = Builder::new();
    let volume = SecretVolume::new(builder.path("secret"));
    volume.publish("first\n");
    let ksana = start(builder, &volume);
    assert_eq!(status(&ksana, "first"), 200);
    for (old, new) in [("first", "second"), ("second", "third"), ("third", "fourth")] {
        volume.publish(&format!("{new}\n"));
        becomes(&ksana, new, 200);
        assert_eq!(status(&ksana, old), 403);
    }
}

#[test]
fn a_swap_to_a_volume_without_a_key_revokes() {
    let builder = Builder::new();
    let volume = SecretVolume::new(builder.path("secret"));
    volume.publish("first\n");
    let ksana = start(builder, &volume);
    volume.publish("# revoked\n");
    becomes(&ksana, "first", 403);
    volume.publish("second\n");
    becomes(&ksana, "second", 200);
}

#[test]
fn a_secret_that_loses_the_name_revokes_until_it_has_it_again() {
    let builder = Builder::new();
    let volume = SecretVolume::new(builder.path("secret"));
    volume.publish("first\n");
    let ksana = start(builder, &volume);
    for (old, new) in [("first", "second"), ("second", "third")] {
        volume.publish_nothing();
        assert!(!volume.file().is_symlink(), "the name is gone, not only what it leads to");
        becomes(&ksana, old, 403);
        volume.publish(&format!("{new}\n"));
        becomes(&ksana, new, 200);
    }
}

#[test]
fn permissions_that_come_after_the_swap_keep_the_last_good_keys() {
    let builder = Builder::new();
    let volume = SecretVolume::new(builder.path("secret"));
    volume.publish(&format!("{KEY}\n"));
    let ksana = start(builder, &volume);
    for round in 0..2 {
        let (mark, key) = (ksana.log.mark(), format!("late-{round}"));
        let last_good = if round == 0 { KEY.to_owned() } else { format!("late-{}", round - 1) };
        volume.publish_unreadable(&key);
        eventually("an error that names the file", || {
            ksana.log.since(mark).into_iter().find(|line| line.level() == "error" && line.has(&["api_keys.txt"]))
        });
        assert_eq!(status(&ksana, &last_good), 200, "an unreadable file revokes nothing");
        volume.permit();
        becomes(&ksana, &key, 200);
        assert_eq!(status(&ksana, &last_good), 403);
    }
}

#[test]
fn the_volume_emptied_and_filled_again() {
    let builder = Builder::new();
    let folder = builder.path("secret");
    let volume = SecretVolume::new(folder.clone());
    volume.publish("first\n");
    let ksana = start(builder, &volume);
    fs::remove_dir_all(&folder).expect("own folder");
    becomes(&ksana, "first", 403);
    SecretVolume::new(folder).publish("second\n");
    becomes(&ksana, "second", 200);
}

#[test]
fn a_docker_bind_mount_of_the_folder() {
    let builder = Builder::new().file("host/api_keys.txt", "first\n");
    let (host, inside) = (builder.path("host"), builder.path("config"));
    let mount = format!("mount --bind '{}' '{}'", host.display(), inside.display());
    let Some(builder) = builder.with_a_mount(&mount) else { return };
    let ksana = builder.start();
    assert_eq!(status(&ksana, "first"), 200);
    assert!(ksana.log.find("warn", &["mount point"]).is_empty(), "a folder is as it should be");
    for round in 0..2 {
        let (placed, renamed) = (format!("in-place-{round}"), format!("renamed-{round}"));
        fs::write(host.join("api_keys.txt"), &placed).expect("own folder");
        becomes(&ksana, &placed, 200);
        fs::write(host.join("fresh"), &renamed).expect("own folder");
        fs::rename(host.join("fresh"), host.join("api_keys.txt")).expect("own folder");
        becomes(&ksana, &renamed, 200);
        assert_eq!(status(&ksana, &placed), 403);
    }
    fs::remove_file(host.join("api_keys.txt")).expect("it is there");
    becomes(&ksana, "renamed-1", 403);
}

#[test]
fn a_mount_of_the_file_alone_is_warned_of_at_the_start() {
    let builder = Builder::new().file("host.txt", "first\n");
    let (host, inside) = (builder.path("host.txt"), builder.path("config/api_keys.txt"));
    let mount = format!("mount --bind '{}' '{}'", host.display(), inside.display());
    let Some(builder) = builder.with_a_mount(&mount) else { return };
    let ksana = builder.start();
    assert_eq!(status(&ksana, "first"), 200);
    let lines = ksana.log.find("warn", &["mount point", "api_keys.txt", "folder"]);
    assert_eq!(lines.len(), 1, "{}", ksana.log.text());
}
