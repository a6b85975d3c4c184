//! A tiny HTTP server for answers that a real node does not give.

use std::sync::{Arc, Mutex};

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
    Hang,
}

type Script = dyn Fn(&str, &Json) -> Reply + Send + Sync;

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
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/key-secret", listener.local_addr().unwrap());
        let methods = Arc::new(Mutex::new(Vec::new()));
        let (seen, script): (_, Arc<Script>) = (Arc::clone(&methods), Arc::new(script));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&script), Arc::clone(&seen)));
            }
        });
        Self { url, methods, task }
    }

    pub fn calls(&self, method: &str) -> usize {
        self.methods.lock().unwrap().iter().filter(|seen| *seen == method).count()
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>, seen: Arc<Mutex<Vec<String>>>) {
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
    let method = call["method"].as_str().unwrap_or_default();
    seen.lock().unwrap().push(method.to_owned());
    let reply = match method {
        "eth_chainId" => Reply::Result(json!("0x7a69")),
        _ => script(method, &call["params"]),
    };
    let id = &call["id"];
    let (status, headers, body) = match reply {
        Reply::Result(result) => {
            (200, "", json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string())
        }
        Reply::Error(code, message) => {
            let error = json!({"code": code, "message": message});
            (200, "", json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string())
        }
        Reply::Http(status, headers, body) => (status, headers, body.to_owned()),
        Reply::Hang => std::future::pending().await,
    };
    let answer = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}
