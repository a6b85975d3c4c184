//! Google Cloud KMS: gRPC (HTTP/2, protocol buffers), with access tokens that
//! a service account's signature is exchanged for.

use std::{fs, net::SocketAddr, path::Path, sync::Arc};

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey},
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use h2::{RecvStream, server::SendResponse};
use http::{HeaderMap, Request, Response};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use super::{Vault, pem};

const VERSION: &str =
    "projects/dao/locations/europe-west3/keyRings/awards/cryptoKeys/unlock/cryptoKeyVersions/1";
const TOKEN: &str = "ya29.stand-in";

/// Two servers, which end when this is dropped.
pub struct GcpKms {
    pub vault: Arc<Vault>,
    address: SocketAddr,
    tokens: SocketAddr,
    account: Arc<KeyPair>,
    _serving: JoinSet<()>,
}

impl GcpKms {
    pub async fn start(vault: Vault) -> Self {
        let (vault, mut serving) = (Arc::new(vault), JoinSet::new());
        let account = Arc::new(KeyPair::generate(KeySize::Rsa2048).unwrap());
        let calls = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let exchange = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, tokens) = (calls.local_addr().unwrap(), exchange.local_addr().unwrap());
        let kept = Arc::clone(&vault);
        serving.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((socket, _)) = calls.accept().await {
                open.spawn(serve(socket, Arc::clone(&kept)));
            }
        });
        let known = Arc::clone(&account);
        serving.spawn(async move {
            while let Ok((socket, _)) = exchange.accept().await {
                give_token(socket, &known).await;
            }
        });
        Self { vault, address, tokens, account, _serving: serving }
    }

    pub fn version(&self) -> &'static str {
        VERSION
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A signer's `key`, in TOML.
    pub fn section(&self) -> String {
        let (url, account) = (self.url(), self.vault.account());
        format!("{{ gcp_kms = \"{VERSION}\", endpoint = \"{url}\", address = \"{account}\" }}")
    }

    /// Where a client finds its credentials: a service account's file.
    pub fn variables(&self, folder: &Path) -> [(&'static str, String); 1] {
        let key: Pkcs8V1Der<'_> = self.account.as_der().unwrap();
        let file = folder.join("service-account.json");
        let account = json!({
            "type": "service_account",
            "client_email": "meritd@dao.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": pem("PRIVATE KEY", key.as_ref()),
            "token_uri": format!("http://{}/token", self.tokens),
        });
        fs::write(&file, account.to_string()).unwrap();
        [("GOOGLE_APPLICATION_CREDENTIALS", file.display().to_string())]
    }
}

/// Exchanges a service account's word (RFC 7523) for a token.
async fn give_token(mut socket: TcpStream, account: &KeyPair) {
    let mut request = Vec::new();
    let assertion = loop {
        let mut part = [0; 4096];
        match socket.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&part[..length]),
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            break body.split("assertion=").nth(1).unwrap_or_default().to_owned();
        }
    };
    let is_signed = assertion.rsplit_once('.').is_some_and(|(said, signature)| {
        let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap_or_default();
        UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, account.public_key().as_ref())
            .verify(said.as_bytes(), &signature)
            .is_ok()
    });
    let (status, said) = if is_signed {
        ("200 OK", json!({ "access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600 }))
    } else {
        ("400 Bad Request", json!({ "error": "invalid_grant" }))
    };
    let said = said.to_string();
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: \
         close\r\n\r\n{said}",
        said.len()
    );
    socket.write_all(answer.as_bytes()).await.ok();
}

async fn serve(socket: TcpStream, vault: Arc<Vault>) {
    let Ok(mut connection) = h2::server::handshake(socket).await else { return };
    let mut open = JoinSet::new();
    while let Some(Ok((request, respond))) = connection.accept().await {
        open.spawn(answer(request, respond, Arc::clone(&vault)));
    }
}

/// Codes of gRPC.
const UNAUTHENTICATED: u8 = 16;
const UNAVAILABLE: u8 = 14;
const NOT_FOUND: u8 = 5;
const UNIMPLEMENTED: u8 = 12;

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, vault: Arc<Vault>) {
    let (head, mut body) = request.into_parts();
    let mut message = Vec::new();
    while let Some(Ok(part)) = body.data().await {
        body.flow_control().release_capacity(part.len()).ok();
        message.extend_from_slice(&part);
    }
    // A flag and a length come before the message.
    let message = message.get(5..).unwrap_or_default();
    let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    let said = if vault.is_down() {
        Err((UNAVAILABLE, "the stand-in is down"))
    } else if header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        Err((UNAUTHENTICATED, "no valid credentials"))
    } else if field(message, 1) != Some(VERSION.as_bytes())
        || header("x-goog-request-params") != Some(&format!("name={VERSION}"))
    {
        Err((NOT_FOUND, "no such key version"))
    } else {
        match head.uri.path() {
            "/google.cloud.kms.v1.KeyManagementService/GetPublicKey" => {
                Ok(with_field(1, pem("PUBLIC KEY", &vault.public_key()).as_bytes()))
            }
            "/google.cloud.kms.v1.KeyManagementService/AsymmetricSign" => {
                let digest = field(message, 3).and_then(|digest| field(digest, 1));
                Ok(with_field(1, &vault.sign(digest.unwrap_or_default())))
            }
            _ => Err((UNIMPLEMENTED, "not of this stand-in")),
        }
    };
    let response = Response::builder().header("content-type", "application/grpc");
    let Ok(mut stream) = respond.send_response(response.body(()).unwrap(), false) else { return };
    let (code, words) = match said {
        Ok(message) => {
            let length = u32::try_from(message.len()).unwrap().to_be_bytes();
            let framed = [&[0], length.as_slice(), &message].concat();
            stream.send_data(framed.into(), false).ok();
            (0, "")
        }
        Err(refused) => refused,
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", code.to_string().parse().unwrap());
    trailers.insert("grpc-message", words.parse().unwrap());
    stream.send_trailers(trailers).ok();
}

/// A length-delimited field of a protocol buffer.
fn field(mut message: &[u8], wanted: u64) -> Option<&[u8]> {
    while let Some((key, rest)) = varint(message) {
        let (length, rest) = varint(rest)?;
        // Other kinds don't come before what is looked for.
        if key & 7 != 2 {
            return None;
        }
        let (value, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        if key >> 3 == wanted {
            return Some(value);
        }
        message = rest;
    }
    None
}

fn with_field(number: u8, value: &[u8]) -> Vec<u8> {
    let mut message = vec![number << 3 | 2];
    let mut length = value.len();
    while length >= 0x80 {
        message.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    message.push(u8::try_from(length).unwrap());
    [&message, value].concat()
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let end = bytes.iter().position(|byte| byte & 0x80 == 0)?;
    let (digits, rest) = bytes.split_at(end + 1);
    let value = digits.iter().rev().fold(0, |value, byte| value << 7 | u64::from(byte & 0x7f));
    Some((value, rest))
}
