//! The key of a signer, from where the configuration says it is.

use zeroize::Zeroizing;

use crate::{
    config::{KmsService, SecretError, SignerKeySource},
    signing::keys::{KeyError, KeySpec, KmsKey, SignerKey},
};

#[derive(Debug, thiserror::Error)]
pub(super) enum NoKey {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Key(#[from] KeyError),
}

pub(super) fn load_key(source: &SignerKeySource) -> Result<SignerKey, NoKey> {
    let spec = match source {
        SignerKeySource::Keystore { path, passphrase } => KeySpec::Keystore {
            path: path.clone(),
            passphrase: Zeroizing::new(passphrase.resolve()?.expose().to_owned()),
        },
        SignerKeySource::Raw(secret) => {
            KeySpec::PrivateKeyHex(Zeroizing::new(secret.resolve()?.expose().to_owned()))
        }
        SignerKeySource::Kms(source) => {
            let (name, endpoint) = (source.key.clone(), source.endpoint.clone());
            let key = match source.service {
                KmsService::Aws => {
                    KmsKey::Aws { key_id: name, region: source.region.clone(), endpoint }
                }
                KmsService::Gcp => KmsKey::Gcp { version: name.parse()?, endpoint },
            };
            KeySpec::Kms { key, address: source.address }
        }
    };
    Ok(SignerKey::load(&spec)?)
}
