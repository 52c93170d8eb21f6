//! New: `GET /jobs` filtered and by the page.

use serde_json::{Value, json};

use crate::support::{Builder, Ksana, Receiver, Response, hourly, once, with};

const TARGET: &str = "http://127.0.0.1:9/";

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().filter_map(|job| job["id"].as_str()).collect()
}

#[track_caller]
fn check(ksana: &Ksana, query: &str, expected: &[&str]) {
    let list = ksana.get(&format!("/jobs?{query}")).expect(200).json();
    assert_eq!(ids(&list), expected, "{query}");
}

/// The target of the link to what follows.
fn next(answer: &Response) -> Option<String> {
    let link = answer.header("link")?;
    let (target, relation) = link.strip_prefix('<')?.split_once('>')?;
    assert_eq!(relation.trim_start_matches(';').trim(), "rel=\"next\"");
    let path = target.find("/jobs").expect("it leads to the list");
    Some(target[path..].to_owned())
}

/// What goes out without a length is written piece by piece, so that a slow reader of large jobs does
/// not hold up the whole list as text.
#[test]
fn large_jobs_are_never_one_text() {
    let ksana = Ksana::start();
    for id in ["a", "b", "c"] {
        let http = json!({"url": TARGET, "body": "x".repeat(100 * 1024)});
        ksana.create(&with(hourly(TARGET), &json!({"id": id, "http": http})));
    }
    for (query, expected) in [("", &["a", "b", "c"][..]), ("?limit=2", &["a", "b"]), ("?after=c&limit=1", &[])] {
        let answer = ksana.get(&format!("/jobs{query}")).expect(200);
        assert_eq!(answer.header("content-length").is_none(), !expected.is_empty(), "{query}");
        assert_eq!(next(&answer).is_some(), query == "?limit=2", "{query}");
        assert_eq!(ids(&answer.json()), expected, "{query}");
    }
}

#[test]
fn filters_choose_and_add_up() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    for (id, name, enabled) in [("a", "nightly Backup", true), ("b", "hourly backup", false), ("c", "ping & co", true)]
    {
        ksana.create(&with(hourly(&receiver.url("/")), &json!({"id": id, "name": name, "enabled": enabled})));
    }
    ksana
        .create(&with(once(TARGET, "2099-01-01T00:00:00Z".parse().expect("a time")), &json!({"id": "d", "name": "d"})));
    ksana.run_now("c");
    ksana.await_status("c", "success");
    check(&ksana, "enabled=true", &["a", "c", "d"]);
    check(&ksana, "enabled=false", &["b"]);
    check(&ksana, "kind=once", &["d"]);
    check(&ksana, "kind=every", &["a", "b", "c"]);
    check(&ksana, "status=success", &["c"]);
    check(&ksana, "status=failed", &[]);
    check(&ksana, "name=hourly", &["b"]);
    check(&ksana, "name=ackup", &["a", "b"]);
    check(&ksana, "name=ping%20%26%20co", &["c"]);
    check(&ksana, "name=ping+%26+co", &["c"]);
    check(&ksana, "name=nowhere", &[]);
    check(&ksana, "kind=every&enabled=true&name=ackup", &["a"]);
    check(&ksana, "after=b", &["c", "d"]);
    check(&ksana, "after=bb", &["c", "d"]);
    check(&ksana, "after=d", &[]);
    check(&ksana, "limit=2", &["a", "b"]);
    check(&ksana, "limit=2&after=a", &["b", "c"]);
    check(&ksana, "limit=1&kind=every&after=a", &["b"]);
    check(&ksana, "limit=1000", &["a", "b", "c", "d"]);
}

#[test]
fn a_wrong_filter_is_400_and_says_what_is_accepted() {
    let ksana = Ksana::start();
    for query in ["limit=0", "limit=1001", "limit=-1", "limit=x", "enabled=maybe", "kind=hourly", "status=great"] {
        let error = ksana.get(&format!("/jobs?{query}")).refusal(400);
        let (name, _) = query.split_once('=').expect("it has a value");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(name)), "{error}");
    }
}

#[test]
fn with_a_limit_a_link_leads_to_the_next_page() {
    let ksana = Ksana::start();
    let all: Vec<String> = (0..25).map(|number| format!("job-{number:02}")).collect();
    for (number, id) in all.iter().enumerate() {
        ksana.create(&with(hourly(TARGET), &json!({"id": id, "name": "a b&c", "enabled": number % 5 != 0})));
    }
    let walk = |first: &str| -> (Vec<String>, usize) {
        let (mut seen, mut pages, mut target) = (Vec::new(), 0, Some(first.to_owned()));
        while let Some(page) = target {
            let answer = ksana.get(&page).expect(200);
            seen.extend(ids(&answer.json()).into_iter().map(str::to_owned));
            pages += 1;
            target = next(&answer);
        }
        (seen, pages)
    };
    assert_eq!(walk("/jobs?limit=10"), (all.clone(), 3));
    assert_eq!(walk("/jobs?limit=25"), (all.clone(), 1), "no link where nothing follows");
    assert_eq!(walk("/jobs"), (all.clone(), 1));
    let (disabled, _) = walk("/jobs?enabled=false&name=a%20b%26c&limit=2");
    assert_eq!(disabled, ["job-00", "job-05", "job-10", "job-15", "job-20"], "the link keeps the filter");
}

#[test]
fn an_after_need_not_exist() {
    let ksana = Ksana::start();
    for id in ["a", "b", "c"] {
        ksana.create(&with(hourly(TARGET), &json!({"id": id})));
    }
    ksana.delete("b").expect(204);
    check(&ksana, "after=b", &["c"]);
    check(&ksana, "after=b&limit=1", &["c"]);
    check(&ksana, "after=zzz", &[]);
}

#[test]
fn a_long_list_is_whole_and_in_order() {
    let job = |number: usize| json!({"id": format!("{number:05}"), "name": "n", "http": {"url": TARGET}, "schedule": {"kind": "every", "every": "1h"}});
    let jobs: Vec<Value> = (0..5000).rev().map(job).collect();
    let ksana = Builder::new().jobs_json(json!({"version": 1, "jobs": jobs}).to_string()).start();
    let list = ksana.get("/jobs").expect(200).json();
    let listed = ids(&list);
    assert_eq!(listed.len(), 5000);
    assert!(listed.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!(ids(&ksana.get("/jobs?name=n&after=04997").json()), ["04998", "04999"]);
    assert!(ksana.call("HEAD", "/jobs").send().expect(200).body.is_empty());
}
