//! Names of keys; the services themselves are asked in `tests/it/sending/kms`.

#![allow(clippy::unwrap_used)]

use super::*;

const NAME: &str =
    "projects/dao-1/locations/europe-west3/keyRings/awards/cryptoKeys/unlock/cryptoKeyVersions/2";

#[test]
fn a_key_version_is_read_and_shown_as_google_names_it() {
    assert_eq!(NAME.parse::<GcpVersion>().unwrap().to_string(), NAME);
    let scoped = NAME.replace("dao-1", "example.org:dao-1");
    assert_eq!(scoped.parse::<GcpVersion>().unwrap().to_string(), scoped);
}

#[test]
fn what_is_no_key_version_is_refused_with_the_shape_that_is_wanted() {
    let key = NAME.rsplit_once("/cryptoKeyVersions").unwrap().0;
    for bad in [
        "",
        key,
        &NAME.replace("/2", "/0"),
        &NAME.replace("/2", "/latest"),
        &NAME.replace("/2", "/99999999999999999999"),
        &NAME.replace("dao-1", ""),
        &NAME.replace("dao-1", "dao 1"),
        &format!("{NAME}/x"),
        &format!("/{NAME}"),
        &"a/".repeat(10_000),
    ] {
        let error = bad.parse::<GcpVersion>().unwrap_err();
        assert!(matches!(error, KeyError::NotAKeyVersion { .. }));
        assert!(error.to_string().contains("cryptoKeyVersions/N"), "{error}");
    }
}

#[cfg(not(feature = "aws-kms"))]
#[test]
fn a_service_that_is_not_built_in_is_refused_before_anything_is_asked() {
    let key = KmsKey::Aws { key_id: "alias/awards".into(), region: None, endpoint: None };
    let error = RemoteKey::new(key, Address::ZERO).unwrap_err();
    assert!(error.to_string().contains("--features aws-kms"), "{error}");
}
