//! Who is let in. Stands before the routes, so that nobody learns without a key which paths there are.

use trillium::{Conn, Handler, Headers, KnownHeaderName, Method, Status};

use super::error::ApiError;
use super::reply::Reply;
use crate::keys::{KeyRing, fingerprint};
use crate::limits;

/// Lets a request pass, or answers it.
#[derive(Debug)]
pub(super) struct Authorization {
    keys: KeyRing,
}

/// Probes cannot carry a key, and learn nothing that is worth one.
const OPEN: [&str; 2] = ["/health", "/ready"];

const ACCEPTED: &str = "send one as Authorization: ApiKey <key> or as X-API-Key: <key>";

impl Authorization {
    pub(super) fn new(keys: KeyRing) -> Self {
        Self { keys }
    }
}

impl Handler for Authorization {
    async fn run(&self, conn: Conn) -> Conn {
        if conn.method() == Method::Options {
            let reply = preflight(conn.path());
            return reply.put(conn);
        }
        if matches!(conn.method(), Method::Get | Method::Head) && OPEN.contains(&conn.path()) {
            return conn;
        }
        let (reason, error) = match key_of(conn.request_headers()) {
            Some(key) if self.keys.admits(key) => return conn,
            Some(_) => (
                "unknown key",
                ApiError::new(Status::Forbidden, "forbidden", format!("this API key is not known; {ACCEPTED}")),
            ),
            None => (
                "no key",
                ApiError::new(Status::Unauthorized, "unauthorized", format!("an API key is needed; {ACCEPTED}")),
            ),
        };
        let client_ip = conn.peer_ip().map(tracing::field::display);
        tracing::warn!(client_ip, method = %conn.method(), path = conn.path(), reason, "request refused");
        Reply::from(error).put(conn)
    }
}

/// What a browser asks before it sends a request with a key. The same for every path, known or not, but for the one whose
/// clients send a header of their own.
fn preflight(path: &str) -> Reply {
    let headers = match path.trim_end_matches('/') {
        "/events" => "Content-Type, Authorization, X-API-Key, Last-Event-ID",
        _ => "Content-Type, Authorization, X-API-Key",
    };
    Reply::no_content()
        .with_header(KnownHeaderName::AccessControlAllowMethods, "GET, POST, PATCH, PUT, DELETE, OPTIONS")
        .with_header(KnownHeaderName::AccessControlAllowHeaders, headers)
        .with_header(KnownHeaderName::AccessControlMaxAge, limits::PREFLIGHT_SECS_MAX.to_string())
}

/// The key that a request shows. `ApiKey` in `Authorization` counts first; other schemes there are
/// for others, a proxy's basic authentication for instance.
pub(super) fn key_of(headers: &Headers) -> Option<&[u8]> {
    let all = |name: &'static str| headers.get_values(name).into_iter().flat_map(|values| values.iter());
    let authorization = all("Authorization").filter_map(|value| of_scheme(value.as_ref()));
    let own_header = all("X-API-Key").map(|value| value.as_ref().trim_ascii());
    authorization.chain(own_header).find(|key| !key.is_empty())
}

/// What stands for that key in the record of a run.
pub(super) fn fingerprint_of(headers: &Headers) -> Option<Box<str>> {
    key_of(headers).map(fingerprint)
}

fn of_scheme(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let (scheme, key) = value.split_at(value.iter().position(u8::is_ascii_whitespace)?);
    scheme.eq_ignore_ascii_case(b"ApiKey").then_some(key.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_found_where_it_may_stand() {
        let check = |headers: &[(&'static str, &'static str)], key: Option<&str>| {
            let mut sent = Headers::new();
            for (name, value) in headers {
                sent.append(*name, *value);
            }
            assert_eq!(key_of(&sent), key.map(str::as_bytes), "{headers:?}");
        };
        check(&[], None);
        check(&[("Authorization", "ApiKey one")], Some("one"));
        check(&[("Authorization", "aPIkEY  one ")], Some("one"));
        check(&[("X-API-Key", " two ")], Some("two"));
        check(&[("X-API-Key", "two"), ("Authorization", "ApiKey one")], Some("one"));
        check(&[("X-API-Key", "two"), ("Authorization", "Basic b25lOm9uZQ==")], Some("two"));
        check(&[("Authorization", "Basic x"), ("Authorization", "ApiKey one")], Some("one"));
        check(&[("Authorization", "Bearer one")], None);
        check(&[("Authorization", "ApiKey")], None);
        check(&[("Authorization", "ApiKey "), ("X-API-Key", "two")], Some("two"));
        check(&[("Authorization", "ApiKeyone")], None);
        check(&[("X-API-Key", "")], None);
    }
}
