//! A stream under the guard, over real sockets.

use futures_lite::future::block_on;

use super::*;
use crate::api::Server;
use crate::api::frame::Frame;
use crate::api::guard::{Deadlines, Guard};
use crate::api::testing::{Client, KEY, Lines, Overheard, PATIENCE, api, eventually, guarded, patient};
use crate::events::Happening;
use crate::job::{Defaults, GoDuration, stored_job};

/// A deadline that a test waits for.
const SHORT: Duration = Duration::from_millis(100);

/// The endpoint alone, with a heartbeat of its own.
fn served(guard: Guard, heartbeat: Duration) -> (Api, Server) {
    let api = Api { guard, ..api() };
    let server = guarded(&api.guard, (Frame::of(&api), events(&api, heartbeat)));
    (api, server)
}

fn get() -> String {
    format!("GET /events HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n\r\n")
}

/// A client that has the head and the first word of a stream.
fn listening(server: &Server) -> Client {
    let mut client = Client::to(server.address());
    let answer = client.send(get()).head();
    assert_eq!((answer.status, answer.header("Content-Type")), (200, Some(MEDIA_TYPE)));
    assert!(client.block().starts_with(":\nid: "));
    client
}

fn gone(job: &str) -> Happening {
    Happening::JobDeleted(JobId::parse(job).expect("an id"))
}

/// A change of a job that is longer than what sockets hold.
fn large() -> Happening {
    let defaults = Defaults { timeout: GoDuration::from_secs(1), max_retries: 0, retry_backoff: GoDuration::ZERO };
    let http = serde_json::json!({"url": "http://a/", "body": "x".repeat(15 * 1024 * 1024)});
    let schedule = serde_json::json!({"kind": "every", "every": "1h"});
    let job = serde_json::json!({"id": "large", "name": "n", "http": http, "schedule": schedule});
    Happening::JobChanged(stored_job(job, &defaults).expect("a job of a file"))
}

#[test]
fn a_silent_stream_outlives_every_deadline_of_other_connections() {
    let deadlines = Deadlines { head: SHORT, body: SHORT, idle: SHORT, stall: SHORT, ending: SHORT };
    let (api, server) = served(Guard::new(deadlines, 10), 3 * SHORT);
    let begun = Instant::now();
    let mut client = listening(&server);
    // What a client sends meanwhile is no request that would have to come to its end.
    client.send("GET ");
    for _ in 0..3 {
        assert_eq!(client.block(), ":\nid: 0-0\n\n");
    }
    assert!(begun.elapsed() >= 9 * SHORT);
    api.events.publish(gone("a"));
    assert_eq!(client.block(), "event: job.deleted\nid: 0-1\ndata: {\"id\":\"a\"}\n\n");
}

#[test]
fn a_client_that_takes_nothing_is_ended_and_its_reader_with_it() {
    let (api, server) = served(Guard::new(Deadlines { stall: SHORT, ..patient() }, 10), PATIENCE);
    let _stuck = listening(&server);
    api.events.publish(large());
    eventually("it is ended", || api.guard.open() == 0);
    assert_eq!((api.events.readers(), api.events.cut_off()), (0, 0));
}

#[test]
fn a_status_that_is_named_again_counts_once() {
    let read = |query: &str| filter(url::form_urlencoded::parse(query.as_bytes())).expect("all known");
    let wanted = Filter::new(vec![], vec![job::Status::Failed, job::Status::Timeout]);
    assert_eq!(read("status=failed&status=timeout&status=failed&status=timeout"), wanted);
}

#[test]
fn a_client_that_takes_nothing_holds_up_no_shutdown() {
    let (api, server) = served(Guard::new(patient(), 10), PATIENCE);
    let mut stuck = listening(&server);
    api.events.publish(large());
    stuck.take(1);
    api.events.end();
    assert!(block_on(server.shut_down(PATIENCE)), "its own deadline is twice as long");
}

#[test]
fn at_the_cap_an_idle_connection_gives_way_before_a_stream() {
    let (api, server) = served(Guard::new(patient(), 2), PATIENCE);
    let mut stream = listening(&server);
    let mut idle = Client::to(server.address());
    assert_eq!(idle.send(get().replace("/events", "/events?status=x")).answer().status, 400);
    let _newest = Client::to(server.address());
    assert!(idle.is_ended());
    api.events.publish(gone("a"));
    assert!(stream.block().starts_with("event: job.deleted\n"));
}

#[test]
fn a_client_that_leaves_makes_room_at_once() {
    let (api, server) = served(Guard::new(patient(), 10), PATIENCE);
    drop(listening(&server));
    eventually("nobody listens", || api.events.readers() == 0 && api.guard.open() == 0);
}

#[test]
fn a_stream_is_logged_and_counted_once_when_it_begins() {
    let api = api();
    let lines = Lines::default();
    let handler = (Frame::of(&api), events(&api, SHORT));
    let server = guarded(&api.guard, Overheard { handler, lines: lines.clone() });
    let mut client = listening(&server);
    client.block();
    drop(client);
    eventually("it is over", || api.guard.open() == 0);
    let requests = lines.all().iter().filter(|line| line.contains("path=\"/events\"")).count();
    assert_eq!(requests, 1, "{:?}", lines.all());
    let counted = r#"ksana_http_requests_total{method="GET",status="2xx"} 1"#;
    let page = api.metrics.page(&crate::metrics::Seen::default());
    assert!(page.contains(counted), "{page}");
}

#[test]
fn an_accept_is_read_by_the_range_that_names_events_best() {
    let check = |accept: &[&'static str], takes: bool| {
        let mut headers = Headers::new();
        for value in accept {
            headers.append(KnownHeaderName::Accept, *value);
        }
        assert_eq!(takes_events(&headers), takes, "{accept:?}");
    };
    check(&[], true);
    check(&[""], true);
    check(&["*/*"], true);
    check(&["text/*; q=0.5"], true);
    check(&["Text/Event-Stream"], true);
    check(&["text/html, text/event-stream"], true);
    check(&["text/html", "*/*;q=0.1"], true);
    check(&["text/html"], false);
    check(&["application/*"], false);
    check(&["*/*;q=0"], false);
    check(&["*/*, text/event-stream; Q=0.0"], false);
    check(&["text/*;q=0, */*"], false);
    check(&["text/event-stream, text/*;q=0"], true);
}

#[test]
fn an_answer_is_known_for_a_stream_by_its_head_alone() {
    let header = "\r\nContent-Type: text/event-stream\r\n";
    assert!(is_stream(format!("HTTP/1.1 200 OK{header}Server: ksana\r\n\r\n").as_bytes()));
    assert!(is_stream(format!("HTTP/1.1 200 OK\r\nServer: ksana{header}\r\nbody").as_bytes()));
    assert!(!is_stream(format!("HTTP/1.1 200 OK\r\nServer: ksana\r\n\r\nbody{header}").as_bytes()));
    assert!(!is_stream(format!("more of a body{header}\r\n").as_bytes()));
    assert!(!is_stream(b""));
}
