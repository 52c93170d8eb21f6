//! `deploy/docker/`: its files, held against the tools that read them and against the code that they are for.
//!
//! The image is built and run by hand, because that takes minutes; `deploy/README.md` says how.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ksana::config::{Config, VARIABLES};
use ksana::job::GoDuration;
use ksana::limits::{HEALTHCHECK_SECS, LOG_FLUSH_MILLIS, SHUTDOWN_ATTEMPTS_SECS, SHUTDOWN_REQUESTS_SECS};

use crate::support::{deploy, has, run};

const COMPOSE: &str = include_str!("../../deploy/docker/compose.yaml");
const DOCKERFILE: &str = include_str!("../../deploy/docker/Dockerfile");
const DOCKERIGNORE: &str = include_str!("../../.dockerignore");

#[test]
fn the_compose_file_is_valid_and_a_misspelt_key_is_not() {
    let check = |file: &Path| command("check-jsonschema", &["--builtin-schema", "vendor.compose-spec"], file);
    if has(&["check-jsonschema"]) {
        run(&mut check(&file("compose.yaml")));
        let misspelt = changed("compose.yaml", "mem_limit:", "mem_limits:");
        assert!(refusal(&mut check(&misspelt)).contains("('mem_limits' was unexpected)"));
        fs::remove_file(misspelt).expect("it is ours");
    }
}

#[test]
fn the_dockerfile_passes_the_linter_and_a_base_without_a_tag_does_not() {
    let lint = |file: &Path| command("hadolint", &["--failure-threshold", "style"], file);
    if has(&["hadolint"]) {
        run(&mut lint(&file("Dockerfile")));
        let untagged = changed("Dockerfile", "FROM ${DEBIAN_IMAGE}", "FROM debian");
        assert!(refusal(&mut lint(&untagged)).contains("DL3006"));
        fs::remove_file(untagged).expect("it is ours");
    }
}

/// Nobody builds the image on every change, so a file that is moved must be missed here.
#[test]
fn the_context_is_what_the_dockerfile_copies() {
    let is_of_context = |words: &Vec<&str>| !words.iter().any(|word| word.starts_with("--from="));
    let copied: BTreeSet<&str> = instructions(DOCKERFILE, "COPY")
        .filter(is_of_context)
        .flat_map(|words| words[..words.len() - 1].to_vec())
        .collect();
    let sent: BTreeSet<&str> = DOCKERIGNORE.lines().filter_map(|line| line.strip_prefix('!')).collect();
    assert_eq!(copied, sent);
    assert!(DOCKERIGNORE.lines().any(|line| line == "*"), "everything else stays away");
    for name in sent {
        assert!(deploy().with_file_name(name).exists(), "there is no {name}");
    }
}

/// Cargo builds nothing of a manifest that names a target without a file.
#[test]
fn the_empty_sources_are_those_that_the_manifest_needs() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("empty-sources");
    fs::create_dir_all(&folder).expect("target/ takes folders");
    for name in ["Cargo.toml", "Cargo.lock"] {
        fs::copy(deploy().with_file_name(name), folder.join(name)).expect(name);
    }
    let (_, steps) = DOCKERFILE.split_once("\nCOPY Cargo.toml Cargo.lock ./\nRUN ").expect("the manifest comes first");
    let (steps, _) = steps.split_once(" && cargo build ").expect("then the dependencies are built");
    run(Command::new("sh").args(["-c", steps]).current_dir(&folder));
    // The one command that reads all targets as a build does and then does nothing.
    let fetch = ["fetch", "--locked", "--offline", "--target", "host-tuple"];
    run(Command::new(env!("CARGO")).args(fetch).current_dir(&folder));
    fs::remove_dir_all(&folder).expect("it is ours");
}

#[test]
fn the_image_is_of_this_version_and_built_by_the_oldest_compiler_that_may() {
    let default = |name: &str| {
        let mut arguments = instructions(DOCKERFILE, "ARG").filter_map(|words| words[0].split_once('='));
        arguments.find(|argument| argument.0 == name).expect(name).1
    };
    assert_eq!(default("VERSION"), env!("CARGO_PKG_VERSION"));
    assert!(default("RUST_IMAGE").starts_with(concat!("rust:", env!("CARGO_PKG_RUST_VERSION"), "-")));
}

#[test]
fn a_health_check_ends_before_it_is_ended() {
    let timeout = DOCKERFILE.lines().find_map(|line| line.strip_prefix("HEALTHCHECK ")?.split("--timeout=").nth(1));
    let timeout = timeout.and_then(|rest| rest.split(' ').next()).expect("it is set").parse::<GoDuration>();
    assert!(timeout.expect("it is a duration").to_std() > Duration::from_secs(HEALTHCHECK_SECS));
}

#[test]
fn what_the_image_and_compose_set_is_known_and_accepted() {
    for (name, value) in settings() {
        assert!(VARIABLES.iter().any(|variable| variable.name == name), "{name}={value}: there is no such variable");
    }
    let port = config().port.to_string();
    let exposed: Vec<Vec<&str>> = instructions(DOCKERFILE, "EXPOSE").collect();
    assert_eq!(exposed, [[&port]]);
    assert_eq!(items("ports"), [format!("\"127.0.0.1:{port}:{port}\"")]);
}

/// A mounted file stays the old one when it is replaced outside, and cannot be renamed over inside.
#[test]
fn compose_mounts_the_folders_of_the_jobs_and_of_the_keys() {
    let config = config();
    let keys_folder = config.keys_file.path.parent().expect("the key file lies in a folder");
    let mut targets = BTreeSet::new();
    for mount in items("volumes") {
        let [source, target, ..] = mount.split(':').collect::<Vec<_>>()[..] else { panic!("{mount}: no target") };
        assert!(!source.contains('/') || file(source).is_dir(), "{source} is no folder");
        targets.insert(Path::new(target));
    }
    assert_eq!(targets, BTreeSet::from([&*config.data_dir, keys_folder]));
}

#[test]
fn compose_waits_for_longer_than_a_stop_takes() {
    let grace = COMPOSE.lines().find_map(|line| line.trim().strip_prefix("stop_grace_period: ")).expect("it is set");
    let grace = grace.parse::<GoDuration>().expect("it is a duration").to_std();
    // Writing a million jobs took seven seconds.
    let save = Duration::from_secs(10) + Duration::from_millis(LOG_FLUSH_MILLIS);
    assert!(grace > Duration::from_secs(SHUTDOWN_ATTEMPTS_SECS + SHUTDOWN_REQUESTS_SECS) + save);
}

/// What the service is set to in a container of the compose file.
fn config() -> Config {
    let settings = settings();
    // Compose comes after the image, and wins.
    let set = |name: &str| settings.iter().rfind(|setting| setting.0 == name).map(|setting| setting.1.into());
    Config::from_vars(set).expect("the values are accepted")
}

/// Names and values that the image sets, then those that compose sets.
fn settings() -> Vec<(&'static str, &'static str)> {
    let (_, image) = DOCKERFILE.rsplit_once("\nFROM ").expect("it has stages");
    let of_image = instructions(image, "ENV").flatten().map(|word| word.split_once('=').expect(word));
    let of_compose = block("environment").map(|line| line.split_once(": ").expect(line));
    of_image.chain(of_compose).collect()
}

/// The words after each instruction of this name; those that are looked at here stand on one line.
fn instructions<'t>(text: &'t str, name: &'t str) -> impl Iterator<Item = Vec<&'t str>> {
    let rests = text.lines().filter_map(move |line| line.strip_prefix(name)?.strip_prefix(' '));
    rests.map(|rest| rest.split_whitespace().collect())
}

/// The lines below a key of the one service, without comments.
fn block(key: &'static str) -> impl Iterator<Item = &'static str> {
    let mut lines = COMPOSE.lines().skip_while(move |line| line.strip_prefix("    ") != Some(&format!("{key}:")));
    assert!(lines.next().is_some(), "there is no {key}");
    lines.take_while(|line| line.starts_with("      ")).map(str::trim).filter(|line| !line.starts_with('#'))
}

fn items(key: &'static str) -> Vec<&'static str> {
    block(key).map(|line| line.strip_prefix("- ").expect(line)).collect()
}

fn file(name: &str) -> PathBuf {
    deploy().join("docker").join(name)
}

/// A copy of a file with a mistake in it.
fn changed(name: &str, from: &str, to: &str) -> PathBuf {
    let text = fs::read_to_string(file(name)).expect(name);
    assert!(text.contains(from), "{name} has no {from}");
    let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("mistaken-{name}"));
    fs::write(&copy, text.replacen(from, to, 1)).expect("target/ takes files");
    copy
}

fn command(program: &str, arguments: &[&str], file: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg(file);
    command
}

/// What a command says that has to fail.
#[track_caller]
fn refusal(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "{command:?} has passed: {told}");
    told
}
