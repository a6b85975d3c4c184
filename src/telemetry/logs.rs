//! Structured logs on stderr; stdout belongs to what commands print.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    panic, thread,
};

use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer, fmt::MakeWriter, layer::SubscriberExt, registry, util::SubscriberInitExt,
};

/// How log lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text when stderr is a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// One JSON object a line, fields at its top level.
    Json,
}

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The filter does not parse.
    #[error(
        "log filter `{filter}` is not valid: write directives such as `info` or `meritd=debug,warn`"
    )]
    Filter {
        /// What was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a log subscriber already.
    #[error("logs are set up already")]
    AlreadySet,
}

/// Sends the process's logs (and those of the `log` crate) to stderr, by way
/// of `writer`. `filter` has the syntax of `RUST_LOG`.
///
/// # Errors
/// When `filter` does not parse, or logs were set up before.
pub fn init<W>(format: LogFormat, filter: &str, writer: W) -> Result<(), LogsError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let terminal = io::stderr().is_terminal();
    subscriber(format, filter, terminal, writer)?.try_init().map_err(|_| LogsError::AlreadySet)
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    terminal: bool,
    writer: W,
) -> Result<impl Subscriber + Send + Sync, LogsError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let invalid = |source| LogsError::Filter { filter: filter.to_owned(), source };
    // Whatever is asked for: at `trace` it writes requests, and with them keys
    // in paths.
    let silent = "tungstenite::handshake=off".parse().map_err(invalid)?;
    let directives = EnvFilter::try_new(filter).map_err(invalid)?.add_directive(silent);
    let text = match format {
        LogFormat::Auto => terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(terminal);
    let lines = if text { lines.boxed() } else { lines.json().flatten_event(true).boxed() };
    Ok(registry().with(directives).with(lines))
}

/// Has panics stand in the log, as all else does, instead of as plain text between its lines. Where
/// the filter lets no error through they are told as they were.
pub fn log_panics() {
    let told = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !tracing::enabled!(tracing::Level::ERROR) {
            return told(panic);
        }
        let place = panic.location().map(ToString::to_string);
        let backtrace = Backtrace::capture();
        let trace = (backtrace.status() == BacktraceStatus::Captured).then_some(&backtrace);
        tracing::error!(
            place = place.as_deref(),
            thread = thread::current().name(),
            backtrace = trace.map(tracing::field::display),
            "panicked: {}",
            panic.payload_as_str().unwrap_or("without a message")
        );
    }));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, terminal: bool) -> String {
        let captured = Captured::default();
        let writer = captured.clone();
        let subscriber = subscriber(format, filter, terminal, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(contract = "dao", block = 7, "published");
            tracing::debug!("a detail");
        });
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn without_a_terminal_each_line_is_one_flat_json_object() {
        let text = logged(LogFormat::Auto, "info", false);
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "published");
        assert_eq!(line["contract"], "dao");
        assert_eq!(line["block"], 7);
        assert_eq!(line["level"], "INFO");
    }

    #[test]
    fn a_terminal_gets_text_and_the_filter_decides_what() {
        let text = logged(LogFormat::Auto, "debug", true);
        assert!(text.contains("published") && text.contains("a detail"), "{text}");
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_err());
        assert!(!logged(LogFormat::Text, "off", false).contains("published"));
    }

    #[test]
    fn a_bad_filter_is_named() {
        let error = subscriber(LogFormat::Json, "meritd=loud", false, io::sink).err().unwrap();
        assert!(error.to_string().contains("meritd=loud"), "{error}");
    }
}
