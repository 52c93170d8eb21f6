//! Names to addresses, off the executor's thread.
//!
//! The system's look-up blocks and cannot be cancelled, so it runs on a thread of its own while
//! the attempts that want its answer wait, each no longer than its own deadline. One name is looked
//! up once at a time: a thousand jobs of one dead name hold one thread.

use crate::limits::{NAME_CACHE_HOSTS_MAX, NAME_CACHE_TTL, NAME_LOOKUPS_MAX};
use async_channel::Receiver;
use smol::lock::{Semaphore, SemaphoreGuardArc};
use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// The addresses of a name in the system's order, or a short reason why there are none.
pub(super) type Answer = Result<Arc<[IpAddr]>, Arc<str>>;

/// How a name is looked up; tests hand in their own.
pub(super) type LookUp = Box<dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync>;

pub(super) struct Resolver {
    shared: Arc<Shared>,
    threads: Arc<Semaphore>,
}

struct Shared {
    look_up: LookUp,
    names: Mutex<HashMap<Box<str>, Name>>,
}

enum Name {
    Known { addresses: Arc<[IpAddr]>, until: Instant },
    Asked(Arc<Flight>),
}

/// A look-up that is under way. Nothing is ever sent on the channel: it closes when the look-up
/// has ended, however it ended.
struct Flight {
    ended: Receiver<Infallible>,
    answer: OnceLock<Answer>,
}

/// What a name's look-up comes down to for one who asks.
enum Step {
    Answered(Answer),
    Wait(Arc<Flight>),
    NobodyAsked,
}

impl Resolver {
    pub(super) fn new(look_up: LookUp) -> Self {
        let shared = Arc::new(Shared { look_up, names: Mutex::default() });
        Self { shared, threads: Arc::new(Semaphore::new(NAME_LOOKUPS_MAX)) }
    }

    /// As the system resolves names: hosts file, DNS, whatever it is configured to do.
    pub(super) fn of_system() -> Self {
        Self::new(Box::new(|host| Ok((host, 0).to_socket_addrs()?.map(|address| address.ip()).collect())))
    }

    /// Waits as long as the look-up takes; the caller bounds it and may drop the future at any time.
    pub(super) async fn resolve(&self, host: &str) -> Answer {
        let flight = match self.shared.step(host) {
            Step::Answered(answer) => return answer,
            Step::Wait(flight) => flight,
            Step::NobodyAsked => {
                let thread = self.threads.acquire_arc().await;
                // Somebody else may have asked while this one waited for a thread.
                match self.shared.step(host) {
                    Step::Answered(answer) => return answer,
                    Step::Wait(flight) => flight,
                    Step::NobodyAsked => self.shared.ask(host, thread),
                }
            }
        };
        // The only thing that this channel ever says is that it is closed.
        let _ = flight.ended.recv().await;
        flight.answer.get().cloned().unwrap_or_else(|| Err("the look-up broke off".into()))
    }
}

impl Shared {
    fn step(&self, host: &str) -> Step {
        match self.names().get(host) {
            Some(Name::Known { addresses, until }) if Instant::now() < *until => {
                Step::Answered(Ok(Arc::clone(addresses)))
            }
            Some(Name::Asked(flight)) if !flight.ended.is_closed() => Step::Wait(Arc::clone(flight)),
            _ => Step::NobodyAsked,
        }
    }

    /// Begins a look-up. It goes on when all who wait for it have gone: it cannot be stopped, and
    /// its answer serves the next one.
    fn ask(self: &Arc<Self>, host: &str, thread: SemaphoreGuardArc) -> Arc<Flight> {
        let (ending, ended) = async_channel::bounded(1);
        let flight = Arc::new(Flight { ended, answer: OnceLock::new() });
        {
            let mut names = self.names();
            make_room(&mut names);
            names.insert(host.into(), Name::Asked(Arc::clone(&flight)));
        }
        let (shared, asked, host) = (Arc::clone(self), Arc::clone(&flight), Box::<str>::from(host));
        smol::unblock(move || {
            // Dropped last to first, at the end or by a panic: whoever is woken finds a free thread.
            let _ending = ending;
            let _thread = thread;
            let answer = (shared.look_up)(&host).map_err(|error| reason(&error)).and_then(in_order);
            shared.remember(&host, &answer);
            asked.answer.set(answer).expect("a flight has one look-up, and this is it");
        })
        .detach();
        flight
    }

    /// Keeps addresses for a while. A failure is told to those who wait and then forgotten.
    fn remember(&self, host: &str, answer: &Answer) {
        let mut names = self.names();
        match answer {
            Ok(addresses) => {
                let known = Name::Known { addresses: Arc::clone(addresses), until: Instant::now() + NAME_CACHE_TTL };
                names.insert(host.into(), known);
            }
            Err(_) => {
                names.remove(host);
            }
        }
    }

    /// A panic elsewhere leaves the map whole: every change of it is one call.
    fn names(&self) -> std::sync::MutexGuard<'_, HashMap<Box<str>, Name>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A full map drops what has expired, and all that it knows where that is not enough: to ask again
/// is cheap. What is being asked stays; the semaphore bounds that.
fn make_room(names: &mut HashMap<Box<str>, Name>) {
    if names.len() < NAME_CACHE_HOSTS_MAX {
        return;
    }
    let now = Instant::now();
    names.retain(|_, name| match name {
        Name::Known { until, .. } => now < *until,
        Name::Asked(flight) => !flight.ended.is_closed(),
    });
    if names.len() >= NAME_CACHE_HOSTS_MAX {
        names.retain(|_, name| matches!(name, Name::Asked(_)));
    }
}

/// Each address once, in the system's order of preference.
fn in_order(found: Vec<IpAddr>) -> Answer {
    let mut addresses = Vec::with_capacity(found.len());
    for address in found {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() { Err("the name has no address".into()) } else { Ok(addresses.into()) }
}

/// The system's reason without the standard library's preface.
fn reason(error: &io::Error) -> Arc<str> {
    let text = error.to_string();
    let text = text.strip_prefix("failed to lookup address information: ").unwrap_or(&text);
    super::failure::plain(text).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future;
    use std::net::Ipv4Addr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{SyncSender, sync_channel};

    /// A resolver whose look-ups wait for a word each and are counted.
    fn gated(answer: fn(&str) -> io::Result<Vec<IpAddr>>) -> (Resolver, SyncSender<()>, Arc<AtomicUsize>) {
        let (word, gate) = sync_channel(10_000);
        let (gate, count) = (Mutex::new(gate), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&count);
        let resolver = Resolver::new(Box::new(move |host| {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = gate.lock().expect("the gate is sound").recv();
            answer(host)
        }));
        (resolver, word, count)
    }

    #[expect(clippy::unnecessary_wraps, reason = "a look-up may fail; this one does not")]
    fn one(_: &str) -> io::Result<Vec<IpAddr>> {
        Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()])
    }

    fn dead(_: &str) -> io::Result<Vec<IpAddr>> {
        Err(io::Error::other("failed to lookup address information: Name or service not known"))
    }

    #[test]
    fn a_thousand_askers_share_one_look_up() {
        let (resolver, word, count) = gated(dead);
        let mut asks: Vec<_> = (0..1_000).map(|_| Box::pin(resolver.resolve("dead.test"))).collect();
        for ask in &mut asks {
            assert_eq!(smol::block_on(future::poll_once(ask)), None, "nothing is known yet");
        }
        word.send(()).expect("the look-up waits");
        for ask in asks {
            assert_eq!(smol::block_on(ask), Err("name or service not known".into()));
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn addresses_are_kept_and_failures_are_not() {
        let (resolver, word, count) = gated(one);
        word.send(()).expect("there is room");
        let known: Answer = Ok([IpAddr::from(Ipv4Addr::LOCALHOST)].into());
        assert_eq!(smol::block_on(resolver.resolve("h")), known);
        assert_eq!(smol::block_on(resolver.resolve("h")), known);
        assert_eq!(count.load(Ordering::SeqCst), 1);

        let (resolver, word, count) = gated(dead);
        for asked in 1..=2 {
            word.send(()).expect("there is room");
            smol::block_on(resolver.resolve("h")).expect_err("a dead name");
            assert!(resolver.shared.names().is_empty());
            assert_eq!(count.load(Ordering::SeqCst), asked);
        }
    }

    #[test]
    fn an_asker_who_leaves_takes_nothing_with_him() {
        let (resolver, word, count) = gated(one);
        assert!(smol::block_on(future::poll_once(resolver.resolve("h"))).is_none());
        word.send(()).expect("the look-up waits");
        smol::block_on(resolver.resolve("h")).expect("the first look-up answers the second asker");
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_look_up_that_panics_answers_and_is_asked_again() {
        let first = AtomicUsize::new(0);
        let resolver = Resolver::new(Box::new(move |host| {
            assert!(first.fetch_add(1, Ordering::SeqCst) > 0, "planted");
            one(host)
        }));
        assert_eq!(smol::block_on(resolver.resolve("h")), Err("the look-up broke off".into()));
        smol::block_on(resolver.resolve("h")).expect("the second look-up answers");
    }

    #[test]
    fn the_names_that_are_kept_are_bounded() {
        let resolver = Resolver::new(Box::new(one));
        for number in 0..NAME_CACHE_HOSTS_MAX + 10 {
            smol::block_on(resolver.resolve(&format!("h{number}"))).expect("it has an address");
        }
        assert!(resolver.shared.names().len() <= NAME_CACHE_HOSTS_MAX);
    }
}
