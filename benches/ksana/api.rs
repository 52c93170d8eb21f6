//! What a request costs, beside the same server with nothing behind it.

use std::sync::Mutex;
use std::time::Duration;

use crate::bare_server::BareServer;
use crate::client::request;
use crate::daemon::Daemon;
use crate::folder::Folder;
use crate::jobs::{self, Random, far, post, write_file};
use crate::load::{Load, Slice};
use crate::options::Options;
use crate::table::{Beside, Row, Table};

/// How many jobs there are meanwhile.
const JOBS: usize = 10_000;
const ROUNDS: usize = 6;

/// The names of a request's rows, the status of its answer, and what makes it.
type Asked<'a> = ([&'static str; 2], u16, &'a (dyn Fn() -> Vec<u8> + Sync));

pub(crate) fn measure(options: &Options, table: &mut Table) {
    let folder = Folder::new();
    write_file(&folder.join("data/jobs.json"), (0..JOBS).map(far));
    let daemon = Daemon::start(&folder, &[]);
    let server = BareServer::start();
    let random = Mutex::new(Random::new(5));
    let below = |end| random.lock().expect("nothing panics").below(end);
    let id = || jobs::id(usize::try_from(below(9_000)).expect("64 bits"));
    let one = || request("GET", &format!("/jobs/{}", id()), "");
    let page = || request("GET", &format!("/jobs?limit=100&after={}", id()), "");
    let create = || post(&far(1));
    let change = || {
        let body = format!(r#"{{"name":"another name, {}"}}"#, below(u64::MAX));
        request("PATCH", &format!("/jobs/{}", id()), &body)
    };
    let asked: [Asked<'_>; 4] = [
        (["GET one, 1 connection", "GET one, 64 connections"], 200, &one),
        (["GET a page of 100, 1 connection", "GET a page of 100, 64 connections"], 200, &page),
        (["POST, 1 connection", "POST, 64 connections"], 201, &create),
        (["PATCH, 1 connection", "PATCH, 64 connections"], 200, &change),
    ];
    let span: Duration = options.millis(200, 50);
    for (names, status, make) in asked {
        for (name, connections) in names.into_iter().zip([1, 64]) {
            let mut service_load = Load::new(daemon.port, connections);
            let mut bare_load = Load::new(server.port, connections);
            let (mut service, mut bare) = (Slice::default(), Slice::default());
            for _ in 0..ROUNDS {
                bare.extend(bare_load.slice(span, 200, make, |_| ()));
                service.extend(service_load.slice(span, status, make, |_| ()));
            }
            let beside = Some(Beside { name: "empty handler", figures: bare.figures() });
            table.push(Row { name, jobs: Some(JOBS), figures: service.figures(), beside });
        }
    }
    daemon.stop();
}
