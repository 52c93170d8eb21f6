//! The thread that looks at the key file: every now and then, and at once where the system hints at a change.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::{error, info, warn};

use super::KeyRing;
use super::file::{Stamp, is_mount_point, look};
use super::keeper::{Keeper, News, Without};
use crate::limits::{KEY_EVENTS_GATHER_MILLIS, KEY_READ_SECS, KEY_STAMP_SETTLES_SECS};

/// The running thread. Dropped, it is told to stop and not waited for.
#[derive(Debug)]
pub struct KeyWatcher {
    stopping: Arc<AtomicBool>,
    /// Somebody wants to know when the file has been read again.
    asked: Arc<AtomicBool>,
    read: async_channel::Receiver<()>,
    hints: SyncSender<()>,
    /// Nothing ever comes, but it closes when the thread ends.
    ended: Receiver<()>,
    thread: Option<JoinHandle<()>>,
}

/// Looks at the file once, so that the ring is right when this returns, and then goes on looking.
///
/// # Errors
///
/// Where the system refuses a thread.
pub fn start(path: &Path) -> io::Result<(KeyRing, KeyWatcher)> {
    start_with(path, true)
}

pub(super) fn start_with(path: &Path, use_events: bool) -> io::Result<(KeyRing, KeyWatcher)> {
    let ring = KeyRing::default();
    let (stopping, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (answer, read) = async_channel::bounded(1);
    let (hints, hinted) = sync_channel(1);
    let (alive, ended) = sync_channel(0);
    let events = use_events.then(|| Events::new(path, hints.clone()));
    let mut watch = Watch {
        path: path.to_owned(),
        keeper: Keeper::default(),
        ring: ring.clone(),
        events,
        shown: None,
        hinted,
        stopping: Arc::clone(&stopping),
    };
    let was_asked = Arc::clone(&asked);
    watch.look(true);
    if is_mount_point(path) {
        warn!(
            path = %path.display(),
            "the key file is itself a mount point: a file that replaces it outside is never seen here; mount its folder"
        );
    }
    let thread = thread::Builder::new().name("ksana-keys".into()).spawn(move || {
        let _alive: SyncSender<()> = alive;
        while let Some(is_hinted) = watch.wait() {
            let is_asked = was_asked.swap(false, Ordering::AcqRel);
            watch.look(is_hinted || is_asked);
            if is_asked {
                // An answer that nobody has taken yet says the same.
                let _ = answer.try_send(());
            }
        }
    })?;
    Ok((ring, KeyWatcher { stopping, asked, read, hints, ended, thread: Some(thread) }))
}

impl KeyWatcher {
    /// Whether the thread still looks. If not, and nobody stopped it, no key can be revoked any more.
    pub fn is_running(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Has the file read now, whatever it shows of itself; [`KeyWatcher::read`] tells when that is done.
    pub fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        // A hint that waits already wakes the thread as well.
        let _ = self.hints.try_send(());
    }

    /// Waits until the file has been read after a call of [`KeyWatcher::ask`]; for ever where there was none.
    pub async fn read(&self) {
        if self.read.recv().await.is_err() {
            // The thread died, which is noticed elsewhere.
            std::future::pending::<()>().await;
        }
    }

    /// Stops the thread and waits for its end, for at most `patience`; false if it hangs, on a
    /// network's file system for instance, or panicked.
    pub fn stop(mut self, patience: Duration) -> bool {
        self.tell_to_stop();
        match self.ended.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) => false,
            _ => self.thread.take().is_some_and(|thread| thread.join().is_ok()),
        }
    }

    fn tell_to_stop(&self) {
        self.stopping.store(true, Ordering::Release);
        // A hint that waits already wakes the thread as well.
        let _ = self.hints.try_send(());
    }
}

impl Drop for KeyWatcher {
    fn drop(&mut self) {
        self.tell_to_stop();
    }
}

/// What a file has shown of itself for a while.
struct Shown {
    stamp: Stamp,
    since: Instant,
    /// When its keys were read, if a change since would show.
    read: Option<Instant>,
}

impl Shown {
    /// Whether there is no need to read it again. Now and then it is read all the same: some file systems make up
    /// what they show.
    fn is_known(&self, now: Instant) -> bool {
        self.read.is_some_and(|read| now.saturating_duration_since(read) < Duration::from_secs(KEY_READ_SECS))
    }

    /// A file system's clock ticks, and what is written within one tick has one time.
    fn is_settled(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= Duration::from_secs(KEY_STAMP_SETTLES_SECS)
    }
}

/// What the thread owns.
struct Watch {
    path: PathBuf,
    keeper: Keeper,
    ring: KeyRing,
    events: Option<Events>,
    /// What the file shows of itself.
    shown: Option<Shown>,
    hinted: Receiver<()>,
    stopping: Arc<AtomicBool>,
}

impl Watch {
    /// A hint may know of what the file does not show of itself.
    fn look(&mut self, is_hinted: bool) {
        // First the watch, then the look: what changes in between is hinted at.
        if let Some(events) = &mut self.events {
            events.follow();
        }
        let now = Instant::now();
        let before = self.shown.take();
        self.shown = Stamp::of(&self.path).map(|stamp| match before {
            Some(shown) if shown.stamp == stamp => shown,
            _ => Shown { stamp, since: now, read: None },
        });
        if !is_hinted && self.shown.as_ref().is_some_and(|shown| shown.is_known(now)) {
            return;
        }
        let (look, stamp) = look(&self.path);
        if let Some(shown) = &mut self.shown {
            shown.read = Some(now).filter(|_| stamp == Some(shown.stamp) && shown.is_settled(now));
        }
        if let Some(news) = self.keeper.see(look, Instant::now()) {
            self.ring.publish(self.keeper.published());
            tell(&self.path, &news);
        }
    }

    /// Until it is time to look again, and whether there is a hint; `None` when it is time to stop.
    fn wait(&self) -> Option<bool> {
        let hinted = self.hinted.recv_timeout(self.keeper.next_look()).is_ok();
        if hinted && !self.stopping.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(KEY_EVENTS_GATHER_MILLIS));
            // The channel holds one. What comes after this is for the next look.
            let _ = self.hinted.try_recv();
        }
        (!self.stopping.load(Ordering::Acquire)).then_some(hinted)
    }
}

fn tell(path: &Path, news: &News) {
    let path = path.display();
    match news {
        News::Loaded(keys) => info!(%path, keys, "loaded the API keys"),
        News::Mended => info!(%path, "the key file can be read again; its keys are the same"),
        News::Revoked(Without::Absent) => {
            warn!(%path, "there is no key file; every key is refused until there is one");
        }
        News::Revoked(Without::Empty) => {
            warn!(%path, "there is no key in the key file; every key is refused until there is one");
        }
        News::Unusable(reason) => error!(%path, reason, "cannot read the key file; the keys stay as they were"),
    }
}

/// The system's hints that something happened in the file's folder. All that they say is "look
/// now": where none come, the thread looks by itself soon enough.
struct Events {
    folder: PathBuf,
    hints: SyncSender<()>,
    watcher: Option<RecommendedWatcher>,
    watched: Option<Identity>,
    warned: bool,
}

/// What tells a folder from another one that takes its name later, and perhaps its inode.
type Identity = (u64, u64, Option<SystemTime>);

impl Events {
    fn new(path: &Path, hints: SyncSender<()>) -> Self {
        let folder = match path.parent() {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
            None => path,
        };
        Self { folder: folder.to_owned(), hints, watcher: None, watched: None, warned: false }
    }

    /// Watches the folder that has the name now.
    fn follow(&mut self) {
        // Read before the watch is set: if the folder changes in between, the next call sees it.
        let identity = fs::metadata(&self.folder).ok().map(|found| (found.dev(), found.ino(), found.created().ok()));
        if identity == self.watched {
            return;
        }
        if let Some(watcher) = &mut self.watcher
            && self.watched.take().is_some()
        {
            // It fails where the folder is gone, and the watch with it.
            let _ = watcher.unwatch(&self.folder);
        }
        if identity.is_none() {
            return;
        }
        match self.watch() {
            Ok(()) => self.watched = identity,
            Err(error) if !self.warned => {
                self.warned = true;
                let folder = self.folder.display();
                warn!(%folder, %error, "no events of the key file; it is looked at by the clock alone");
            }
            Err(_) => {}
        }
    }

    fn watch(&mut self) -> notify::Result<()> {
        let watcher = match &mut self.watcher {
            Some(watcher) => watcher,
            none => {
                let hints = self.hints.clone();
                let hint = move |event| {
                    if may_be_a_change(&event) {
                        // A hint that waits already says the same.
                        let _ = hints.try_send(());
                    }
                };
                none.insert(RecommendedWatcher::new(hint, notify::Config::default())?)
            }
        };
        watcher.watch(&self.folder, RecursiveMode::NonRecursive)
    }
}

/// All but reading, which is also what a look does: it would hint at itself for ever.
fn may_be_a_change(event: &notify::Result<Event>) -> bool {
    let Ok(event) = event else { return true };
    match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange, ModifyKind, RemoveKind, RenameMode};

    use super::*;
    use crate::keys::tests::Folder;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// What the file shows of itself is believed by then, so nothing else could tell of this write.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_that_has_not_changed_for_long_is_read_when_it_does() {
        let folder = Folder::new();
        let path = folder.0.join("keys");
        fs::write(&path, "alpha").expect("own folder");
        let (_hints, hinted) = sync_channel(1);
        let (keeper, ring, stopping) = (Keeper::default(), KeyRing::default(), Arc::default());
        let mut watch = Watch { path: path.clone(), keeper, ring, events: None, shown: None, hinted, stopping };
        let is_known = |watch: &Watch| watch.shown.as_ref().is_some_and(|shown| shown.is_known(Instant::now()));
        let begun = Instant::now();
        while !is_known(&watch) {
            assert!(begun.elapsed() < PATIENCE, "nothing changes, and it is never believed");
            watch.look(false);
            thread::sleep(Duration::from_millis(10));
        }
        assert!(watch.ring.admits(b"alpha"));
        watch.look(false);
        fs::write(&path, "gamma").expect("own folder");
        watch.look(false);
        assert!(watch.ring.admits(b"gamma") && !watch.ring.admits(b"alpha"));
        assert!(!is_known(&watch), "it may be written again within the same tick");
    }

    #[test]
    fn all_events_but_reading_are_hints() {
        let check = |kind, expected| assert_eq!(may_be_a_change(&Ok(Event::new(kind))), expected, "{kind:?}");
        check(EventKind::Access(AccessKind::Open(AccessMode::Any)), false);
        check(EventKind::Access(AccessKind::Close(AccessMode::Read)), false);
        check(EventKind::Access(AccessKind::Close(AccessMode::Write)), true);
        check(EventKind::Create(CreateKind::File), true);
        check(EventKind::Modify(ModifyKind::Data(DataChange::Any)), true);
        check(EventKind::Modify(ModifyKind::Name(RenameMode::To)), true);
        check(EventKind::Remove(RemoveKind::Folder), true);
        check(EventKind::Other, true);
        assert!(may_be_a_change(&Err(notify::Error::generic("overflow"))));
    }

    /// The watcher's tests would pass without any event, only later; this one would not.
    #[test]
    fn hints_come_from_whichever_folder_has_the_name() {
        let top = Folder::new();
        let folder = top.0.join("config");
        let path = folder.join("keys");
        let (hints, hinted) = sync_channel(1);
        let mut events = Events::new(&path, hints);
        events.follow();
        assert_eq!(events.watched, None, "there is no folder yet");
        for _ in 0..3 {
            fs::create_dir(&folder).expect("a new folder");
            events.follow();
            assert!(events.watched.is_some());
            while hinted.try_recv().is_ok() {}
            fs::write(&path, "alpha").expect("a file");
            hinted.recv_timeout(PATIENCE).expect("writing hints");
            fs::remove_dir_all(&folder).expect("own folder");
            hinted.recv_timeout(PATIENCE).expect("deleting hints");
        }
    }

    #[test]
    fn file_without_a_folder_in_its_name_lies_in_the_present_one() {
        assert_eq!(Events::new(Path::new("keys"), sync_channel(1).0).folder, Path::new("."));
    }
}
