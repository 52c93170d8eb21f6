//! Kept: endpoints, and how they refuse.

use serde_json::json;

use crate::support::{Connection, Ksana, Receiver, Response, hourly, with};

const TARGET: &str = "http://127.0.0.1:9/";

fn allowed(answer: &Response) -> Vec<String> {
    let allow = answer.header("allow").expect("a 405 says what is allowed");
    allow.split(',').map(|method| method.trim().to_owned()).collect()
}

#[test]
fn each_call_has_its_answer() {
    let (ksana, receiver) = (Ksana::start(), Receiver::start());
    let created = ksana.post("/jobs", &hourly(&receiver.url("/"))).expect(201).json();
    let id = created["id"].as_str().expect("a job has an id").to_owned();
    assert_eq!(ksana.get("/jobs").expect(200).json(), json!([created]));
    assert_eq!(ksana.job(&id), created);
    assert_eq!(ksana.patch(&id, &json!({"name": "renamed"})).expect(200).json()["name"], "renamed");

    let started = ksana.act(&id, "run-now").expect(200).json();
    assert!(started["message"].is_string() && started["run_id"].is_string(), "{started}");
    receiver.wait_for(1);
    ksana.await_status(&id, "success");
    for action in ["pause", "resume"] {
        let answer = ksana.act(&id, action).expect(200).json();
        assert!(answer["message"].as_str().is_some_and(|message| !message.is_empty()), "{answer}");
    }

    let deleted = ksana.delete(&id).expect(204);
    assert!(deleted.body.is_empty());
    assert_eq!(ksana.get("/jobs").expect(200).json(), json!([]));
    assert_eq!(ksana.bare("GET", "/health").send().expect(200).json()["status"], "ok");
}

#[test]
fn the_list_is_empty_brackets_when_there_are_none() {
    let answer = Ksana::start().get("/jobs").expect(200);
    assert_eq!(answer.text().trim(), "[]");
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")));
}

#[test]
fn what_is_not_there_is_404() {
    let ksana = Ksana::start();
    for (method, path) in [
        ("GET", "/jobs/none"),
        ("PATCH", "/jobs/none"),
        ("DELETE", "/jobs/none"),
        ("POST", "/jobs/none/run-now"),
        ("POST", "/jobs/none/pause"),
        ("POST", "/jobs/none/resume"),
        ("GET", "/"),
        ("GET", "/job"),
        ("GET", "/jobs/none/runs/deep"),
        ("GET", "/jobs/%00"),
        ("GET", "/jobs/..%2Fhealth"),
    ] {
        let answer = ksana.call(method, path).body("{}").send();
        assert_eq!(answer.status, 404, "{method} {path}");
        answer.refusal(404);
    }
}

#[test]
fn a_wrong_method_is_405_and_says_what_is_allowed() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    for (method, path, expected) in [
        ("PUT", "/jobs".to_owned(), vec!["GET", "POST"]),
        ("DELETE", "/jobs".to_owned(), vec!["GET", "POST"]),
        ("PUT", format!("/jobs/{id}"), vec!["GET", "PATCH", "DELETE"]),
        ("POST", format!("/jobs/{id}"), vec!["GET", "PATCH", "DELETE"]),
        ("GET", format!("/jobs/{id}/run-now"), vec!["POST"]),
        ("DELETE", format!("/jobs/{id}/pause"), vec!["POST"]),
        ("GET", format!("/jobs/{id}/resume"), vec!["POST"]),
        ("POST", "/health".to_owned(), vec!["GET"]),
    ] {
        let answer = ksana.call(method, &path).body("{}").send();
        assert_eq!(answer.status, 405, "{method} {path}");
        let allowed = allowed(&answer);
        for method in expected {
            assert!(allowed.contains(&method.to_owned()), "{path}: {method} in {allowed:?}");
        }
        answer.refusal(405);
    }
}

#[test]
fn what_cannot_be_parsed_is_400() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    for body in ["", "no json", "{", r#"{"name": }"#, "[]", "null", "5", r#""text""#, "{} {}", "\u{feff}{"] {
        ksana.call("POST", "/jobs").body(body).send().refusal(400);
        ksana.call("PATCH", &format!("/jobs/{id}")).body(body).send().refusal(400);
    }
    ksana.call("POST", "/jobs").body(b"{\"name\": \"\xff\"}".as_slice()).send().refusal(400);
    assert_eq!(ksana.get("/jobs").json().as_array().map(Vec::len), Some(1));
}

#[test]
fn the_field_at_fault_is_pointed_to() {
    let ksana = Ksana::start();
    for (change, field) in [
        (json!({"name": 5}), "/name"),
        (json!({"name": ["a"]}), "/name"),
        (json!({"enabled": "yes"}), "/enabled"),
        (json!({"type": "ftp"}), "/type"),
        (json!({"http": "GET"}), "/http"),
        (json!({"http": {"url": 5}}), "/http/url"),
        (json!({"http": {"body": {}}}), "/http/body"),
        (json!({"http": {"headers": {"X-A": 5}}}), "/http/headers"),
        (json!({"schedule": []}), "/schedule"),
        (json!({"schedule": {"kind": "hourly"}}), "/schedule/kind"),
        (json!({"schedule": {"every": 5}}), "/schedule/every"),
        (json!({"schedule": {"every": "often"}}), "/schedule/every"),
        (json!({"schedule": {"start_at": "tomorrow"}}), "/schedule/start_at"),
        (json!({"schedule": {"jitter": "some"}}), "/schedule/jitter"),
        (json!({"timeout": "soon"}), "/timeout"),
        (json!({"timeout": 10}), "/timeout"),
        (json!({"max_retries": "three"}), "/max_retries"),
        (json!({"retry_backoff": true}), "/retry_backoff"),
    ] {
        let error = ksana.post("/jobs", &with(hourly(TARGET), &change)).refusal(400);
        let given = error["field"].as_str().unwrap_or_default();
        assert!(given == field || given.starts_with(&format!("{field}/")), "{change}: {error}");
    }
    assert_eq!(ksana.get("/jobs").json(), json!([]));
}

#[test]
fn unknown_fields_are_refused_by_name() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    for (change, name, field) in [
        (json!({"tiemout": "5s"}), "tiemout", "/tiemout"),
        (json!({"state": {}}), "state", "/state"),
        (json!({"http": {"uri": "x"}}), "uri", "/http/uri"),
        (json!({"schedule": {"evry": "5s"}}), "evry", "/schedule/evry"),
    ] {
        let created = ksana.post("/jobs", &with(hourly(TARGET), &change)).refusal(400);
        let patch =
            with(change.clone(), &json!({"schedule": with(hourly(TARGET)["schedule"].clone(), &change["schedule"])}));
        let patch = if field.starts_with("/schedule") { patch } else { change };
        for error in [created, ksana.patch(&id, &patch).refusal(400)] {
            assert!(error["message"].as_str().is_some_and(|message| message.contains(name)), "{error}");
            assert_eq!(error["field"], field, "{error}");
        }
    }
}

#[test]
fn a_taken_id_is_409() {
    let ksana = Ksana::start();
    let first = ksana.create(&with(hourly(TARGET), &json!({"id": "taken"})));
    ksana.post("/jobs", &with(hourly(TARGET), &json!({"id": "taken", "name": "another"}))).refusal(409);
    assert_eq!(ksana.get("/jobs").json(), json!([first]));
}

#[test]
fn a_body_that_is_too_large_is_413() {
    let ksana = Ksana::start();
    let mut connection = Connection::open(ksana.port).expect("it listens");
    let head = "POST /jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: test-key\r\nContent-Length: 268435456\r\n\r\n";
    connection.send(head.as_bytes()).expect("it reads");
    let answer = connection.response("POST").expect("a whole answer").expect("an answer");
    answer.refusal(413);
    ksana.get("/health").expect(200);
}

#[test]
fn a_chunked_body_that_is_too_large_is_413() {
    let ksana = Ksana::start();
    let mut connection = Connection::open(ksana.port).expect("it listens");
    let head = "POST /jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: test-key\r\nTransfer-Encoding: chunked\r\n\r\n";
    connection.send(head.as_bytes()).expect("it reads");
    let chunk = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
    // Past some bound the server stops reading, and says so or closes.
    let refused = (0..4096).any(|_| connection.send(&chunk).is_err());
    let answer = connection.response("POST");
    match answer {
        Ok(Some(answer)) => drop(answer.refusal(413)),
        // The reset that comes with what was sent too much may overtake the answer.
        _ => assert!(refused, "256 MiB were taken without a word"),
    }
    assert_eq!(ksana.get("/jobs").json(), json!([]));
}

#[test]
fn the_content_type_of_a_request_is_not_looked_at() {
    let ksana = Ksana::start();
    let job = hourly(TARGET).to_string();
    ksana.call("POST", "/jobs").body(job.as_str()).send().expect(201);
    for kind in ["application/x-www-form-urlencoded", "text/plain", "application/xml", "x"] {
        ksana.call("POST", "/jobs").header("Content-Type", kind).body(job.as_str()).send().expect(201);
    }
}

#[test]
fn a_chunked_request_is_read() {
    let ksana = Ksana::start();
    let job = hourly(TARGET).to_string();
    let (one, two) = job.split_at(20);
    let body = format!("{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    let head = "POST /jobs HTTP/1.1\r\nHost: x\r\nX-API-Key: test-key\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut connection = Connection::open(ksana.port).expect("it listens");
    connection.send(format!("{head}{body}").as_bytes()).expect("it reads");
    connection.response("POST").expect("a whole answer").expect("an answer").expect(201);
}

#[test]
fn an_answer_with_an_error_has_changed_nothing() {
    let ksana = Ksana::start();
    let id = ksana.create_id(&hourly(TARGET));
    let before = ksana.get("/jobs").text();
    for patch in [
        json!({"name": "renamed", "timeout": "no"}),
        json!({"enabled": false, "max_retries": 1000}),
        json!({"http": {"method": "GET", "url": "nowhere"}}),
        json!({"schedule": {"kind": "every", "every": "5m", "jitter": "6m"}, "name": "renamed"}),
        json!({"name": "renamed", "unknown": 1}),
        json!({"name": "renamed", "id": "another"}),
        json!({"name": ""}),
    ] {
        ksana.patch(&id, &patch).refusal(400);
        assert_eq!(ksana.get("/jobs").text(), before, "{patch}");
    }
}

#[test]
fn one_connection_serves_many_requests() {
    let ksana = Ksana::start();
    let mut connection = Connection::open(ksana.port).expect("it listens");
    for _ in 0..3 {
        for (call, status) in [
            (ksana.call("GET", "/jobs"), 200),
            (ksana.bare("GET", "/jobs"), 401),
            (ksana.call("POST", "/jobs").body("no json"), 400),
            (ksana.call("GET", "/none"), 404),
        ] {
            let method = if status == 400 { "POST" } else { "GET" };
            connection.send(&call.bytes()).expect("it is kept alive");
            connection.response(method).expect("a whole answer").expect("an answer").expect(status);
        }
    }
}

#[test]
fn head_where_there_is_get() {
    let ksana = Ksana::start();
    let path = format!("/jobs/{}", ksana.create_id(&hourly(TARGET)));
    for target in ["/jobs", path.as_str(), "/health", "/ready", "/metrics"] {
        let get = ksana.get(target).expect(200);
        let mut connection = Connection::open(ksana.port).expect("it listens");
        connection.send(&ksana.call("HEAD", target).bytes()).expect("it reads");
        let head = connection.response("HEAD").expect("a whole head").expect("an answer").expect(200);
        assert_eq!(head.header("content-type"), get.header("content-type"), "{target}");
        // Were there a body behind the head, the next answer would not parse.
        connection.send(&ksana.call("GET", "/health").bytes()).expect("it is kept alive");
        connection.response("GET").expect("a whole answer").expect("an answer").expect(200);
    }
    ksana.call("HEAD", "/jobs/none").send().expect(404);
}
