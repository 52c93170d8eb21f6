//! Answers from memory and files, as of one moment, from the segment on that can have the first of them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use uuid::Uuid;

use super::Ledger;
use super::line;
use super::query::{Order, Page, Query, Wanted};
use super::segment::{self, Both, Segment};
use crate::disk::Disk;
use crate::job::RunRecord;
use crate::limits::HISTORY_PAGE_BYTES_MAX;

impl Ledger {
    /// A page of the history, the newest first.
    pub fn page(&self, query: &Query) -> io::Result<Page> {
        Ok(self.gather(&Wanted::page(query))?.page(query.limit))
    }

    /// The newest record of a run, as JSON.
    pub fn find(&self, run_id: Uuid) -> io::Result<Option<Vec<u8>>> {
        Ok(self.gather(&Wanted::run(run_id))?.first())
    }

    /// The records above a number, the oldest first; `next` of the page is the number to go on from.
    pub fn since(&self, seq: u64, limit: usize) -> io::Result<Page> {
        let seqs = seq.saturating_add(1)..u64::MAX;
        Ok(self.gather(&Wanted::all(Order::OldestFirst, seqs, limit.saturating_add(1)))?.page(limit))
    }

    fn gather<'a>(&self, wanted: &'a Wanted) -> io::Result<Best<'a>> {
        let state = self.state();
        let is_wanted = |record: &&Arc<RunRecord>| wanted.takes_record(record);
        let pending = state.pending.records();
        let pending: Vec<_> = match wanted.order {
            Order::NewestFirst => pending.rev().filter(is_wanted).take(wanted.count).cloned().collect(),
            Order::OldestFirst => pending.filter(is_wanted).take(wanted.count).cloned().collect(),
        };
        let segments = state.segments.clone();
        drop(state);
        let mut best = Best::new(wanted);
        for record in pending {
            best.offer(record.seq, || serde_json::to_vec(&*record).expect("records are made of strings and numbers"));
        }
        search(&*self.disk, &segments, &mut best)?;
        Ok(best)
    }
}

/// The history as its files have it, beside a service that may be writing them and removing some: what it has not
/// written yet is not seen.
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
}

impl Reader {
    /// Looks at the folder of the segments.
    pub fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }

    /// A page of the history, the newest first.
    pub fn page(&self, query: &Query) -> io::Result<Page> {
        Ok(self.gather(&Wanted::page(query))?.page(query.limit))
    }

    fn gather<'a>(&self, wanted: &'a Wanted) -> io::Result<Best<'a>> {
        let mut best = Best::new(wanted);
        search(&*self.disk, &segment::list(&*self.disk)?, &mut best)?;
        Ok(best)
    }
}

/// Looks through segments until none can have anything better.
fn search(disk: &dyn Disk, segments: &Both<Vec<Segment>>, best: &mut Best<'_>) -> io::Result<()> {
    let ranges = segments.iter().flat_map(|segments| {
        let ends = segments.iter().skip(1).map(|segment| segment.first).chain([u64::MAX]);
        segments.iter().zip(ends).map(|(segment, end)| (segment, segment.first..end))
    });
    let first_key = |segment: &Segment, seqs| best.wanted.first_key(segment.stream, &seqs);
    let mut segments: Vec<_> =
        ranges.filter_map(|(segment, seqs)| first_key(segment, seqs).map(|key| (key, segment))).collect();
    segments.sort_by_key(|(key, _)| *key);
    for (key, segment) in segments {
        if !best.has_place_for(key) {
            break;
        }
        if segment.index.get().is_none_or(|index| best.wanted.may_be_in(index)) {
            scan(disk, segment, best)?;
        }
    }
    Ok(())
}

fn scan(disk: &dyn Disk, segment: &Segment, best: &mut Best<'_>) -> io::Result<()> {
    let Some(text) = segment.read_text(disk)? else { return Ok(()) };
    let mut is_ordered = segment.is_ordered;
    if segment.is_sealed {
        let index = segment.index_of(&text);
        if !best.wanted.may_be_in(index) {
            return Ok(());
        }
        is_ordered = index.is_ordered();
    }
    let text = if is_ordered { line::within(&text, &best.wanted.seqs) } else { &text };
    match best.wanted.order {
        Order::NewestFirst => best.take(line::lines(text).rev(), is_ordered),
        Order::OldestFirst => best.take(line::lines(text), is_ordered),
    }
    Ok(())
}

/// The first of the wanted records among those that were seen.
struct Best<'a> {
    wanted: &'a Wanted,
    /// By their keys.
    lines: BTreeMap<u64, (u64, Vec<u8>)>,
    bytes: usize,
    /// Some were left out for their length.
    is_cut: bool,
}

impl<'a> Best<'a> {
    fn new(wanted: &'a Wanted) -> Self {
        Self { wanted, lines: BTreeMap::new(), bytes: 0, is_cut: false }
    }

    fn has_place_for(&self, key: u64) -> bool {
        let is_full = self.lines.len() >= self.wanted.count || self.is_cut;
        !is_full || self.lines.last_key_value().is_some_and(|(last, _)| key < *last)
    }

    fn offer(&mut self, seq: u64, json: impl FnOnce() -> Vec<u8>) {
        let key = self.wanted.key(seq);
        if !self.has_place_for(key) || self.lines.contains_key(&key) {
            return;
        }
        let json = json();
        self.bytes += json.len();
        self.lines.insert(key, (seq, json));
        while self.lines.len() > self.wanted.count {
            self.drop_last();
        }
        while self.bytes > HISTORY_PAGE_BYTES_MAX && self.lines.len() > 1 {
            self.drop_last();
            self.is_cut = true;
        }
    }

    fn drop_last(&mut self) {
        let (_, (_, json)) = self.lines.pop_last().expect("there are some");
        self.bytes -= json.len();
    }

    /// Takes lines; those of an ordered segment come in the order that is wanted.
    fn take<'l>(&mut self, lines: impl Iterator<Item = &'l str>, is_ordered: bool) {
        let needles = self.wanted.needles();
        for line in lines.filter(|line| needles.iter().all(|needle| line.contains(needle))) {
            let Some(glance) = line::read(line) else { continue };
            if is_ordered && !self.has_place_for(self.wanted.key(glance.seq)) {
                return;
            }
            if self.wanted.takes(&glance) {
                self.offer(glance.seq, || line::json(line));
            }
        }
    }

    fn page(self, limit: usize) -> Page {
        let has_more = self.lines.len() > limit || self.is_cut;
        let lines: Vec<_> = self.lines.into_values().take(limit).collect();
        let next = lines.last().map(|(seq, _)| *seq).filter(|_| has_more);
        Page { lines: lines.into_iter().map(|(_, json)| json).collect(), next }
    }

    fn first(self) -> Option<Vec<u8>> {
        self.lines.into_values().next().map(|(_, json)| json)
    }
}
