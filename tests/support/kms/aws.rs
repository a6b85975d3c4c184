//! AWS KMS: JSON 1.1 over HTTP, requests signed (version 4).

use std::{net::SocketAddr, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    dev::ServerHandle,
    web::{self, Bytes, Data},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value as Json, json};
use tokio::sync::oneshot;

use super::Vault;

const KEY_ID: &str = "alias/awards";
const REGION: &str = "eu-central-1";
const ACCESS_KEY: &str = "AKIDSTANDIN";

/// A server, which ends when this is dropped.
pub struct AwsKms {
    pub vault: Arc<Vault>,
    address: SocketAddr,
    server: ServerHandle,
}

impl AwsKms {
    pub async fn start(vault: Vault) -> Self {
        let vault = Arc::new(vault);
        let (address, server) = serve(Arc::clone(&vault)).await;
        Self { vault, address, server }
    }

    pub fn key_id(&self) -> &'static str {
        KEY_ID
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A signer's `key`, in TOML.
    pub fn section(&self) -> String {
        let (url, account) = (self.url(), self.vault.account());
        format!(
            "{{ aws_kms = \"{KEY_ID}\", region = \"{REGION}\", endpoint = \"{url}\", address = \
             \"{account}\" }}"
        )
    }

    /// Where a client finds its credentials.
    pub fn variables(&self) -> [(&'static str, String); 3] {
        [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY.to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "stand-in".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
    }
}

impl Drop for AwsKms {
    fn drop(&mut self) {
        // The order is given when the future is made.
        drop(self.server.stop(false));
    }
}

async fn serve(vault: Arc<Vault>) -> (SocketAddr, ServerHandle) {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                App::new().app_data(Data::from(Arc::clone(&vault))).default_service(web::to(answer))
            });
            let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
            let address = server.addrs()[0];
            let server = server.run();
            tell.send((address, server.handle())).ok();
            server.await.unwrap();
        });
    });
    told.await.unwrap()
}

async fn answer(vault: Data<Vault>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let header = |name: &str| {
        request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    };
    let scope = format!("/{REGION}/kms/aws4_request");
    let signed = header("authorization");
    if vault.is_down() {
        return refuse(500, "KMSInternalException", "the stand-in is down");
    }
    if !signed.starts_with(&format!("AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/"))
        || !signed.contains(&scope)
    {
        return refuse(400, "UnrecognizedClientException", "the security token is invalid");
    }
    let body: Json = serde_json::from_slice(&body).unwrap_or_default();
    if body["KeyId"] != KEY_ID {
        return refuse(400, "NotFoundException", "no such key");
    }
    let said = match header("x-amz-target") {
        "TrentService.GetPublicKey" => json!({
            "KeyId": KEY_ID,
            "PublicKey": BASE64_STANDARD.encode(vault.public_key()),
            "KeySpec": "ECC_SECG_P256K1",
            "KeyUsage": "SIGN_VERIFY",
            "SigningAlgorithms": ["ECDSA_SHA_256"],
        }),
        "TrentService.Sign"
            if body["MessageType"] == "DIGEST" && body["SigningAlgorithm"] == "ECDSA_SHA_256" =>
        {
            let digest = body["Message"].as_str().unwrap_or_default();
            let digest = BASE64_STANDARD.decode(digest).unwrap_or_default();
            json!({
                "KeyId": KEY_ID,
                "Signature": BASE64_STANDARD.encode(vault.sign(&digest)),
                "SigningAlgorithm": "ECDSA_SHA_256",
            })
        }
        other => return refuse(400, "ValidationException", other),
    };
    HttpResponse::Ok().content_type("application/x-amz-json-1.1").body(said.to_string())
}

fn refuse(status: u16, kind: &str, message: &str) -> HttpResponse {
    let status = actix_web::http::StatusCode::from_u16(status).unwrap();
    let said = json!({ "__type": kind, "message": message });
    HttpResponse::build(status).content_type("application/x-amz-json-1.1").body(said.to_string())
}
