//! Lists, a piece at a time.

use super::harness::World;
use crate::engine::{Filter, Kind};
use crate::job::Status;

fn world() -> World {
    let mut world = World::new(4);
    world.play(
        "0 create once=10 :c; create every=10s name=Beta :a; create every=10s paused name=alphabet :B; create once=99 :d;
         1 run-now :d; start :d; 2 ok :d",
    );
    world
}

fn listed(world: &World, after: Option<&str>, filter: &Filter, jobs_max: usize, scan_max: usize) -> String {
    let page = world.engine().page(after, filter, jobs_max, scan_max);
    let ids: Vec<_> = page.jobs.iter().map(|job| job.spec.id.as_str()).collect();
    format!("{} -> {}", ids.join(" "), page.next.map_or_else(|| "end".to_owned(), |next| next.to_string()))
}

#[test]
fn lists_are_ordered_by_id_bytewise_in_pieces() {
    let (world, all) = (world(), Filter::default());
    assert_eq!(listed(&world, None, &all, 9, 9), "B a c d -> end");
    assert_eq!(listed(&world, None, &all, 4, 9), "B a c d -> end");
    assert_eq!(listed(&world, None, &all, 2, 9), "B a -> a");
    assert_eq!(listed(&world, Some("a"), &all, 2, 9), "c d -> end");
    assert_eq!(listed(&world, None, &all, 9, 3), "B a c -> c");
}

#[test]
fn after_need_not_exist() {
    let (world, all) = (world(), Filter::default());
    assert_eq!(listed(&world, Some("b"), &all, 9, 9), "c d -> end");
    assert_eq!(listed(&world, Some("\u{7f}/ is no id"), &all, 9, 9), " -> end");
}

#[test]
fn filters() {
    let world = world();
    let check = |filter: Filter, expected: &str| assert_eq!(listed(&world, None, &filter, 9, 9), expected);
    check(Filter { name: Some("eta".into()), ..Filter::default() }, "a -> end");
    check(Filter { enabled: Some(false), ..Filter::default() }, "B -> end");
    check(Filter { status: Some(Status::Success), ..Filter::default() }, "d -> end");
    check(Filter { kind: Some(Kind::Once), ..Filter::default() }, "c d -> end");
    check(Filter { kind: Some(Kind::Every), enabled: Some(true), ..Filter::default() }, "a -> end");
    assert_eq!(listed(&world, None, &Filter { kind: Some(Kind::Once), ..Filter::default() }, 1, 9), "c -> c");
    assert_eq!(listed(&world, None, &Filter { kind: Some(Kind::Once), ..Filter::default() }, 1, 2), " -> a");
}
