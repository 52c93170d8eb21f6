//! The tools themselves, tried on each other: a client against a target.

use std::io::ErrorKind;

use super::{Answer, Call, Connection, Line, Receiver, eventually};

fn call(receiver: &Receiver, path: &str) -> Call {
    Call::new(receiver.port(), "POST", path)
}

#[test]
fn a_target_records_and_answers_as_scripted() {
    let receiver = Receiver::start();
    receiver.script("/a", [Answer::status(503).header("Retry-After", "7"), Answer::ok()]);
    let first = call(&receiver, "/a?x=1").body("hello").send().expect(503);
    assert_eq!(first.header("retry-after"), Some("7"));
    assert_eq!(call(&receiver, "/a").send().expect(200).text(), "ok");
    assert_eq!(call(&receiver, "/a").send().expect(200).text(), "ok");
    let seen = receiver.wait_for_path("/a", 3);
    assert_eq!((seen[0].target.as_str(), seen[0].body.as_slice()), ("/a?x=1", b"hello".as_slice()));
    assert_eq!(receiver.connections(), 3);
}

#[test]
fn a_held_answer_comes_when_released() {
    let receiver = Receiver::start();
    receiver.script("/held", [Answer::ok().held()]);
    let mut connection = Connection::open(receiver.port()).expect("it listens");
    connection.send(&call(&receiver, "/held").bytes()).expect("it reads");
    eventually("the request to be in flight", || (receiver.in_flight() == 1).then_some(()));
    receiver.release("/held");
    connection.response("POST").expect("a whole answer").expect("an answer").expect(200);
    connection.send(&call(&receiver, "/next").bytes()).expect("it is kept alive");
    connection.response("POST").expect("a whole answer").expect("an answer").expect(200);
    let seen = receiver.wait_for(2);
    assert_eq!(seen[0].connection, seen[1].connection);
}

#[test]
fn a_target_misbehaves_as_scripted() {
    let receiver = Receiver::start();
    receiver.script("/garbage", [Answer::garbage()]);
    receiver.script("/cut", [Answer::cut_body()]);
    receiver.script("/drop", [Answer::drop_connection()]);
    receiver.script("/endless", [Answer::ok().endless()]);
    let error = |path: &str| call(&receiver, path).try_send().expect_err(path).kind();
    assert_eq!(error("/garbage"), ErrorKind::InvalidData);
    assert_eq!(error("/cut"), ErrorKind::UnexpectedEof);
    assert_eq!(error("/drop"), ErrorKind::UnexpectedEof);
    let mut connection = Connection::open(receiver.port()).expect("it listens");
    connection.send(&call(&receiver, "/endless").bytes()).expect("it reads");
    drop(connection);
    receiver.wait_until_broken_off("/endless");
}

#[test]
fn the_port_is_read_from_the_log() {
    let line = Line::new(r#"{"level":"info","msg":"listening on 127.0.0.1:4711","port":4711}"#);
    assert_eq!(line.listening_port(), Some(4711));
    assert_eq!(Line::new(r#"{"level":"info","msg":"starting","port":1}"#).listening_port(), None);
    assert_eq!(Line::new("no json").listening_port(), None);
}
