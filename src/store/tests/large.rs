//! A `jobs.json` that is read in pieces is taken, refused and told like any other.

use super::world::World;
use crate::limits::SNAPSHOT_PIECE_BYTES;

const JOBS: &str = "jobs.json";

/// A line of the file.
fn job(number: usize) -> String {
    format!(
        r#"{{"id": "{number:06}", "name": "n", "http": {{"url": "http://a/"}}, "schedule": {{"kind": "every", "every": "1h"}}}}"#
    )
}

/// Enough jobs for some pieces.
fn count() -> usize {
    3 * SNAPSHOT_PIECE_BYTES / job(0).len()
}

/// A file with a job a line, from line 2 on.
fn file(key: &str, jobs: impl IntoIterator<Item = String>) -> String {
    let jobs: Vec<_> = jobs.into_iter().collect();
    format!("{{\"{key}\": [\n{}]}}\n", jobs.join(",\n"))
}

fn all() -> impl Iterator<Item = String> {
    (0..count()).map(job)
}

#[test]
fn all_jobs_of_all_pieces_are_there_and_edits_are_told() {
    let world = World::new();
    world.write(JOBS, file("jobs", all()));
    let mut up = world.open();
    assert!(up.jobs().iter().map(|job| job.spec.id.to_string()).eq((0..count()).map(|number| format!("{number:06}"))));
    up.synced_turn(&[super::world::put("x", "1")]);
    up.kill();
    assert_eq!(world.open().engine.len(), count() + 1, "the journal stands on what was read in pieces");
    world.write(JOBS, file("jobs", all().skip(1)));
    assert!(world.refused().contains("was changed"));
}

#[test]
fn what_cannot_be_taken_is_told_by_line_and_column() {
    let last = count() + 1;
    let broken = |number| if number + 1 == count() { job(number).replace("name", "nmae") } else { job(number) };
    for (text, what) in [
        (
            file("jobs", all().chain([job(7)])),
            ["the id 000007 stands twice".to_owned(), format!("line {} column ", last + 1)],
        ),
        (file("jobs", (0..count()).map(broken)), ["nmae".to_owned(), format!("line {last} column ")]),
        (file("jobs", all()).replacen("}}", "}", 1), ["string".to_owned(), "line 3 column ".to_owned()]),
        (file("jobs", all()) + "{}", ["trailing".to_owned(), format!("line {} column 1", last + 1)]),
    ] {
        let world = World::new();
        world.write(JOBS, text);
        let told = world.refused();
        assert!(what.iter().all(|part| told.contains(part)), "{told}");
    }
}

#[test]
fn a_good_file_that_pieces_do_not_fit_is_read_whole() {
    let world = World::new();
    world.write(JOBS, file("\\u006aobs", all()));
    assert_eq!(world.open().engine.len(), count());
}
