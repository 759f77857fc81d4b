//! What a double is told to do wrong.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};

/// What goes wrong with a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteFault {
    /// The connection's stream breaks, and nothing was written.
    Lost,
    /// The connection's stream breaks after it was written: the acknowledgement is lost.
    Unacknowledged,
    /// Nothing was written, and no answer comes.
    Silent,
    /// It was written, and no answer comes.
    SilentAfter,
    /// The server says that its own deadline passed; nothing was written.
    Deadline,
    /// The server says that its own deadline passed, but it was written all the same.
    DeadlineAfter,
    /// Another node is the leader.
    NotLeader(SocketAddr),
}

/// What goes wrong with a read or a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFault {
    /// It breaks after so many events.
    Unavailable(usize),
    /// It ends without an error after so many events; for a subscription that is wrong.
    Ends(usize),
    /// A subscription brings the event at which it goes on once more.
    Repeats,
    /// A pause before each event.
    Slow(Duration),
    /// It brings nothing any more, though it stays open.
    Stalls(usize),
    /// Another node is the leader.
    NotLeader(SocketAddr),
}

/// What is still to go wrong. Faults are used up in their order.
#[derive(Debug, Default)]
pub struct Faults {
    writes: Mutex<VecDeque<(usize, WriteFault)>>,
    reads: Mutex<VecDeque<ReadFault>>,
    subscriptions: Mutex<VecDeque<ReadFault>>,
    hold: Mutex<Option<Hold>>,
    held: watch::Sender<usize>,
    count: AtomicUsize,
    sessions: AtomicUsize,
}

#[derive(Debug)]
struct Hold {
    skip: usize,
    written: bool,
    release: oneshot::Receiver<bool>,
}

/// A write that is held back, or will be.
#[derive(Debug)]
pub struct Held {
    release: oneshot::Sender<bool>,
    reached: watch::Receiver<usize>,
    seen: usize,
}

impl Held {
    /// Waits until the write is there.
    pub async fn reached(&mut self) {
        let seen = self.seen;
        // The sender lives as long as the double.
        let _ = self.reached.wait_for(|count| *count > seen).await;
    }

    /// Lets it go on; `written` says whether it is written, should it not be already.
    pub fn release(self, written: bool) {
        // Whoever held it may be gone with its connection.
        let _ = self.release.send(written);
    }
}

impl Faults {
    /// The write after `skip` more goes wrong; further ones count on from there.
    pub fn write(&self, skip: usize, fault: WriteFault) {
        self.writes.lock().push_back((skip, fault));
    }

    /// The next read of a stream or of `$all` goes wrong.
    pub fn read(&self, fault: ReadFault) {
        self.reads.lock().push_back(fault);
    }

    /// The next subscription goes wrong.
    pub fn subscription(&self, fault: ReadFault) {
        self.subscriptions.lock().push_back(fault);
    }

    /// The write after `skip` more is held back: before it is written, or, when `written`, between that and its
    /// acknowledgement.
    pub fn hold(&self, skip: usize, written: bool) -> Held {
        let (release, receiver) = oneshot::channel();
        *self.hold.lock() = Some(Hold { skip, written, release: receiver });
        Held { release, seen: *self.held.borrow(), reached: self.held.subscribe() }
    }

    /// How many writes have been asked for.
    pub fn writes(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// How many batch sessions have been opened.
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    pub(super) fn open_session(&self) {
        self.sessions.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn next_write(&self) -> Option<WriteFault> {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut writes = self.writes.lock();
        let (skip, fault) = writes.front_mut()?;
        match skip.checked_sub(1) {
            Some(left) => {
                *skip = left;
                None
            }
            None => {
                let fault = *fault;
                writes.pop_front();
                Some(fault)
            }
        }
    }

    pub(super) fn next_read(&self) -> Option<ReadFault> {
        self.reads.lock().pop_front()
    }

    pub(super) fn next_subscription(&self) -> Option<ReadFault> {
        self.subscriptions.lock().pop_front()
    }

    /// Holds the write back if it is its turn: whether it is to be written, and what it waits for after that.
    pub(super) async fn hold_back(&self) -> (bool, Option<oneshot::Receiver<bool>>) {
        let hold = {
            let mut hold = self.hold.lock();
            match hold.as_mut() {
                None => return (true, None),
                Some(Hold { skip, .. }) if *skip > 0 => {
                    *skip -= 1;
                    return (true, None);
                }
                Some(_) => hold.take(),
            }
        };
        let Some(Hold { written, release, .. }) = hold else { return (true, None) };
        if written {
            return (true, Some(release));
        }
        self.held.send_modify(|count| *count += 1);
        (release.await.unwrap_or(false), None)
    }

    /// The second half of holding back: it is written, and nobody is told yet.
    pub(super) async fn hold_answer(&self, release: oneshot::Receiver<bool>) {
        self.held.send_modify(|count| *count += 1);
        // Released or forgotten, it goes on.
        let _ = release.await;
    }
}
