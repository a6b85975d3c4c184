//! Google Cloud KMS. Credentials are the application's default ones:
//! `GOOGLE_APPLICATION_CREDENTIALS`, the well-known file, the metadata server.

use alloy::signers::gcp::{
    GcpKeyRingRef, GcpSigner, KeySpecifier,
    gcloud_sdk::{
        GoogleApi,
        google::cloud::kms::v1::key_management_service_client::KeyManagementServiceClient,
    },
};

use super::{Answer, Connected, GcpVersion};

const PUBLIC: &str = "https://cloudkms.googleapis.com";

pub(super) async fn connect(version: &GcpVersion, endpoint: Option<&str>) -> Answer<Connected> {
    let GcpVersion { project, location, ring, key, version } = version;
    let url = endpoint.unwrap_or(PUBLIC);
    let client = GoogleApi::from_function(KeyManagementServiceClient::new, url, None).await?;
    let key = KeySpecifier::new(GcpKeyRingRef::new(project, location, ring), key, *version);
    // The chain id is in what is signed already.
    Ok(Box::new(GcpSigner::new(client, key, None).await?))
}
