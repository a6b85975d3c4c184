//! The configuration file of the managed server, the only place where its
//! password stands.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use rand::{Rng as _, distr::Alphanumeric};

use super::connect_spec::Redacted;

/// The managed server's only user.
pub(super) const USER: &str = "merit";

/// Where the managed server's files lie.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    folder: PathBuf,
}

impl Layout {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What makes a server process recognisable as ours: it is started with
    /// this path.
    pub(super) fn config(&self) -> PathBuf {
        self.folder.join("nats-server.conf")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("nats-server.log")
    }

    /// What the server prints before it has opened its log.
    pub(super) fn output(&self) -> PathBuf {
        self.folder.join("nats-server.out")
    }

    /// Locked as long as a daemon owns the folder.
    pub(super) fn lock(&self) -> PathBuf {
        self.folder.join("lock")
    }

    fn jetstream(&self) -> PathBuf {
        self.folder.join("jetstream")
    }

    pub(super) fn ports_folder(&self) -> PathBuf {
        self.folder.join("ports")
    }

    /// The file in which the server of this process id tells its ports.
    pub(super) fn ports_file(&self, pid: u32) -> PathBuf {
        self.ports_folder().join(format!("nats-server_{pid}.ports"))
    }
}

/// 190 bits, in characters that need no quoting.
pub(super) fn new_password() -> Redacted {
    Redacted::new(
        rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect::<String>(),
    )
}

/// Writes the file, readable by its owner alone; port `None` lets the server
/// choose a free one.
pub(super) fn write(layout: &Layout, port: Option<u16>, password: &Redacted) -> io::Result<()> {
    let text = text(layout, port, password)?;
    let path = layout.config();
    // Made anew: the mode given to an existing file would be ignored.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn text(layout: &Layout, port: Option<u16>, password: &Redacted) -> io::Result<String> {
    let port = port.map_or_else(|| "-1".to_owned(), |port| port.to_string());
    let (jetstream, log, ports) =
        (quoted(&layout.jetstream())?, quoted(&layout.log())?, quoted(&layout.ports_folder())?);
    let password = password.expose();
    // sync_interval: by default JetStream acknowledges up to two minutes
    // before it calls fsync, and a power loss takes what was acknowledged.
    // An atomic batch pays for one fsync, not one a message.
    Ok(format!(
        r#"# Written by meritd at each start; changes are lost. Not for others' eyes: the password is below.
server_name: "meritd"
listen: "127.0.0.1:{port}"
authorization {{ user: "{USER}", password: "{password}" }}
max_payload: 8MB
jetstream {{
  store_dir: {jetstream}
  sync_interval: always
}}
ports_file_dir: {ports}
log_file: {log}
logfile_size_limit: 16MB
logfile_max_num: 4
"#
    ))
}

/// A path as a string of NATS' configuration language.
fn quoted(path: &Path) -> io::Result<String> {
    let text =
        path.to_str().filter(|text| !text.chars().any(char::is_control)).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "the folder's path must be plain UTF-8 text",
            )
        })?;
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_password_lies_in_one_file_that_only_its_owner_reads() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path().to_path_buf());
        fs::write(layout.config(), "old").unwrap();
        fs::set_permissions(layout.config(), fs::Permissions::from_mode(0o644)).unwrap();
        let password = new_password();
        write(&layout, Some(4222), &password).unwrap();
        let mode = fs::metadata(layout.config()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = fs::read_to_string(layout.config()).unwrap();
        assert!(text.contains(password.expose()) && text.contains("127.0.0.1:4222"));
        assert_ne!(password, new_password());
    }

    #[test]
    fn a_path_with_quotes_stays_one_string() {
        assert_eq!(quoted(Path::new(r#"/a "b"\c"#)).unwrap(), r#""/a \"b\"\\c""#);
        assert!(quoted(Path::new("/a\nb")).is_err());
    }
}
