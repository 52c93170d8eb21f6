//! A segment of the history, as anybody may write it: what is found in it is found again in whatever pieces one asks for.

use std::sync::Arc;
use std::time::Duration;

use ksana::job::{RunRecord, Status};
use ksana::ledger::{Bounds, Ledger, Query, Reader};

use super::dressed;
use crate::memory::Memory;

pub(super) fn history(data: &[u8]) {
    let text = dressed(data);
    for name in ["runs-0000000000000001.jsonl", "failures-0000000000000001.jsonl"] {
        let reader = Reader::new(Arc::new(Memory::new(&[(name, &text)])));
        let page = |query: &Query| reader.page(query).expect("it can be read");
        let all = page(&Query { limit: usize::MAX, ..Query::default() }).lines;
        let seqs: Vec<u64> = all.iter().map(|line| seq(line)).collect();
        assert!(seqs.is_sorted_by(|newer, older| newer >= older), "the newest first: {seqs:?}");
        for (status, _) in Status::ALL {
            let some = page(&Query { status: Some(status), limit: usize::MAX, ..Query::default() }).lines;
            assert!(some.iter().all(|line| all.contains(line)), "a filter finds nothing new");
        }
        // Numbers that stand twice are a hand's, and no page can begin between them.
        if seqs.is_sorted_by(|newer, older| newer > older) {
            let (mut pieces, mut after) = (Vec::new(), None);
            loop {
                let piece = page(&Query { limit: 2, after, ..Query::default() });
                pieces.extend(piece.lines);
                after = piece.next;
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(pieces, all, "page by page");
        }
        let bounds = Bounds { bytes: u64::MAX, age: Duration::MAX };
        let ledger = Ledger::open(Arc::new(Memory::new(&[(name, &text)])), bounds).expect("it can be read");
        for run in all.iter().filter_map(|line| serde_json::from_slice::<RunRecord>(line).ok()) {
            assert!(ledger.find(run.run_id).expect("it can be read").is_some(), "{run:?}");
        }
    }
}

/// The number of a line that is shown: it is JSON, whatever else it holds.
fn seq(line: &[u8]) -> u64 {
    let record: serde_json::Value = serde_json::from_slice(line).expect("what is shown is JSON");
    record["seq"].as_u64().expect("what is shown has a number")
}
