//! HTTP of the endpoint.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use actix_web::{
    App, HttpResponse, HttpServer,
    body::SizedStream,
    dev::ServerHandle,
    http::{StatusCode, header},
    web::{self, Bytes, Data},
};
use futures::{StreamExt as _, future::join_all, stream};
use serde_json::{Value as Json, json};
use tokio::sync::{oneshot, watch};

use super::{
    Fault, Refusal, Script,
    acting::{Acting, Due},
    call::Call,
    log_book::LogBook,
    upstream::Upstream,
};

/// Largest request, in bytes.
const BODY_MAX: usize = 16 * 1024 * 1024;

/// What handle and server share.
pub(super) struct Stage {
    upstream: String,
    acting: Mutex<Arc<Acting>>,
    log_book: Mutex<LogBook>,
    released: watch::Sender<u64>,
}

impl Stage {
    pub fn new(upstream: &str) -> Self {
        Self {
            upstream: upstream.to_owned(),
            acting: Mutex::new(Arc::new(Acting::new(Script::honest()))),
            log_book: Mutex::default(),
            released: watch::Sender::new(0),
        }
    }

    pub fn set(&self, script: Script) {
        *self.acting.lock().unwrap() = Arc::new(Acting::new(script));
        self.release();
    }

    pub fn release(&self) {
        self.released.send_modify(|times| *times += 1);
    }

    pub fn log_book(&self) -> MutexGuard<'_, LogBook> {
        self.log_book.lock().unwrap()
    }

    fn acting(&self) -> Arc<Acting> {
        Arc::clone(&self.acting.lock().unwrap())
    }
}

/// Serves on a thread of its own, so that a test that is busy does not make
/// the endpoint slow.
pub(super) async fn start(stage: Arc<Stage>) -> (ServerHandle, SocketAddr) {
    let (tell, told) = oneshot::channel();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(Data::from(Arc::clone(&stage)))
                    .app_data(Data::new(Upstream::new(&stage.upstream)))
                    .app_data(web::PayloadConfig::new(BODY_MAX))
                    .default_service(web::to(serve))
            });
            let server = server.workers(1).disable_signals().bind("127.0.0.1:0").unwrap();
            let address = server.addrs()[0];
            let server = server.run();
            tell.send((server.handle(), address)).ok();
            server.await.unwrap();
        });
    });
    told.await.unwrap()
}

async fn serve(stage: Data<Stage>, node: Data<Upstream>, body: Bytes) -> HttpResponse {
    let body: Json = serde_json::from_slice(&body).unwrap_or_default();
    let batch = body.is_array();
    let items = body.as_array().map_or(std::slice::from_ref(&body), Vec::as_slice);
    let Some(calls) = items.iter().map(Call::read).collect::<Option<Vec<_>>>() else {
        return HttpResponse::BadRequest().body("it is no JSON-RPC");
    };
    // First: who sees the request counted may release it.
    let mut released = stage.released.subscribe();
    stage.log_book().note(&calls, batch);
    let mut ending = None;
    for due in stage.acting().due(&calls) {
        match due {
            Due::Delay(time) => tokio::time::sleep(time).await,
            // The sender lives as long as the stage.
            Due::Fault(Fault::Hang) => released.changed().await.unwrap(),
            Due::Fault(ends) => ending = Some(ends),
        }
    }
    if let Some(Fault::Other { status, retry_after, body }) = ending {
        let mut answer = HttpResponse::build(StatusCode::from_u16(status).unwrap());
        if let Some(wait) = retry_after {
            answer.insert_header((header::RETRY_AFTER, wait.as_secs()));
        }
        return answer.content_type("text/html").body(body);
    }
    let (status, body) = answer(&stage.acting(), &node, &calls, batch).await;
    let whole = body.to_string();
    let half = Bytes::copy_from_slice(&whole.as_bytes()[..whole.len() / 2]);
    let mut answer = HttpResponse::build(StatusCode::from_u16(status).unwrap());
    answer.content_type("application/json");
    match ending {
        Some(Fault::Cut) => {
            let gone = async {
                // So that the half is on its way.
                tokio::time::sleep(Duration::from_millis(10)).await;
                Err(io::Error::from(io::ErrorKind::ConnectionReset))
            };
            let parts = stream::once(async { Ok(half) }).chain(stream::once(gone));
            answer.body(SizedStream::new(whole.len() as u64, Box::pin(parts)))
        }
        Some(Fault::Truncated) => answer.body(half),
        _ => answer.body(whole),
    }
}

/// Status and body of a request.
async fn answer(acting: &Acting, node: &Upstream, calls: &[Call], batch: bool) -> (u16, Json) {
    let refused = batch.then(|| acting.refuses_batch(calls.len())).flatten();
    if let Some(refusal) = refused {
        return (refusal.http_status, envelope(&Json::Null, &Err(refusal)));
    }
    let results = join_all(calls.iter().map(|call| acting.answer(call, node))).await;
    let statuses = results.iter().filter_map(|result| Some(result.as_ref().err()?.http_status));
    let status = statuses.max().unwrap_or(200);
    let mut answers: Vec<Json> =
        calls.iter().zip(&results).map(|(call, result)| envelope(&call.id, result)).collect();
    if !batch {
        return (status, answers.pop().unwrap_or_default());
    }
    acting.arrange(&mut answers);
    (status, answers.into())
}

fn envelope(id: &Json, result: &Result<Json, Refusal>) -> Json {
    match result {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
        Err(refusal) => json!({ "jsonrpc": "2.0", "id": id, "error": refusal.to_json() }),
    }
}
