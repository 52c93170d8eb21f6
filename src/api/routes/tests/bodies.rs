//! What becomes of a request's body, whatever the endpoint does with it.

use super::*;

/// A server with one endpoint that does as the test says.
fn with_endpoint<F>(function: F) -> Server
where
    F: for<'a> crate::api::endpoint::Answers<'a> + Send + Sync + 'static,
{
    let api = api();
    let routes = Router::new().post("/", endpoint(&api, function));
    guarded(&Guard::new(patient(), 100), (Frame::of(&api), Authorization::new(api.keys.clone()), routes, no_such_route))
}

#[derive(serde::Deserialize)]
struct Numbers {
    add: Vec<u64>,
}

async fn sum(_: &Api, mut request: Request<'_>) -> Result<Reply, ApiError> {
    let numbers: Numbers = request.json().await?;
    Ok(Reply::json(Status::Created, &numbers.add.iter().sum::<u64>()))
}

async fn ignore(_: &Api, _: Request<'_>) -> Result<Reply, ApiError> {
    Ok(Reply::no_content())
}

async fn panic(_: &Api, mut request: Request<'_>) -> Result<Reply, ApiError> {
    request.body().await?;
    panic!("as the test wants it")
}

fn post(body_headers: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n{body_headers}\r\n\r\n")
}

#[test]
fn a_body_is_read_whatever_its_type_says() {
    let server = with_endpoint(sum);
    let mut client = Client::to(server.address());
    client.send(post("Content-Length: 13\r\nContent-Type: application/x-www-form-urlencoded")).send("{\"add\":[1,2]}");
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_slice()), (201, &b"3"[..]));
    client.send(post("Transfer-Encoding: chunked")).send("3\r\n{\"a\r\na\r\ndd\":[1,2]}\r\n0\r\n\r\n");
    assert_eq!(client.answer().status, 201);
    client.send(post("Content-Length: 15")).send("{\"add\":[1,\"a\"]}");
    let answer = client.answer();
    assert_eq!((answer.status, answer.json()["field"].as_str()), (400, Some("/add/1")));
}

#[test]
fn a_panic_is_a_500_and_the_connection_lives() {
    let server = with_endpoint(panic);
    let mut client = Client::to(server.address());
    for _ in 0..2 {
        client.send(post("Content-Length: 2")).send("[]");
        let answer = client.answer();
        assert_eq!((answer.status, answer.json()["error"].as_str()), (500, Some("internal")));
        assert_eq!(answer.header("Access-Control-Allow-Origin"), Some("*"));
    }
}

#[test]
fn a_body_may_have_its_limit_and_no_more() {
    let server = with_endpoint(sum);
    let limit = usize::try_from(limits::REQUEST_BODY_BYTES_MAX).expect("it fits");
    let mut client = Client::to(server.address());
    let fits = format!("{{\"add\":[1]}}{}", " ".repeat(limit - 11));
    assert_eq!(client.send(post(&format!("Content-Length: {limit}"))).send(&fits).answer().status, 201);
    let over = limit + 1;
    client.send(post(&format!("Content-Length: {over}"))).send(format!("{fits} "));
    let answer = client.answer();
    assert_eq!((answer.status, answer.json()["error"].as_str()), (413, Some("too_large")));
    client.send(post("Transfer-Encoding: chunked")).send(format!("{over:x}\r\n{fits} \r\n0\r\n\r\n"));
    assert_eq!(client.answer().status, 413);
    client.send(post("Content-Length: 11")).send("{\"add\":[1]}");
    assert_eq!(client.answer().status, 201, "the connection is as good as before");
}

#[test]
fn a_body_far_over_the_limit_is_refused_unread() {
    let server = with_endpoint(sum);
    let mut client = Client::to(server.address());
    let answer = client.send(post("Content-Length: 1000000000000")).answer();
    assert_eq!((answer.status, answer.header("Connection")), (413, Some("close")));
    assert!(client.is_ended());
}

#[test]
fn who_waits_to_continue_is_refused_without_his_body() {
    let server = with_endpoint(sum);
    let mut client = Client::to(server.address());
    let answer = client.send(post("Content-Length: 9000000\r\nExpect: 100-continue")).answer();
    assert_eq!((answer.status, answer.header("Connection")), (413, Some("close")));
    let mut client = Client::to(server.address());
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.answer().status, 401);
}

/// Nobody knows where such a body ends, so the connection ends with the answer, and no client waits
/// until the deadline of bodies for it.
#[test]
fn a_body_that_is_not_well_formed_is_refused_at_once() {
    let server = with_endpoint(sum);
    for broken in ["zz\r\n{}\r\n0\r\n\r\n", "2\r\n{}x\r\n0\r\n\r\n", "ffffffffffffffffff\r\n{}"] {
        let mut client = Client::to(server.address());
        let answer = client.send(post("Transfer-Encoding: chunked")).send(broken).answer();
        assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("body_incomplete")), "{broken:?}");
        assert_eq!(answer.header("Connection"), Some("close"), "{broken:?}");
        assert!(client.is_ended(), "{broken:?}");
    }
}

/// The body comes in a packet of its own, after the endpoint is through: it is no request.
#[test]
fn a_body_that_nobody_reads_is_out_of_the_way() {
    let server = with_endpoint(ignore);
    let mut client = Client::to(server.address());
    for _ in 0..3 {
        client.send(post("Content-Length: 2")).send("{}");
        assert_eq!(client.answer().status, 204);
    }
    client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n").send("{}");
    assert_eq!(client.answer().status, 401);
    client.send(post("Content-Length: 2")).send("{}");
    assert_eq!(client.answer().status, 204);
}
