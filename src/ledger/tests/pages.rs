//! Every question has the answer that a look at all records one by one gives.

use super::super::{Ledger, Query, line};
use super::device::{Device, Dice};
use super::world::{all, at, id, large, open, position, record, run_id, seq, seqs, with_status, write};
use crate::job::{RunRecord, Status};
use crate::limits::HISTORY_PAGE_BYTES_MAX;

const STATUSES: [Status; 5] = [Status::Success, Status::Failed, Status::Timeout, Status::Skipped, Status::Missed];

/// Records of three jobs with every status, over several segments of both streams, and the newest still in memory.
fn history(ledger: &Ledger) -> Vec<RunRecord> {
    let mut dice = Dice(1);
    let mut records = Vec::new();
    for seq in 1..=300 {
        // A clock steps now and then.
        let ended_at = at(i64::try_from(seq + dice.below(20)).expect("it is small"));
        let job_id = id(["j", "jj", "rare"][usize::from(dice.below(2) == 0) + usize::from(seq % 100 == 3)]);
        let status = STATUSES[usize::try_from(dice.below(5)).expect("it is small")];
        records.push(RunRecord { job_id, ended_at, status, ..large(seq, 1_500) });
    }
    let (written, waiting) = records.split_at(280);
    for turn in written.chunks(7) {
        write(ledger, turn.to_vec(), at(300));
    }
    ledger.push(waiting.iter().cloned().map(Into::into), position(9, 0));
    records
}

fn naive(records: &[RunRecord], query: &Query) -> Vec<u64> {
    let is_wanted = |record: &&RunRecord| {
        query.job.as_ref().is_none_or(|job| record.job_id == *job)
            && query.status.is_none_or(|status| record.status == status)
            && query.since.is_none_or(|since| record.ended_at >= since)
            && query.until.is_none_or(|until| record.ended_at < until)
            && query.after.is_none_or(|after| record.seq < after)
    };
    records.iter().rev().filter(is_wanted).map(|record| record.seq).collect()
}

fn queries() -> Vec<Query> {
    let mut queries = Vec::new();
    let jobs = [None, Some("j"), Some("jj"), Some("rare"), Some("none")].map(|job| job.map(id));
    for job in jobs {
        for status in [None, Some(Status::Success), Some(Status::Missed)] {
            for (since, until) in
                [(None, None), (Some(at(150)), None), (None, Some(at(150))), (Some(at(99)), Some(at(101)))]
            {
                for after in [None, Some(142), Some(290)] {
                    queries.push(Query { job: job.clone(), status, since, until, after, limit: 5 });
                }
            }
        }
    }
    queries
}

#[track_caller]
fn check(ledger: &Ledger, records: &[RunRecord]) {
    for query in queries() {
        let expected = naive(records, &query);
        let page = ledger.page(&query).expect("it can be read");
        assert_eq!(seqs(&page), expected[..expected.len().min(5)], "{query:?}");
        assert_eq!(page.next, expected.get(4).copied().filter(|_| expected.len() > 5), "{query:?}");
    }
    let newest_first: Vec<_> = records.iter().rev().map(|record| record.seq).collect();
    for limit in [1, 2, 7, 1_000] {
        assert_eq!(all(ledger, limit), newest_first, "by {limit}");
    }
}

#[test]
fn a_page_shows_what_its_filters_let_through_from_memory_and_from_files() {
    let device = Device::new(1);
    let ledger = open(&device);
    let records = history(&ledger);
    assert!(device.files().len() > 6, "{:?}", device.files().keys());
    check(&ledger, &records);
    check(&ledger, &records);
    drop(ledger);
    // Of what another process wrote nothing is known before it is asked for.
    let ledger = open(&device);
    records[280..].iter().for_each(|record| ledger.found(record.clone()));
    check(&ledger, &records);
}

#[test]
fn a_question_reads_no_more_than_it_must() {
    let device = Device::new(1);
    let ledger = open(&device);
    let of_rare = |seq| RunRecord { job_id: id("rare"), ..large(seq, 20_000) };
    write(&ledger, (1..=60).map(|seq| if seq == 7 { of_rare(seq) } else { large(seq, 20_000) }), at(60));
    drop(ledger);
    let ledger = open(&device);
    let reads = |query: &Query| {
        let before = device.reads();
        ledger.page(query).expect("it can be read");
        device.reads() - before
    };
    let recent = Query { limit: 2, ..Query::default() };
    assert_eq!(reads(&recent), 1);
    assert_eq!(reads(&Query { after: Some(10), ..recent.clone() }), 1);
    let rare = Query { job: Some(id("rare")), ..recent };
    assert_eq!(reads(&rare), 20, "nothing is known of any");
    assert_eq!(reads(&rare), 2, "the one that has it, and the one that is written to");
}

#[test]
fn a_line_is_the_json_of_its_record_wherever_it_is() {
    let ledger = open(&Device::new(1));
    let text =
        RunRecord { reason: "\"seq\":9,\"run_id\":\"x\" \u{2028}日\n".into(), ..with_status(3, Status::Failed) };
    let json = serde_json::to_vec(&text).expect("JSON");
    ledger.push([text.into()], position(1, 1));
    let read = || ledger.page(&Query { limit: 1, ..Query::default() }).expect("it can be read").lines;
    assert_eq!(read(), std::slice::from_ref(&json));
    ledger.write(position(1, 1), at(0)).expect("there is room");
    assert_eq!(ledger.figures().pending, 0);
    assert_eq!(read(), [json]);
}

#[test]
fn a_page_ends_early_before_it_becomes_a_large_text() {
    let ledger = open(&Device::new(1));
    write(&ledger, (1..=30).map(|seq| large(seq, 100_000)), at(0));
    ledger.push((31..=40).map(|seq| large(seq, 100_000).into()), position(2, 1));
    let page = ledger.page(&Query { limit: 1_000, ..Query::default() }).expect("it can be read");
    assert!(page.lines.iter().map(Vec::len).sum::<usize>() <= HISTORY_PAGE_BYTES_MAX);
    assert_eq!(seqs(&page), (31..=40).rev().collect::<Vec<_>>());
    assert_eq!(page.next, Some(31));
    assert_eq!(all(&ledger, 1_000), (1..=40).rev().collect::<Vec<_>>());
    assert_eq!(all(&ledger, 3), (1..=40).rev().collect::<Vec<_>>());
}

#[test]
fn a_run_is_found_by_its_id_and_the_newest_record_of_it_counts() {
    let ledger = open(&Device::new(1));
    let again = |seq| RunRecord { run_id: run_id(500), ..with_status(seq, Status::Failed) };
    write(&ledger, (1..=300).map(|seq| large(seq, 1_000)).chain([again(301), record(302), again(303)]), at(0));
    ledger.push([record(304).into()], position(2, 1));
    let find = |run| ledger.find(run_id(run)).expect("it can be read").map(|line| seq(&line));
    assert_eq!([1, 150, 302, 304, 305, 500].map(find), [Some(1), Some(150), Some(302), Some(304), None, Some(303)]);
    // Another run that repeats it is not it.
    let mut repetition = record(305);
    repetition.origin.replay_of = Some(run_id(1));
    write(&ledger, [repetition], at(0));
    assert_eq!(find(1), Some(1));
}

#[test]
fn what_came_after_a_number_comes_the_oldest_first() {
    let ledger = open(&Device::new(1));
    history(&ledger);
    for limit in [1, 7, 1_000] {
        for from in [0, 1, 142, 279, 280, 299, 300, 1_000] {
            let (mut after, mut found) = (from, Vec::new());
            loop {
                let page = ledger.since(after, limit).expect("it can be read");
                assert!(page.lines.len() <= limit);
                found.extend(seqs(&page));
                let Some(next) = page.next else { break };
                after = next;
            }
            assert_eq!(found, (from + 1..=300).collect::<Vec<_>>(), "from {from} by {limit}");
        }
    }
}

#[test]
fn the_lines_of_some_numbers_are_found_between_damaged_ones() {
    let mut text = Vec::new();
    (1..=20).for_each(|seq| line::write(&mut text, &record(2 * seq)));
    let whole = String::from_utf8(text).expect("a text");
    let line_len = whole.len() / 20;
    for damaged in [0..0, 0..3, 7..8, 5..15, 18..20, 0..20] {
        let mut lines: Vec<_> = whole.lines().map(str::to_owned).collect();
        lines[damaged.clone()].fill("x".repeat(line_len));
        let text = lines.join("\n") + "\n";
        let seqs = |text: &str| -> Vec<_> { line::lines(text).filter_map(line::read).map(|line| line.seq).collect() };
        for start in 0..43 {
            for end in [0, start, start + 1, start + 9, u64::MAX] {
                let expected: Vec<_> = seqs(&text).into_iter().filter(|seq| (start..end).contains(seq)).collect();
                assert_eq!(seqs(line::within(&text, &(start..end))), expected, "{start}..{end} without {damaged:?}");
            }
        }
    }
}

#[test]
fn a_damaged_line_is_passed_over_and_no_other() {
    let device = Device::new(1);
    write(&open(&device), (1..=5).map(record), at(0));
    let name = device.files().into_keys().next().expect("a segment");
    device.edit(&name, |text| {
        let line = text.split(|byte| *byte == b'\n').next().expect("a line").len() + 1;
        text[line + 40] ^= 0x80;
        text[2 * line + 40] ^= 1;
        text[4 * line - 1] = 0;
    });
    let ledger = open(&device);
    assert_eq!(all(&ledger, 10), [1]);
    write(&ledger, [record(6)], at(0));
    assert_eq!(all(&ledger, 10), [6, 1]);
}
