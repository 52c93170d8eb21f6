//! A disk in memory. It knows what a process sees and what a power cut would leave of it, fails
//! on purpose, and dies with its process in the middle of an operation.

mod inside;
mod mount;

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use inside::Runs;
pub(crate) use mount::Mount;

use crate::gate::Gate;
use crate::random::Random;

/// What is wrong with the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing.
    None,
    /// No byte more fits, but for what the last write could still put somewhere.
    Full,
    /// Nothing may be changed.
    ReadOnly,
    /// Every third operation fails.
    Flaky,
    /// The last byte of each write finds no room, and nothing can be cut back.
    LastByte,
    /// No file takes another's place.
    NoRename,
    /// No file goes.
    NoRemoval,
}

impl Trouble {
    /// All that is trouble.
    pub(crate) const ALL: [Self; 6] =
        [Self::Full, Self::ReadOnly, Self::Flaky, Self::LastByte, Self::NoRename, Self::NoRemoval];
}

/// What the operation gives in which the process dies.
const DIES_HERE: io::ErrorKind = io::ErrorKind::BrokenPipe;

/// The device, which outlasts the processes.
#[derive(Clone, Debug)]
pub(crate) struct Device(Arc<Mutex<State>>);

#[derive(Clone, Debug)]
struct State {
    random: Random,
    /// Counts the processes; the operations of dead ones fail.
    life: u64,
    /// What the process sees.
    names: BTreeMap<String, usize>,
    /// What a power cut leaves of the names for sure, and what was done to them since.
    durable_names: BTreeMap<String, usize>,
    name_changes: Vec<NameChange>,
    contents: Vec<Content>,
    trouble: Trouble,
    /// The next fsync fails.
    sync_fails: bool,
    /// In how many operations the process dies.
    dies_in: Option<u64>,
    /// Segments of the journal that the owner wrote to, and whether it worked, since it was asked.
    written: Option<bool>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Link(String, usize),
    /// From, to, and what.
    Rename(String, String, usize),
    Remove(String),
}

#[derive(Clone, Debug, Default)]
struct Content {
    seen: Vec<u8>,
    durable: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Device {
    pub(crate) fn new(random: Random) -> Self {
        Self(Arc::new(Mutex::new(State {
            random,
            life: 0,
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            name_changes: Vec::new(),
            contents: Vec::new(),
            trouble: Trouble::None,
            sync_fails: false,
            dies_in: None,
            written: None,
        })))
    }

    /// One on which these files lie.
    pub(crate) fn holding<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Self {
        let device = Self::new(Random::new(0));
        let mut state = device.lock();
        for (name, content) in files {
            state.put(name, content);
        }
        drop(state);
        device
    }

    /// The same with this chance.
    pub(crate) fn with(self, random: Random) -> Self {
        self.lock().random = random;
        self
    }

    /// A file that was there before all.
    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        self.lock().put(name, content);
    }

    /// The disk as a new process gets it.
    pub(crate) fn mount(&self) -> Mount {
        let mut state = self.lock();
        state.life += 1;
        state.dies_in = None;
        Mount { device: self.clone(), life: state.life, gate: Gate::new() }
    }

    pub(crate) fn set_trouble(&self, trouble: Trouble) {
        self.lock().trouble = trouble;
    }

    pub(crate) fn trouble(&self) -> Trouble {
        self.lock().trouble
    }

    /// Whether nothing is wrong with it, nor will be with the next fsync.
    pub(crate) fn is_well(&self) -> bool {
        let state = self.lock();
        state.trouble == Trouble::None && !state.sync_fails
    }

    /// Has the next fsync fail, or not after all.
    pub(crate) fn set_sync_fails(&self, fails: bool) {
        self.lock().sync_fails = fails;
    }

    /// Has the process die at one of its next operations.
    pub(crate) fn die_in(&self, operations: u64) {
        self.lock().dies_in = Some(operations);
    }

    /// Nothing is wrong any more.
    pub(crate) fn calm_down(&self) {
        let mut state = self.lock();
        state.trouble = Trouble::None;
        state.sync_fails = false;
        state.dies_in = None;
    }

    /// The names of what lies there.
    pub(crate) fn files(&self) -> Vec<String> {
        self.lock().names.keys().cloned().collect()
    }

    /// Whether it will, or has.
    pub(crate) fn dies_soon(&self) -> bool {
        self.lock().dies_in.is_some()
    }

    /// Whether it has.
    pub(crate) fn is_dead(&self) -> bool {
        self.lock().dies_in == Some(0)
    }

    /// Whether the owner's write since the last call worked; `None` where there was none.
    pub(crate) fn take_written(&self) -> Option<bool> {
        self.lock().written.take()
    }

    /// kill -9: what the process saw stays.
    pub(crate) fn kill(&self) {
        self.lock().life += 1;
    }

    /// The power goes: of what was not synced, chance keeps something.
    pub(crate) fn cut_power(&self) {
        let mut state = self.lock();
        state.life += 1;
        let State { random, durable_names, name_changes, contents, names, .. } = &mut *state;
        // A journalling file system keeps a beginning of them; POSIX promises no order.
        let in_order = random.per_mille(500);
        let kept = random.index(name_changes.len() + 1);
        for (index, change) in name_changes.drain(..).enumerate() {
            let is_kept = if in_order { index < kept } else { random.per_mille(500) };
            if is_kept {
                change.apply(durable_names);
            }
        }
        names.clone_from(durable_names);
        for content in contents {
            content.lose(random);
        }
    }

    /// What the process sees.
    pub(crate) fn seen(&self) -> Mount {
        let state = self.lock();
        frozen(&state.names, |index| state.contents[index].seen.clone())
    }

    /// The least that a power cut would leave.
    pub(crate) fn least(&self) -> Mount {
        let state = self.lock();
        frozen(&state.durable_names, |index| state.contents[index].durable.clone())
    }

    /// What a power cut now might leave, by this chance.
    pub(crate) fn after_a_cut(&self, random: Random) -> Mount {
        let state = State { random, ..self.lock().clone() };
        let device = Self(Arc::new(Mutex::new(state)));
        device.cut_power();
        device.mount()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn put(&mut self, name: &str, content: &[u8]) {
        let index = self.contents.len();
        let (seen, durable) = (content.to_vec(), content.to_vec());
        self.contents.push(Content { seen, durable, changes: Vec::new() });
        self.names.insert(name.to_owned(), index);
        self.durable_names.insert(name.to_owned(), index);
    }
}

/// A copy that nobody else changes.
fn frozen(names: &BTreeMap<String, usize>, content: impl Fn(usize) -> Vec<u8>) -> Mount {
    let files: Vec<_> = names.iter().map(|(name, index)| (name.as_str(), content(*index))).collect();
    Device::holding(files.iter().map(|(name, content)| (*name, content.as_slice()))).mount()
}

impl NameChange {
    fn apply(self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, index) => {
                names.insert(name, index);
            }
            Self::Rename(name, place, index) => {
                names.remove(&name);
                names.insert(place, index);
            }
            Self::Remove(name) => {
                names.remove(&name);
            }
        }
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.changes.push(change);
    }

    fn sync(&mut self) {
        for change in self.changes.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// An fsync fails as on Linux: what was to be written counts as written from now on, whatever
    /// became of it, and is still seen; a later fsync writes only what is written again. The length
    /// is no page: a later fsync brings it, maybe with nothing in it.
    fn fail_sync(&mut self, random: &mut Random) {
        self.keep_some(random);
        if self.seen.len() < self.durable.len() || random.per_mille(500) {
            self.changes.push(Change::SetLen(self.seen.len()));
        }
    }

    /// The power goes.
    fn lose(&mut self, random: &mut Random) {
        self.keep_some(random);
        self.seen.clone_from(&self.durable);
    }

    /// Keeps some of what was not synced: nothing; a beginning, its last piece torn; or pieces
    /// with holes between them.
    fn keep_some(&mut self, random: &mut Random) {
        let changes = std::mem::take(&mut self.changes);
        match random.below(3) {
            0 => {}
            1 => {
                let kept = random.index(changes.len() + 1);
                for (index, change) in changes.into_iter().take(kept).enumerate() {
                    let change = if index + 1 == kept { change.torn(random) } else { change };
                    change.apply(&mut self.durable);
                }
            }
            _ => {
                for change in changes {
                    if random.per_mille(500) {
                        change.torn(random).apply(&mut self.durable);
                    }
                }
            }
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(bytes);
            }
            Self::SetLen(len) => content.resize(*len, 0),
        }
    }

    fn torn(self, random: &mut Random) -> Self {
        match self {
            Self::Write { offset, mut bytes } => {
                if random.per_mille(500) {
                    bytes.truncate(random.index(bytes.len() + 1));
                }
                Self::Write { offset, bytes }
            }
            whole @ Self::SetLen(_) => whole,
        }
    }
}
