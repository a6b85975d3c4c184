//! A tiny HTTP server for answers that a real node does not give.

use std::{
    io::Write as _,
    sync::{Arc, Mutex},
};

use serde_json::{Value as Json, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// What to answer.
pub(super) enum Reply {
    Result(Json),
    Error(i64, &'static str),
    Http(u16, &'static str, &'static str),
    /// A result, gzipped.
    Packed(Json),
    Hang,
    /// Of a batch: as if it had not been asked.
    Nothing,
}

type Script = dyn Fn(&str, &Json) -> Reply + Send + Sync;
/// What is said to a batch of so many calls as a whole, if anything.
type OfBatch = dyn Fn(usize) -> Option<Reply> + Send + Sync;

/// Answers by a script; ends when it is dropped.
pub(super) struct Responder {
    pub url: String,
    pub methods: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Responder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Responder {
    /// `script` sees every call but `eth_chainId`, which tells our chain.
    pub async fn start(script: impl Fn(&str, &Json) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_with(script, |_| None).await
    }

    /// As [`Self::start`]; `of_batch` may answer a batch as a whole.
    pub async fn start_with(
        script: impl Fn(&str, &Json) -> Reply + Send + Sync + 'static,
        of_batch: impl Fn(usize) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/key-secret", listener.local_addr().unwrap());
        let methods = Arc::new(Mutex::new(Vec::new()));
        let (seen, script): (_, Arc<Script>) = (Arc::clone(&methods), Arc::new(script));
        let of_batch: Arc<OfBatch> = Arc::new(of_batch);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (script, of_batch) = (Arc::clone(&script), Arc::clone(&of_batch));
                tokio::spawn(serve(stream, script, of_batch, Arc::clone(&seen)));
            }
        });
        Self { url, methods, task }
    }

    pub fn calls(&self, method: &str) -> usize {
        self.methods.lock().unwrap().iter().filter(|seen| *seen == method).count()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Script>,
    of_batch: Arc<OfBatch>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut request = Vec::new();
    let body = loop {
        let mut part = [0; 4096];
        match stream.read(&mut part).await {
            Ok(0) | Err(_) => return,
            Ok(n) => request.extend_from_slice(&part[..n]),
        }
        let text = String::from_utf8_lossy(&request);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
        });
        if body.len() >= length.unwrap_or(0usize) {
            break body.to_owned();
        }
    };
    let call: Json = serde_json::from_str(&body).unwrap();
    let one = |call: &Json| {
        let method = call["method"].as_str().unwrap_or_default();
        seen.lock().unwrap().push(method.to_owned());
        match method {
            "eth_chainId" => Reply::Result(json!("0x7a69")),
            _ => script(method, &call["params"]),
        }
    };
    let reply = match &call {
        Json::Array(calls) => match of_batch(calls.len()) {
            Some(reply) => reply,
            None => {
                // In another order than they were asked in.
                let answers = calls.iter().rev().filter_map(|call| answer(one(call), &call["id"]));
                let body: Vec<_> = answers.collect();
                return send(stream, 200, "", json!(body).to_string().as_bytes()).await;
            }
        },
        call => one(call),
    };
    match reply {
        Reply::Http(status, headers, body) => {
            send(stream, status, headers, body.as_bytes()).await;
        }
        Reply::Packed(result) => {
            let body = json!({"jsonrpc": "2.0", "id": call["id"], "result": result}).to_string();
            let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            packer.write_all(body.as_bytes()).unwrap();
            let body = packer.finish().unwrap();
            send(stream, 200, "content-encoding: gzip\r\n", &body).await;
        }
        Reply::Hang => std::future::pending().await,
        reply => {
            let answer = answer(reply, &call["id"]).unwrap_or_default();
            send(stream, 200, "", answer.to_string().as_bytes()).await;
        }
    }
}

/// A JSON-RPC answer.
fn answer(reply: Reply, id: &Json) -> Option<Json> {
    match reply {
        Reply::Result(result) => Some(json!({"jsonrpc": "2.0", "id": id, "result": result})),
        Reply::Error(code, message) => {
            let error = json!({"code": code, "message": message});
            Some(json!({"jsonrpc": "2.0", "id": id, "error": error}))
        }
        _ => None,
    }
}

async fn send(mut stream: TcpStream, status: u16, headers: &str, body: &[u8]) {
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    let _ = stream.write_all(&[head.as_bytes(), body].concat()).await;
}
