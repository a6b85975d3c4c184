//! AWS KMS. Credentials are found as every AWS program finds them: variables,
//! shared files, web identity, container and instance roles.

use std::time::Duration;

use alloy::signers::aws::{
    AwsSigner,
    aws_config::{self, BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig},
    aws_sdk_kms,
};

use super::{Answer, Connected};

/// A second attempt must fit into a signature's limit.
const ATTEMPT: Duration = Duration::from_secs(4);
const ATTEMPTS: u32 = 3;

pub(super) async fn connect(
    key_id: &str,
    region: Option<String>,
    endpoint: Option<&str>,
) -> Answer<Connected> {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
        .timeout_config(TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build());
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    let config = loader.load().await;
    let mut config = aws_sdk_kms::config::Builder::from(&config);
    if let Some(endpoint) = endpoint {
        config = config.endpoint_url(endpoint);
    }
    let client = aws_sdk_kms::Client::from_conf(config.build());
    // The chain id is in what is signed already.
    Ok(Box::new(AwsSigner::new(client, key_id.to_owned(), None).await?))
}
