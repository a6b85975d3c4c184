//! A broker that answers, but not the writes of one stream.
//!
//! See [`crate::streams::unanswered`]: it takes a restart of the server. Ours is restarted
//! once that is certain and its disk has room; of somebody else's the log says what to do.

use std::{path::PathBuf, time::Duration};

use tokio::{
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    streams::{connection::Connection, unanswered::Silence},
    telemetry::Metrics,
};

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So many writes of a stream without an answer in a row are no accident: one each time-out.
const WRITES: u32 = 3;
/// Room on the disk, bytes, without which starting it again is no use.
const ROOM: u64 = 32 << 20;
/// Shortest time between two restarts.
const PAUSE_MIN: Duration = Duration::from_secs(30);
/// Longest time between two restarts.
const PAUSE_MAX: Duration = Duration::from_secs(600);

/// A server of our own.
pub(super) struct Own {
    /// Where its files are.
    pub(super) folder: PathBuf,
    /// Told to start it again.
    pub(super) restart: mpsc::Sender<()>,
}

/// Watches the connection's writes.
pub(super) fn watch(connection: &Connection, own: Option<Own>, metrics: Metrics) -> JoinHandle<()> {
    let connection = connection.clone();
    actix_rt::spawn(async move {
        let mut judge = Judge::default();
        let show = |stream: &str, mute| metrics.stream_mute.with_label_values(&[stream]).set(mute);
        let mut shown = None;
        loop {
            sleep(LOOK_EVERY).await;
            let silent = connection.unanswered();
            let silence = silent.as_ref().map(|(_, silence)| *silence);
            // It answers again, or another has not answered for longer.
            let stream = silent.map(|(stream, _)| stream);
            if let Some(before) = shown.take_if(|it| stream.as_ref() != Some(it)) {
                show(&before, 0);
            }
            match judge.next(Instant::now(), silence) {
                Verdict::Fine => {}
                Verdict::Ask => {
                    let asked = Instant::now();
                    if connection.probe().await.is_ok() {
                        judge.answered(asked);
                    }
                }
                Verdict::Mute => {
                    let stream = stream.unwrap_or_default();
                    show(&stream, 1);
                    if act(&stream, own.as_ref()) {
                        judge.acted(Instant::now());
                    }
                    shown = Some(stream);
                }
            }
        }
    })
}

/// Whether there was something to do about it.
fn act(stream: &str, own: Option<&Own>) -> bool {
    let Some(own) = own else {
        tracing::error!(
            stream,
            "the broker answers, but no write to this stream: look at its log and its disk, and restart it"
        );
        return true;
    };
    match room(&own.folder) {
        Ok(room) if room < ROOM => {
            tracing::error!(
                stream,
                room,
                "nats-server takes no write to this stream, and the disk of {} is full: make room",
                own.folder.display()
            );
            false
        }
        // What can't be known does not hinder.
        _ => {
            tracing::error!(
                stream,
                "nats-server answers, but no write to this stream: restarting it"
            );
            // Full: it is being restarted already.
            let _ = own.restart.try_send(());
            true
        }
    }
}

/// Bytes that are left for us where the folder is.
fn room(folder: &std::path::Path) -> std::io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing.
    Fine,
    /// Whether the server answers anything at all.
    Ask,
    /// It answers, but not this stream's writes.
    Mute,
}

/// Decides by what was seen, and when.
#[derive(Debug, Default)]
struct Judge {
    /// When the server was asked something that it answered, within this silence.
    answered: Option<Instant>,
    acted: Option<Instant>,
    pause: Duration,
}

impl Judge {
    fn next(&mut self, now: Instant, silence: Option<Silence>) -> Verdict {
        let Some(silence) = silence else {
            self.answered = None;
            if self.acted.is_some_and(|acted| now - acted > PAUSE_MAX) {
                (self.acted, self.pause) = (None, Duration::ZERO);
            }
            return Verdict::Fine;
        };
        let Some(answered) = self.answered.filter(|answered| *answered >= silence.since) else {
            return Verdict::Ask;
        };
        // What was sent before the answer may have waited for what held up both.
        if silence.writes < WRITES || silence.last <= answered {
            return Verdict::Fine;
        }
        if self.acted.is_some_and(|acted| now - acted < self.pause) {
            return Verdict::Fine;
        }
        Verdict::Mute
    }

    fn answered(&mut self, at: Instant) {
        self.answered = Some(at);
    }

    fn acted(&mut self, at: Instant) {
        self.acted = Some(at);
        self.answered = None;
        self.pause = (self.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silence(since: Instant, seconds: u64, writes: u32) -> Silence {
        Silence { since, last: since + Duration::from_secs(seconds), writes }
    }

    #[test]
    fn a_server_that_answers_something_but_no_write_of_a_stream_is_mute() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut judge = Judge::default();
        assert_eq!(judge.next(at(0), None), Verdict::Fine);
        assert_eq!(judge.next(at(5), Some(silence(begin, 0, 1))), Verdict::Ask);
        judge.answered(at(5));
        assert_eq!(judge.next(at(11), Some(silence(begin, 6, 2))), Verdict::Fine);
        assert_eq!(judge.next(at(17), Some(silence(begin, 12, 3))), Verdict::Mute);
    }

    #[test]
    fn a_server_that_answers_nothing_is_not_judged() {
        let begin = Instant::now();
        let mut judge = Judge::default();
        for writes in 1..20 {
            let now = begin + Duration::from_secs(6 * u64::from(writes));
            let silent = silence(begin, 6 * u64::from(writes) - 5, writes);
            assert_eq!(judge.next(now, Some(silent)), Verdict::Ask);
        }
    }

    #[test]
    fn writes_of_before_the_answer_prove_nothing() {
        let begin = Instant::now();
        let mut judge = Judge::default();
        judge.answered(begin + Duration::from_secs(30));
        let now = begin + Duration::from_secs(31);
        assert_eq!(judge.next(now, Some(silence(begin, 25, 5))), Verdict::Fine);
    }

    #[test]
    fn an_answer_of_an_earlier_silence_proves_nothing() {
        let begin = Instant::now();
        let mut judge = Judge::default();
        judge.answered(begin);
        let since = begin + Duration::from_secs(1);
        let now = begin + Duration::from_secs(40);
        assert_eq!(judge.next(now, Some(silence(since, 20, 4))), Verdict::Ask);
    }

    #[test]
    fn a_server_that_stays_mute_is_restarted_less_and_less_often() {
        let begin = Instant::now();
        let mut judge = Judge::default();
        let mut restarts = Vec::new();
        for second in 1..3600_u32 {
            let now = begin + Duration::from_secs(second.into());
            match judge.next(now, Some(silence(begin, second.into(), second))) {
                Verdict::Ask => judge.answered(now - Duration::from_millis(500)),
                Verdict::Mute => {
                    judge.acted(now);
                    restarts.push(second);
                }
                Verdict::Fine => {}
            }
        }
        let pauses: Vec<u32> = restarts.windows(2).map(|two| two[1] - two[0]).collect();
        assert!(pauses.len() >= 6, "{restarts:?}");
        assert!(
            pauses[0] >= 30 && pauses.is_sorted() && pauses[pauses.len() - 1] <= 610,
            "{pauses:?}"
        );
    }
}
