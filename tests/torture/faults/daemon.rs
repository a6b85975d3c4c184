//! What ends the daemon, and what it finds when it is back.

use std::{
    fs,
    time::{Duration, Instant},
};

use meritd::failpoints::Failpoint;
use rand::{Rng as _, seq::IndexedRandom as _};
use rustix::process::{Signal, kill_process};

use super::{Faults, STORE, last_words, pid};
use crate::{support::Daemon, torture::scene::Staying};

/// Not every life is so long that the daemon gets ready.
const DOWN_MS: std::ops::RangeInclusive<u64> = 0..=600;
/// How far a drain gets.
const DRAINS_MS: std::ops::RangeInclusive<u64> = 0..=400;
/// What the log says of one that came to its failpoint.
const DIES: &str = "the process dies on purpose";
/// How long a life is given to come to its failpoint.
const DOOMED: Duration = Duration::from_secs(5);

impl Faults<'_> {
    pub(super) async fn end_daemon(&mut self, daemon: &mut Daemon) -> &'static str {
        match self.chance.random_range(0..12) {
            0..=4 => self.kill(daemon).await,
            5 | 6 => self.kill_at_failpoint(daemon).await,
            7 => {
                self.look_after(daemon);
                self.note_peak(daemon);
                let how = daemon.stop().await;
                if !how.success() {
                    self.wrong.push(format!("SIGTERM ended it with {how}"));
                }
                self.down().await;
                daemon.spawn();
                "daemon_stopped"
            }
            8 => self.kill_while_draining(daemon).await,
            9 => {
                self.kill_only(daemon).await;
                self.change_settings(daemon);
                daemon.spawn();
                "settings_changed"
            }
            _ => self.go_back(daemon).await,
        }
    }

    pub(super) async fn kill(&mut self, daemon: &mut Daemon) -> &'static str {
        self.kill_only(daemon).await;
        self.down().await;
        daemon.spawn();
        "daemon_killed"
    }

    pub(super) async fn kill_only(&mut self, daemon: &mut Daemon) {
        self.look_after(daemon);
        self.note_peak(daemon);
        daemon.kill().await;
        self.kills += 1;
    }

    async fn down(&mut self) {
        let down = self.chance.random_range(DOWN_MS);
        tokio::time::sleep(Duration::from_millis(down)).await;
    }

    async fn kill_at_failpoint(&mut self, daemon: &mut Daemon) -> &'static str {
        let point = *Failpoint::ALL.choose(&mut self.chance).unwrap();
        let nth = self.chance.random_range(1..=3);
        self.kill_only(daemon).await;
        let mut doomed: toml::Table = self.settings.parse().unwrap();
        let debug = doomed.get_mut("debug").and_then(toml::Value::as_table_mut).unwrap();
        debug.insert("failpoint".to_owned(), format!("{point}:{nth}").into());
        daemon.setting.write("development.toml", &doomed.to_string()).unwrap();
        daemon.spawn();
        let deadline = Instant::now() + DOOMED;
        while !daemon.has_ended() {
            if Instant::now() > deadline {
                // It had nothing to do that goes by there.
                self.kill_only(daemon).await;
                self.restart(daemon);
                return "daemon_killed";
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let dies = last_words(daemon).contains(DIES);
        self.kills += u64::from(dies);
        if !dies {
            self.note_end(daemon);
        }
        self.restart(daemon);
        "daemon_killed_at_failpoint"
    }

    fn restart(&self, daemon: &mut Daemon) {
        daemon.setting.write("development.toml", &self.settings).unwrap();
        daemon.spawn();
    }

    /// SIGTERM, and SIGKILL before it is done.
    async fn kill_while_draining(&mut self, daemon: &mut Daemon) -> &'static str {
        self.look_after(daemon);
        self.note_peak(daemon);
        if let Some(pid) = pid(daemon) {
            // It may have ended since.
            let _ = kill_process(pid, Signal::TERM);
        }
        let drains = self.chance.random_range(DRAINS_MS);
        tokio::time::sleep(Duration::from_millis(drains)).await;
        if !daemon.has_ended() {
            daemon.kill().await;
            self.kills += 1;
        }
        daemon.spawn();
        "daemon_killed_while_draining"
    }

    /// There is no reload: a new configuration is for the next start.
    fn change_settings(&mut self, daemon: &Daemon) {
        let mut file: toml::Table = self.scene.text.parse().unwrap();
        let signers = file.get_mut("signers").and_then(toml::Value::as_array_mut);
        let signer = signers.unwrap()[0].as_table_mut().unwrap();
        let batch = format!(
            "max_items = {}\nmax_wait_ms = {}",
            self.chance.random_range(1..=20),
            self.chance.random_range(50..=1_500)
        );
        signer.insert("batch".to_owned(), batch.parse::<toml::Table>().unwrap().into());
        signer.insert("bump_after_s".to_owned(), self.chance.random_range(5_i64..=20).into());
        self.settings = file.to_string();
        daemon.setting.write("development.toml", &self.settings).unwrap();
    }

    /// Its store is lost, or an older copy; where it must stay, copies are taken.
    async fn go_back(&mut self, daemon: &mut Daemon) -> &'static str {
        self.kill_only(daemon).await;
        let store = daemon.setting.data().join(STORE);
        let copy = self.copies.as_ref().map(|copies| copies.path().join(STORE));
        let kind = match copy.filter(|copy| copy.exists()) {
            _ if self.scene.staying == Staying::Store => {
                self.take_copies(daemon);
                "copies"
            }
            Some(copy) if self.chance.random_bool(0.7) => {
                fs::copy(copy, store).unwrap();
                "store_rolled_back"
            }
            None if self.chance.random_bool(0.7) => {
                self.take_copies(daemon);
                "copies"
            }
            _ => {
                // It has none before it got that far once.
                let _ = fs::remove_file(store);
                "store_lost"
            }
        };
        daemon.spawn();
        kind
    }
}
