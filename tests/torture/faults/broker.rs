//! What happens to the broker and to its files.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use async_nats::jetstream;
use meritd::{cli::demo::broker, streams::subjects::StreamId};
use rand::{Rng as _, seq::IndexedRandom as _};
use rustix::process::{Signal, kill_process};

use super::{Faults, STORE, pid};
use crate::support::Daemon;

const STANDS_MS: std::ops::RangeInclusive<u64> = 100..=2_500;
const ANSWERS_WITHIN: Duration = Duration::from_secs(3);
/// Streams that may be deleted; the others are not what anything is made of.
const STREAMS: [StreamId; 4] =
    [StreamId::Events, StreamId::Unlocks, StreamId::Transactions, StreamId::Governance];
/// Below the data folder.
const FILES: &str = "nats/jetstream";
const COPY: &str = "jetstream";

impl Faults<'_> {
    pub(super) async fn disturb_broker(&mut self, daemon: &Daemon) -> &'static str {
        match self.chance.random_range(0..5) {
            0 | 1 => {
                signal(daemon, Signal::STOP);
                let stands = self.chance.random_range(STANDS_MS);
                tokio::time::sleep(Duration::from_millis(stands)).await;
                signal(daemon, Signal::CONT);
                "broker_paused"
            }
            2 => {
                signal(daemon, Signal::TERM);
                "broker_stopped"
            }
            _ => {
                signal(daemon, Signal::KILL);
                "broker_killed"
            }
        }
    }

    /// The broker loses something, under a daemon that lives, or is dead meanwhile.
    pub(super) async fn harm_broker(&mut self, daemon: &mut Daemon) -> &'static str {
        match self.chance.random_range(0..10) {
            0..=3 => {
                let stream = *STREAMS.choose(&mut self.chance).unwrap();
                let deleted = tokio::time::timeout(ANSWERS_WITHIN, delete(daemon, stream)).await;
                // It may be down, or have no such stream yet.
                if deleted == Ok(Some(())) { "stream_deleted" } else { "nothing" }
            }
            4..=6 => self.harm_files(daemon, Self::roll_back).await,
            7 | 8 => self.harm_files(daemon, Self::flip_bit).await,
            _ => {
                let lose = |_: &mut Self, files: &Path| {
                    fs::remove_dir_all(files).ok().map(|()| "broker_lost")
                };
                self.harm_files(daemon, lose).await
            }
        }
    }

    async fn harm_files(
        &mut self,
        daemon: &mut Daemon,
        harm: impl FnOnce(&mut Self, &Path) -> Option<&'static str>,
    ) -> &'static str {
        let files = daemon.setting.data().join(FILES);
        let lives = self.chance.random_bool(0.5);
        self.look_after(daemon);
        let standing = pid(daemon).filter(|_| lives);
        match standing {
            // Or it would start its broker again before that is done.
            Some(pid) => kill_process(pid, Signal::STOP).unwrap(),
            None => self.kill_only(daemon).await,
        }
        end(daemon);
        let harmed = harm(self, &files);
        match standing {
            Some(pid) => kill_process(pid, Signal::CONT).unwrap(),
            None => daemon.spawn(),
        }
        harmed.unwrap_or("broker_killed")
    }

    /// Puts the older copy in the place of the files, if there is one.
    fn roll_back(&mut self, files: &Path) -> Option<&'static str> {
        let copy = self.copies.as_ref()?.path().join(COPY);
        if !copy.exists() {
            return None;
        }
        let _ = fs::remove_dir_all(files);
        copy_folder(&copy, files);
        Some("broker_rolled_back")
    }

    /// Of a message of the events stream: of the others it is not promised that what is
    /// lost in the middle is missed.
    fn flip_bit(&mut self, files: &Path) -> Option<&'static str> {
        let blocks = all_files(files).into_iter().filter(|path| {
            path.to_string_lossy().contains("MERIT_EVENTS")
                && path.extension().is_some_and(|it| it == "blk")
        });
        let block = blocks.max_by_key(|path| fs::metadata(path).map_or(0, |it| it.len()))?;
        let mut bytes = fs::read(&block).ok().filter(|bytes| !bytes.is_empty())?;
        let place = self.chance.random_range(0..bytes.len());
        bytes[place] ^= 1 << self.chance.random_range(0..8);
        fs::write(block, bytes).ok()?;
        Some("bit_flipped")
    }

    /// Puts the store and the broker's files aside, while neither of the two runs.
    pub(super) fn take_copies(&mut self, daemon: &Daemon) {
        end(daemon);
        let copies = tempfile::tempdir().unwrap();
        let data = daemon.setting.data();
        // What there is not yet is not copied.
        let _ = fs::copy(data.join(STORE), copies.path().join(STORE));
        if data.join(FILES).exists() {
            copy_folder(&data.join(FILES), &copies.path().join(COPY));
        }
        self.copies = Some(copies);
    }
}

pub(super) fn signal(daemon: &Daemon, signal: Signal) {
    for pid in daemon.broker() {
        // It may have ended since it was found.
        let _ = kill_process(pid, signal);
    }
}

/// SIGKILL to whatever runs on its folder, until nothing does.
fn end(daemon: &Daemon) {
    while !daemon.broker().is_empty() {
        signal(daemon, Signal::KILL);
        std::thread::sleep(Duration::from_millis(10));
    }
}

async fn delete(daemon: &Daemon, stream: StreamId) -> Option<()> {
    let heard = broker::listen(&daemon.setting).await.ok()?;
    jetstream::new(heard.client).delete_stream(stream.name()).await.ok().map(drop)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// All files below a folder.
fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(all_files(&path));
        } else {
            found.push(path);
        }
    }
    found
}
