//! Several threads that read the pieces of a large file: what comes of them is taken in the order in which they lie there.

use std::io;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::thread;

use async_channel::{Receiver, Sender};

use crate::limits::{READER_PIECES_MAX, READERS_MAX};

/// Has each piece of `next` read, and takes what comes of them until one is not taken. Says whether all were.
pub(super) fn read<P: Send, R: Send>(
    next: impl FnMut() -> io::Result<Option<P>> + Send,
    read: impl Fn(P) -> R + Sync,
    take: impl FnMut(R) -> bool,
) -> io::Result<bool> {
    let readers = thread::available_parallelism().map_or(1, NonZero::get).min(READERS_MAX);
    let read = &read;
    thread::scope(|scope| {
        let (mut to_read, mut to_take) = (Vec::new(), Vec::new());
        for _ in 0..readers {
            let (sender, pieces) = async_channel::bounded(READER_PIECES_MAX);
            let (results, receiver) = async_channel::bounded(READER_PIECES_MAX);
            to_read.push(sender);
            to_take.push(receiver);
            named("ksana-read").spawn_scoped(scope, move || read_all(&pieces, &results, read))?;
        }
        let cutter = named("ksana-cut").spawn_scoped(scope, move || cut_all(next, &to_read))?;
        let taken = take_all(&to_take, take);
        // Where one was not taken, this ends the others.
        drop(to_take);
        cutter.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        Ok(taken)
    })
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.into())
}

/// Each reader has its turn, so that the order of the pieces needs no number, and none runs ahead of the others.
fn cut_all<P>(mut next: impl FnMut() -> io::Result<Option<P>>, to_read: &[Sender<P>]) -> io::Result<()> {
    for reader in to_read.iter().cycle() {
        let Some(piece) = next()? else { break };
        if reader.send_blocking(piece).is_err() {
            break;
        }
    }
    Ok(())
}

fn read_all<P, R>(pieces: &Receiver<P>, results: &Sender<R>, read: &impl Fn(P) -> R) {
    while let Ok(piece) = pieces.recv_blocking() {
        if results.send_blocking(read(piece)).is_err() {
            return;
        }
    }
}

/// The first reader in whose turn there is nothing has seen the end.
fn take_all<R>(to_take: &[Receiver<R>], mut take: impl FnMut(R) -> bool) -> bool {
    to_take.iter().cycle().map_while(|reader| reader.recv_blocking().ok()).all(&mut take)
}
