//! The replay endpoint: JSON-RPC over HTTP, and what the harness needs to
//! hold its head back and to count its calls.

use std::{
    collections::BTreeMap,
    io::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use actix_web::{App, HttpResponse, HttpServer, http::header::ContentType, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Outcome,
    chain::Chain,
    methods::{Node, Refusal},
    render::Json,
};

/// Longest request, bytes.
const REQUEST_MAX: usize = 4 << 20;

/// What was asked, since the last time that somebody looked.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Counters {
    /// HTTP requests.
    pub http_requests: u64,
    /// JSON-RPC calls, by method.
    pub calls: BTreeMap<String, u64>,
}

struct State {
    node: Node,
    counters: Mutex<Counters>,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow, default)]
    id: Option<&'a RawValue>,
    #[serde(default)]
    method: Option<String>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Head {
    block: u64,
}

/// Serves a chain up to block `head` until the process ends. Says on stdout
/// where, once it listens.
pub fn serve(chain: Chain, head: u64, port: u16, most_logs: usize) -> Outcome<()> {
    let node = Node { chain, head: AtomicU64::new(head), most_logs };
    let state = Arc::new(State { node, counters: Mutex::default() });
    actix_rt::System::new().block_on(async move {
        let data = web::Data::from(state);
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(REQUEST_MAX))
                .route("/", web::post().to(rpc))
                .route("/control/head", web::post().to(set_head))
                .route("/control/counters", web::post().to(take_counters))
        })
        .workers(1)
        .shutdown_timeout(1)
        .bind(("127.0.0.1", port))?;
        for address in server.addrs() {
            println!("http://{address}");
        }
        std::io::stdout().flush()?;
        server.run().await?;
        Ok(())
    })
}

async fn set_head(state: web::Data<State>, head: web::Query<Head>) -> HttpResponse {
    let last = state.node.chain.shape.blocks;
    state.node.head.store(head.block.min(last), Ordering::Release);
    HttpResponse::NoContent().finish()
}

async fn take_counters(state: web::Data<State>) -> web::Json<Counters> {
    let mut counters = state.counters.lock().unwrap_or_else(PoisonError::into_inner);
    web::Json(std::mem::take(&mut *counters))
}

async fn rpc(state: web::Data<State>, body: web::Bytes) -> HttpResponse {
    let mut out = Json::default();
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let requests = if first == Some(&b'[') {
        serde_json::from_slice::<Vec<Request<'_>>>(&body)
    } else {
        serde_json::from_slice::<Request<'_>>(&body).map(|one| vec![one])
    };
    match requests {
        Err(error) => {
            let refusal = Refusal { code: -32_700, message: error.to_string() };
            write_error(&mut out, None, &refusal);
        }
        Ok(requests) if requests.is_empty() => {
            let refusal = Refusal { code: -32_600, message: "empty batch".to_owned() };
            write_error(&mut out, None, &refusal);
        }
        Ok(requests) => {
            state.count(&requests);
            if first == Some(&b'[') {
                out.list(&requests, |out, request| answer(&state.node, request, out));
            } else {
                requests.iter().for_each(|request| answer(&state.node, request, &mut out));
            }
        }
    }
    HttpResponse::Ok().content_type(ContentType::json()).body(out.0)
}

impl State {
    fn count(&self, requests: &[Request<'_>]) {
        let mut counters = self.counters.lock().unwrap_or_else(PoisonError::into_inner);
        counters.http_requests += 1;
        for request in requests {
            let method = request.method.as_deref().unwrap_or("?");
            match counters.calls.get_mut(method) {
                Some(count) => *count += 1,
                None => _ = counters.calls.insert(method.to_owned(), 1),
            }
        }
    }
}

fn answer(node: &Node, request: &Request<'_>, out: &mut Json) {
    let start = out.0.len();
    write_head(out, request.id);
    out.0.push_str(",\"result\":");
    let outcome = match &request.method {
        Some(method) => node.answer(method, request.params, out),
        None => Err(Refusal { code: -32_600, message: "a request has a method".to_owned() }),
    };
    match outcome {
        Ok(()) => out.0.push('}'),
        Err(refusal) => {
            out.0.truncate(start);
            write_error(out, request.id, &refusal);
        }
    }
}

fn write_error(out: &mut Json, id: Option<&RawValue>, refusal: &Refusal) {
    write_head(out, id);
    let error = serde_json::json!({ "code": refusal.code, "message": refusal.message });
    out.0.push_str(&format!(",\"error\":{error}}}"));
}

fn write_head(out: &mut Json, id: Option<&RawValue>) {
    out.0.push_str("{\"jsonrpc\":\"2.0\",\"id\":");
    out.0.push_str(id.map_or("null", RawValue::get));
}
