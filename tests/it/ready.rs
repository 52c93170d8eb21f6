//! New: `/ready` and the warnings of busy workers.

use serde_json::json;

use crate::support::{Answer, Ksana, Receiver, eventually, hourly, with};

#[test]
fn ready_is_open_and_says_so() {
    let ksana = Ksana::start();
    let answer = ksana.bare("GET", "/ready").send().expect(200);
    let warnings = &answer.json()["warnings"];
    assert!(warnings.is_null() || *warnings == json!([]), "{warnings}");
    assert!(ksana.bare("HEAD", "/ready").send().expect(200).body.is_empty());
}

#[test]
fn workers_are_the_most_callbacks_in_flight_at_once() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "2"), Receiver::start());
    receiver.script("/slow", [Answer::ok().delayed(60)]);
    for _ in 0..8 {
        let id = ksana.create_id(&hourly(&receiver.url("/slow")));
        ksana.run_now(&id);
    }
    receiver.wait_for_path("/slow", 8);
    assert_eq!(receiver.in_flight_most(), 2);
}

#[test]
fn workers_that_are_all_busy_are_told_of_once_by_the_variable() {
    let (ksana, receiver) = (Ksana::with("WORKERS", "1"), Receiver::start());
    receiver.script("/held", [Answer::ok().held()]);
    let holder = ksana.create_id(&with(hourly(&receiver.url("/held")), &json!({"timeout": "1h"})));
    ksana.run_now(&holder);
    receiver.wait_for_path("/held", 1);
    for path in ["/one", "/two"] {
        let id = ksana.create_id(&hourly(&receiver.url(path)));
        ksana.run_now(&id);
    }
    ksana.log.wait_for("warn", &["WORKERS"]);
    let ready = ksana.bare("GET", "/ready").send().expect(200).json();
    assert!(ready["warnings"].to_string().to_lowercase().contains("worker"), "{ready}");
    crate::support::await_clock(crate::support::ahead(1500));
    assert_eq!(ksana.log.find("warn", &["WORKERS"]).len(), 1, "once, not every second");
    receiver.release("/held");
    receiver.wait_for_path("/two", 1);
    eventually("the warning to go", || {
        let ready = ksana.bare("GET", "/ready").send().expect(200).json();
        (!ready.to_string().to_lowercase().contains("worker")).then_some(())
    });
}
