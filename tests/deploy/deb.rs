//! The Debian package of the binary that is tested, made as that of a release is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use crate::support::{has, run};

/// What a package is made with.
const TOOLS: [&str; 4] = ["cargo-deb", "strip", "dpkg-deb", "dpkg-shlibdeps"];

/// The package, and one of a later version.
pub(crate) struct Debs {
    pub(crate) first: PathBuf,
    pub(crate) later: PathBuf,
}

/// Both packages, made once; nothing, and a word about it, where the tools are missing.
pub(crate) fn debs() -> Option<&'static Debs> {
    static DEBS: LazyLock<Debs> = LazyLock::new(make);
    has(&TOOLS).then(|| &*DEBS)
}

fn make() -> Debs {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debs");
    // cargo-deb packages what lies in its target folder; in one of our own it waits for no build, and none for it.
    let target = folder.join("target");
    fs::create_dir_all(target.join("release")).expect("own folder");
    let mut strip = Command::new("strip");
    strip.args(["--strip-unneeded", "--remove-section=.comment", "-o"]).arg(target.join("release/ksana"));
    run(strip.arg(env!("CARGO_BIN_EXE_ksana")));
    let package = |name: &str, version: &[&str]| {
        let deb = folder.join(name);
        let mut cargo = Command::new("cargo");
        cargo.args(["deb", "--no-build", "--no-strip", "--fast", "--locked"]).args(version).arg("-o").arg(&deb);
        run(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).env("CARGO_TARGET_DIR", &target));
        deb
    };
    Debs {
        first: package("first.deb", &[]),
        later: package("later.deb", &["--deb-version", concat!(env!("CARGO_PKG_VERSION"), "-2")]),
    }
}
