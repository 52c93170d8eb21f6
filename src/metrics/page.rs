//! The page that a collector reads: every name and what it is said to mean.

use super::text::Kind::{Counter, Gauge};
use super::text::Text;
use super::{CLASSES, METHODS, Metrics, process};

/// What is not kept here, because whoever has it needs it himself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Connections that are open.
    pub connections: usize,
    /// Requests that were refused before they were read.
    pub unread: u64,
    /// Keys that are in force.
    pub keys: usize,
    /// How often others came into force.
    pub key_reloads: u64,
    /// Whether the key file cannot be read.
    pub is_key_file_unreadable: bool,
    /// The size of the history of runs.
    pub history_bytes: u64,
    /// Its records that are still to be written.
    pub history_pending: usize,
    /// Its records that were given up.
    pub history_lost: u64,
    /// Who listens to events.
    pub event_streams: usize,
    /// Who was too slow for them.
    pub event_streams_cut_off: u64,
}

impl Metrics {
    /// All numbers as they are now.
    pub fn page(&self, seen: &Seen) -> String {
        let mut text = Text::default();
        let version = [([("version", env!("CARGO_PKG_VERSION"))], 1)];
        text.family("ksana_build_info", Gauge, "What is running; always 1.", version);
        self.write_runs(&mut text);
        self.write_jobs(&mut text);
        self.write_store(&mut text);
        write_history(&mut text, seen);
        self.write_clients(&mut text, seen);
        write_events(&mut text, seen);
        process::write(&mut text, self.began);
        text.into_string()
    }

    fn write_runs(&self, text: &mut Text) {
        let runs = &self.runs;
        let statuses = [
            ("success", &runs.success),
            ("failed", &runs.failed),
            ("timeout", &runs.timeout),
            ("skipped", &runs.skipped),
            ("missed", &runs.missed),
        ];
        let samples = statuses.map(|(status, runs)| ([("status", status)], runs.get()));
        text.family("ksana_runs_total", Counter, "Runs that ended, and fires that were skipped or missed.", samples);
        let attempts = &self.attempts;
        let outcomes = [
            ("success", &attempts.success),
            ("failed", &attempts.failed),
            ("timeout", &attempts.timeout),
            ("cancelled", &attempts.cancelled),
        ];
        let samples = outcomes.map(|(outcome, attempts)| ([("outcome", outcome)], attempts.get()));
        text.family("ksana_attempts_total", Counter, "Attempts that ended, those of retries too.", samples);
        let help = "From when a run was due to its first attempt, but for what is made up for.";
        text.histogram("ksana_run_lateness_seconds", help, &self.lateness);
        let help = "From an attempt's beginning to its end, but for cancelled ones.";
        text.histogram("ksana_attempt_duration_seconds", help, &self.attempt_duration);
    }

    fn write_jobs(&self, text: &mut Text) {
        text.one("ksana_jobs", Gauge, "Jobs.", self.jobs.get());
        text.one("ksana_jobs_enabled", Gauge, "Jobs that are not paused.", self.jobs_enabled.get());
        text.one("ksana_runs_queued", Gauge, "Runs that wait for a worker.", self.runs_queued.get());
        text.one("ksana_attempts_in_flight", Gauge, "Attempts on their way.", self.attempts_in_flight.get());
        text.one("ksana_workers", Gauge, "The most attempts on their way at once.", self.workers);
        if let Some(due) = self.next_due.get() {
            let help = "When something is due next, in Unix time; absent where nothing is.";
            text.one("ksana_next_due_timestamp_seconds", Gauge, help, due);
        }
    }

    fn write_store(&self, text: &mut Text) {
        let store = &self.store;
        text.one("ksana_store_refusing", Gauge, "1 while changes are refused, else 0.", store.refusing.get());
        let help = "Writes to the journal, which attempts wait for.";
        text.histogram("ksana_journal_write_duration_seconds", help, &store.write_duration);
        let help = "Fsyncs of the journal, which changes wait for.";
        text.histogram("ksana_journal_fsync_duration_seconds", help, &store.fsync_duration);
        let help = "The length of the journal's present segment.";
        text.one("ksana_journal_segment_bytes", Gauge, help, store.segment_bytes.get());
        let help = "From the beginning of a jobs.json that was written to its end.";
        text.histogram("ksana_snapshot_duration_seconds", help, &store.snapshot_duration);
        let help = "How often jobs.json could not be written.";
        text.one("ksana_snapshot_failures_total", Counter, help, store.snapshots_failed.get());
        if let Some(written) = store.snapshot_at.get() {
            let help = "When jobs.json was last written, in Unix time; absent before the first time.";
            text.one("ksana_snapshot_last_success_timestamp_seconds", Gauge, help, written);
        }
    }

    fn write_clients(&self, text: &mut Text, seen: &Seen) {
        let methods = METHODS.iter().copied().chain(["other"]).zip(&self.requests.0);
        let samples = methods.flat_map(|(method, row)| {
            let classes = CLASSES.iter().copied().zip(row);
            classes.map(move |(class, requests)| ([("method", method), ("status", class)], requests.get()))
        });
        text.family("ksana_http_requests_total", Counter, "Requests that were answered.", samples);
        let help = "Requests that were refused unread: too long, malformed, or of an unknown method.";
        text.one("ksana_http_requests_unread_total", Counter, help, seen.unread);
        text.one("ksana_http_connections", Gauge, "Connections of clients that are open.", seen.connections);
        text.one("ksana_keys", Gauge, "API keys that are in force.", seen.keys);
        let help = "How often other keys came into force, the first time included.";
        text.one("ksana_key_file_reloads_total", Counter, help, seen.key_reloads);
        let help = "1 while the key file cannot be read and the keys stay as they were, else 0.";
        text.one("ksana_key_file_unreadable", Gauge, help, u8::from(seen.is_key_file_unreadable));
    }
}

fn write_history(text: &mut Text, seen: &Seen) {
    text.one("ksana_history_bytes", Gauge, "The size of the history of runs.", seen.history_bytes);
    let help = "Records of runs that wait to be written to the history.";
    text.one("ksana_history_records_pending", Gauge, help, seen.history_pending);
    let help = "Records of runs that were given up because too many waited.";
    text.one("ksana_history_records_lost_total", Counter, help, seen.history_lost);
}

fn write_events(text: &mut Text, seen: &Seen) {
    text.one("ksana_event_streams", Gauge, "Streams of events that are open.", seen.event_streams);
    let help = "Streams of events that were ended because their clients were too slow.";
    text.one("ksana_event_streams_cut_off_total", Counter, help, seen.event_streams_cut_off);
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn every_sample_stands_behind_the_head_of_its_family() {
        let metrics = Metrics::new(Timestamp::MAX, 4);
        metrics.next_due.set(Some(Timestamp::MAX));
        metrics.store.snapshot_at.set(Some(Timestamp::MIN));
        let page = metrics.page(&Seen::default());
        let mut family = "";
        let mut families = Vec::new();
        for line in page.lines() {
            if let Some(head) = line.strip_prefix("# HELP ") {
                family = head.split(' ').next().expect("a name");
                assert!(!families.contains(&family), "{family} is there twice");
                families.push(family);
            } else if let Some(head) = line.strip_prefix("# TYPE ") {
                assert!(head.starts_with(&format!("{family} ")), "{line}");
            } else {
                assert!(line.starts_with(family), "{line} behind {family}");
            }
        }
        assert_eq!(families.len(), 35, "{families:?}");
    }

    #[test]
    fn labels_are_of_a_closed_set_whatever_a_client_sends() {
        let metrics = Metrics::new(Timestamp::MIN, 4);
        let lines = || metrics.page(&Seen::default()).lines().count();
        let before = lines();
        for (method, status) in [("GET", 200), ("BREW", 404), ("get", 500), ("", 0), ("PROPFIND", 999), ("HEAD", 100)] {
            metrics.requests.add(method, status);
        }
        assert_eq!(lines(), before);
        let page = metrics.page(&Seen::default());
        for (method, status, count) in
            [("GET", "2xx", 1), ("other", "4xx", 1), ("other", "5xx", 2), ("other", "2xx", 1), ("HEAD", "2xx", 1)]
        {
            let line = format!("ksana_http_requests_total{{method=\"{method}\",status=\"{status}\"}} {count}\n");
            assert!(page.contains(&line), "no {line} in\n{page}");
        }
    }
}
