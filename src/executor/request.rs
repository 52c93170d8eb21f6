//! A job's call as a request that can be sent.

use crate::engine::Start;
use crate::job::http::{check_header, check_method, check_url, is_framing};
use crate::job::{HttpCall, Spec};
use isahc::config::Configurable;
use isahc::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, USER_AGENT};
use isahc::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use isahc::net::Dialer;
use isahc::{AsyncBody, Request};
use serde::de::IgnoredAny;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use url::{Host, Url};
use uuid::Uuid;

const OWN_USER_AGENT: &str = concat!("ksana/", env!("CARGO_PKG_VERSION"));

/// The prefix of the headers that are Ksana's; a job's own ones of that name are not sent.
const OWN_PREFIX: &str = "x-ksana-";

/// A checked call. Only http and https come this far, so that no other scheme is ever sent.
pub(super) struct Prepared {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    spec: Arc<Spec>,
    /// Whom to ask for an address, and for which port.
    pub(super) host: Host<String>,
    pub(super) port: u16,
}

/// How one connection is to be made.
pub(super) struct Way {
    /// `None` leaves the address to a proxy.
    pub(super) address: Option<SocketAddr>,
    pub(super) timeout: Duration,
    pub(super) connect_timeout: Duration,
}

impl Prepared {
    /// The error says what is wrong with the job.
    pub(super) fn of(attempt: &Start) -> Result<Self, String> {
        let spec = Arc::clone(&attempt.spec);
        let http = &spec.http;
        let method = check_method(&http.method)?;
        let mut url = check_url(&http.url)?;
        let mut headers = job_headers(http)?;
        if let Some(basic) = take_basic_auth(&mut url) {
            headers.entry(AUTHORIZATION).or_insert(basic);
        }
        let (Some(host), Some(port)) = (url.host().map(|host| host.to_owned()), url.port_or_known_default()) else {
            return Err("the url names no host".to_owned());
        };
        let uri = url.as_str().parse().map_err(|error| format!("the url cannot be sent: {error}"))?;
        add_own_headers(&mut headers, attempt)?;
        // Without a length a server may wait for a body to begin.
        if http.body.is_empty() && [Method::POST, Method::PUT, Method::PATCH].contains(&method) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        Ok(Self { method, uri, headers, spec, host, port })
    }

    /// `example.com:443`, for sentences.
    pub(super) fn target(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    pub(super) fn request(&self, way: &Way) -> Request<AsyncBody> {
        let mut request = Request::builder()
            .method(self.method.clone())
            .uri(self.uri.clone())
            .timeout(whole_millis(way.timeout))
            .connect_timeout(whole_millis(way.connect_timeout))
            .title_case_headers(true)
            .metrics(true);
        if let Some(address) = way.address {
            request = request.dial(Dialer::ip_socket(address));
        }
        let mut request = request.body(self.body()).expect("all its parts have been checked");
        *request.headers_mut() = self.headers.clone();
        request
    }

    /// The answer to a HEAD has a length and no body. The HTTP client knows that only of a HEAD
    /// that sends none either, and would wait for the rest until the timeout; no server looks at
    /// the body of a HEAD.
    fn body(&self) -> AsyncBody {
        if self.spec.http.body.is_empty() || self.method == Method::HEAD {
            AsyncBody::empty()
        } else {
            AsyncBody::from(&*self.spec.http.body)
        }
    }
}

fn job_headers(http: &HttpCall) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::with_capacity(http.headers.len() + 8);
    for (name, value) in &http.headers {
        let (name, value) = check_header(name, value)?;
        if !is_framing(&name) && !name.as_str().starts_with(OWN_PREFIX) {
            headers.insert(name, value);
        }
    }
    if !http.body.is_empty() {
        let is_json = serde_json::from_str::<IgnoredAny>(&http.body).is_ok();
        let guess = HeaderValue::from_static(if is_json { "application/json" } else { "text/plain" });
        headers.entry(CONTENT_TYPE).or_insert(guess);
    }
    headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(OWN_USER_AGENT));
    Ok(headers)
}

fn add_own_headers(headers: &mut HeaderMap, attempt: &Start) -> Result<(), String> {
    let own = [
        ("x-ksana-run-id", attempt.run_id.to_string()),
        ("x-ksana-job-id", attempt.spec.id.to_string()),
        ("x-ksana-scheduled-at", attempt.scheduled_at.to_string()),
        ("x-ksana-attempt", attempt.attempt.to_string()),
        ("traceparent", traceparent(attempt)),
    ];
    let replay_of = attempt.replay_of.map(|run| ("x-ksana-replay-of", run.to_string()));
    for (name, value) in own.into_iter().chain(replay_of) {
        let (_, value) = check_header(name, &value)?;
        headers.insert(HeaderName::from_static(name), value);
    }
    Ok(())
}

/// The trace that the target's spans belong to (W3C Trace Context, section 3.2): the run is the trace, and each attempt
/// a span of it. Ksana exports no spans; the sampled flag says that whoever is called may.
fn traceparent(attempt: &Start) -> String {
    let trace = attempt.run_id.simple();
    // Never all zeros, which would be no id: the variant of a UUID stands in this half.
    let (_, span) = Uuid::new_v5(&attempt.run_id, &attempt.attempt.to_be_bytes()).as_u64_pair();
    format!("00-{trace}-{span:016x}-01")
}

/// Takes `user:password@` out of a URL and gives it as the header that it stands for. The HTTP
/// client would drop it, and a URL without it can do no harm in a text of the client's.
fn take_basic_auth(url: &mut Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = percent_decoded(url.username());
    pair.push(b':');
    pair.extend(percent_decoded(url.password().unwrap_or_default()));
    url.set_username("").expect("an http URL may have a user");
    url.set_password(None).expect("an http URL may have a password");
    let mut value = HeaderValue::try_from(format!("Basic {}", base64(&pair))).expect("base64 is visible ASCII");
    value.set_sensitive(true);
    Some(value)
}

/// The bytes that a part of a URL stands for; what is no escape stays.
fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|&byte| char::from(byte).to_digit(16));
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if let (b'%', Some(high), Some(low)) = (byte, digit(at + 1), digit(at + 2)) {
            decoded.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits are a byte"));
            at += 3;
        } else {
            decoded.push(byte);
            at += 1;
        }
    }
    decoded
}

/// RFC 4648, section 4, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().enumerate().fold(0_u32, |bits, (at, &byte)| bits | u32::from(byte) << (16 - 8 * at));
        for at in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * at) & 63) as usize];
            text.push(if at <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

/// curl counts in milliseconds and takes none at all for no limit.
fn whole_millis(duration: Duration) -> Duration {
    let millis = u64::try_from(duration.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
    Duration::from_millis(millis.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_the_rfc() {
        for (plain, coded) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xfb, 0xff, 0xfe]), "+//+");
    }

    #[test]
    fn userinfo_becomes_basic_auth() {
        let check = |url: &str, header: Option<&str>, left: &str| {
            let mut url = Url::parse(url).expect(url);
            let basic = take_basic_auth(&mut url);
            assert_eq!(basic.as_ref().map(|value| value.to_str().expect("it is ASCII")), header);
            assert_eq!(url.as_str(), left);
        };
        check("http://h/", None, "http://h/");
        check("http://Aladdin:open%20sesame@h/", Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "http://h/");
        check("http://user@h/a", Some("Basic dXNlcjo="), "http://h/a");
        check("http://:p@h/", Some("Basic OnA="), "http://h/");
        check("http://%zz%:%e9@h/", Some("Basic JXp6JTrp"), "http://h/");
    }

    #[test]
    fn a_timeout_is_never_rounded_to_none() {
        assert_eq!(whole_millis(Duration::ZERO), Duration::from_millis(1));
        assert_eq!(whole_millis(Duration::from_micros(1_001)), Duration::from_millis(2));
        assert_eq!(whole_millis(Duration::from_secs(1)), Duration::from_secs(1));
    }
}
