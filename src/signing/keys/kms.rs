//! Keys of key management services: the service signs a hash, and the key
//! never leaves it. Each service is a feature of the build.

#[cfg(feature = "aws-kms")]
mod aws;
#[cfg(feature = "gcp-kms")]
mod gcp;

use std::{fmt, str::FromStr, time::Duration};

use alloy::{
    primitives::{Address, B256, Signature},
    signers::Signer,
};
use futures::future::BoxFuture;
use tokio::{sync::OnceCell, time::timeout};

use super::KeyError;

/// What speaks to a service.
type Connected = Box<dyn Signer + Send + Sync>;
/// What came of a question to one.
type Answer<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Limit of one signature, with the first one's way to the service.
const LIMIT: Duration = Duration::from_secs(10);

/// Which key of which service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KmsKey {
    /// AWS KMS: a key of spec `ECC_SECG_P256K1` for `SIGN_VERIFY`.
    Aws {
        /// Key id, key ARN, alias name (`alias/…`) or alias ARN.
        key_id: String,
        /// The region; else what the environment says.
        region: Option<String>,
        /// URL of the service, if not the region's own.
        endpoint: Option<String>,
    },
    /// Google Cloud KMS: an `EC_SIGN_SECP256K1_SHA256` key for
    /// `ASYMMETRIC_SIGN`.
    Gcp {
        /// The key's version.
        version: GcpVersion,
        /// URL of the service, if not the public one.
        endpoint: Option<String>,
    },
}

impl fmt::Display for KmsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws { key_id, .. } => write!(f, "AWS KMS key {key_id}"),
            Self::Gcp { version, .. } => write!(f, "Google Cloud KMS key {version}"),
        }
    }
}

impl KmsKey {
    /// Whether this build can talk to the service.
    fn built_in(&self) -> Result<(), KeyError> {
        let (service, feature, is_there) = match self {
            Self::Aws { .. } => ("AWS KMS", "aws-kms", cfg!(feature = "aws-kms")),
            Self::Gcp { .. } => ("Google Cloud KMS", "gcp-kms", cfg!(feature = "gcp-kms")),
        };
        if is_there { Ok(()) } else { Err(KeyError::NotBuiltIn { service, feature }) }
    }

    /// Asks the service for the key's account.
    ///
    /// # Errors
    /// [`KeyError::NotBuiltIn`] and [`KeyError::Unavailable`], within ten
    /// seconds.
    pub async fn account(&self) -> Result<Address, KeyError> {
        self.connect().await.map(|signer| signer.address())
    }

    async fn connect(&self) -> Result<Connected, KeyError> {
        self.built_in()?;
        // A service's client nests deeper than the compiler follows.
        let connecting: BoxFuture<'_, Answer<Connected>> = Box::pin(async {
            match self {
                #[cfg(feature = "aws-kms")]
                Self::Aws { key_id, region, endpoint } => {
                    aws::connect(key_id, region.clone(), endpoint.as_deref()).await
                }
                #[cfg(feature = "gcp-kms")]
                Self::Gcp { version, endpoint } => gcp::connect(version, endpoint.as_deref()).await,
                #[allow(unreachable_patterns, reason = "without a feature")]
                _ => Err(Box::from("not built in")),
            }
        });
        self.within(connecting).await
    }

    /// Limits what a service is waited for, and says whose answer failed.
    async fn within<T>(&self, asked: impl Future<Output = Answer<T>>) -> Result<T, KeyError> {
        let unavailable = |reason| KeyError::Unavailable { key: self.to_string(), reason };
        match timeout(LIMIT, asked).await {
            Ok(answer) => answer.map_err(|error| unavailable(whole(&*error))),
            Err(_) => Err(self.late()),
        }
    }

    fn late(&self) -> KeyError {
        let reason = format!("no answer within {} s", LIMIT.as_secs());
        KeyError::Unavailable { key: self.to_string(), reason }
    }
}

/// An error with its causes: the outermost of a service's says little.
fn whole(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let said = cause.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
    }
    text
}

/// The resource name of one version of a Google Cloud KMS key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GcpVersion {
    project: String,
    location: String,
    ring: String,
    key: String,
    version: u64,
}

impl FromStr for GcpVersion {
    type Err = KeyError;

    fn from_str(given: &str) -> Result<Self, KeyError> {
        let parts: Vec<&str> = given.split('/').collect();
        let plain = |part: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
            !part.is_empty() && part.chars().all(allowed)
        };
        let name = match parts.as_slice() {
            [
                "projects",
                project,
                "locations",
                location,
                "keyRings",
                ring,
                "cryptoKeys",
                key,
                "cryptoKeyVersions",
                version,
            ] if [*project, *location, *ring, *key].into_iter().all(plain) => {
                version.parse().ok().filter(|version| *version > 0).map(|version| Self {
                    project: (*project).to_owned(),
                    location: (*location).to_owned(),
                    ring: (*ring).to_owned(),
                    key: (*key).to_owned(),
                    version,
                })
            }
            _ => None,
        };
        name.ok_or_else(|| KeyError::NotAKeyVersion { given: given.to_owned() })
    }
}

impl fmt::Display for GcpVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { project, location, ring, key, version } = self;
        write!(
            f,
            "projects/{project}/locations/{location}/keyRings/{ring}/cryptoKeys/{key}/\
             cryptoKeyVersions/{version}"
        )
    }
}

/// A key that a service keeps. The account is known without asking: what is
/// written down under it must not follow an alias to another key.
pub struct RemoteKey {
    key: KmsKey,
    address: Address,
    connected: OnceCell<Connected>,
}

impl fmt::Debug for RemoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKey")
            .field("key", &self.key)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for RemoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

impl RemoteKey {
    pub(super) fn new(key: KmsKey, address: Address) -> Result<Self, KeyError> {
        key.built_in()?;
        Ok(Self { key, address, connected: OnceCell::new() })
    }

    /// The account that the key is expected to be.
    #[must_use]
    pub fn address(&self) -> Address {
        self.address
    }

    /// Asks the service whether the key is there and is the account's.
    ///
    /// # Errors
    /// [`KeyError::Unavailable`] and [`KeyError::OtherAccount`].
    pub async fn verify(&self) -> Result<(), KeyError> {
        self.connected().await.map(|_| ())
    }

    pub(super) async fn sign_hash(&self, hash: &B256) -> Result<Signature, KeyError> {
        let signing = async {
            let connected = self.connected().await?;
            self.key.within(async { Ok(connected.sign_hash(hash).await?) }).await
        };
        // Also with the way to the service, the first time.
        timeout(LIMIT, signing).await.unwrap_or_else(|_| Err(self.key.late()))
    }

    async fn connected(&self) -> Result<&Connected, KeyError> {
        let connect = || async {
            let signer = self.key.connect().await?;
            let (key, expected, found) = (self.key.to_string(), self.address, signer.address());
            if found == expected {
                Ok(signer)
            } else {
                Err(KeyError::OtherAccount { key, expected, found })
            }
        };
        self.connected.get_or_try_init(connect).await
    }
}

#[cfg(test)]
mod tests;
