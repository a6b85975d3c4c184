#![allow(clippy::unwrap_used)]

use actix_web::{
    body::to_bytes,
    dev::ServiceResponse,
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName},
    },
    test::{TestRequest, call_service, init_service},
};

use super::*;

/// A daemon that answers everything in one way.
struct Answers(Result<(), ApiProblem>);

impl Answers {
    fn json(&self) -> LocalBoxFuture<'static, Result<Json, ApiProblem>> {
        let answer = self.0.clone().map(|()| Json::Null);
        Box::pin(async { answer })
    }

    fn nothing(&self) -> LocalBoxFuture<'static, Result<(), ApiProblem>> {
        let answer = self.0.clone();
        Box::pin(async { answer })
    }
}

type Answer = LocalBoxFuture<'static, Result<Json, ApiProblem>>;

impl Operator for Answers {
    fn not_ready(&self) -> Vec<NotReady> {
        Vec::new()
    }
    fn status(&self) -> Json {
        Json::Null
    }
    fn metrics(&self) -> String {
        String::new()
    }
    fn explain(&self, _: String, _: Address) -> Answer {
        self.json()
    }
    fn proof(&self, _: String, _: Address) -> Answer {
        self.json()
    }
    fn evidence(&self, _: String, _: Address) -> Answer {
        self.json()
    }
    fn benefits(&self, _: &str, _: Address) -> Answer {
        self.json()
    }
    fn say_fact(&self, _: &str, _: Vec<u8>, _: Option<String>) -> Answer {
        self.json()
    }
    fn resume(&self, _: &str, _: u64) -> Answer {
        self.json()
    }
    fn pause(&self, _: Scope, _: bool) -> Answer {
        self.json()
    }
    fn quote(&self, _: String) -> Answer {
        self.json()
    }
    fn repair(&self, _: &str, _: RepairBody) -> Answer {
        self.json()
    }
    fn dead_letters(&self, _: LetterAsk) -> Answer {
        self.json()
    }
    fn retry(&self, _: &str) -> LocalBoxFuture<'static, Result<(), ApiProblem>> {
        self.nothing()
    }
    fn replay(&self, _: &str, _: u64, _: u64) -> Answer {
        self.json()
    }
    fn replay_progress(&self, _: &str) -> Answer {
        self.json()
    }
    fn crash(&self, _: &str) -> LocalBoxFuture<'static, Result<(), ApiProblem>> {
        self.nothing()
    }
}

async fn ask(answers: Result<(), ApiProblem>, request: TestRequest) -> ServiceResponse {
    let operator: Arc<dyn Operator> = Arc::new(Answers(answers));
    let app = App::new()
        .app_data(Data::from(operator))
        .wrap(from_fn(shape::in_one_shape))
        .configure(routes::all);
    call_service(&init_service(app).await, request.to_request()).await
}

fn text(headers: &HeaderMap, name: &HeaderName) -> String {
    headers.get(name).unwrap().to_str().unwrap().to_owned()
}

/// The status and the code of an answer that is a problem, and nothing else.
async fn problem(answer: ServiceResponse) -> (StatusCode, String) {
    let status = answer.status();
    let headers = answer.headers().clone();
    assert_eq!(text(&headers, &header::CONTENT_TYPE), "application/problem+json");
    let body: Json = serde_json::from_slice(&to_bytes(answer.into_body()).await.unwrap()).unwrap();
    assert_eq!(body["status"], status.as_u16(), "{body}");
    assert_eq!(text(&headers, &shape::REQUEST_ID), body["request_id"], "{body}");
    for said in ["title", "detail"] {
        assert!(!body[said].as_str().unwrap().is_empty(), "{body}");
    }
    (status, body["code"].as_str().unwrap().to_owned())
}

/// A path as clients write it.
fn written(path: &str) -> String {
    let user = Address::ZERO.to_string();
    let named = [
        ("{governor}", "dao"),
        ("{holder}", user.as_str()),
        ("{chain}", "main"),
        ("{code}", "no-such-code"),
        ("{source}", "forum"),
        ("{signer}", "awards"),
        ("{sequence}", "7"),
        ("{actor:.*}", "contract/dao"),
        ("{contract}", "dao"),
    ];
    let path = named.iter().fold(path.to_owned(), |path, (name, value)| path.replace(name, value));
    assert!(!path.contains('{'), "{path}");
    path
}

fn request(method: &Method, path: &str) -> TestRequest {
    TestRequest::with_uri(path).method(method.clone())
}

#[actix_web::test]
async fn every_path_says_which_methods_it_takes_and_refuses_others_in_one_shape() {
    for (path, takes) in routes::places() {
        let taken: Vec<_> = takes.iter().map(|(method, _)| method.clone()).collect();
        for method in [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            if taken.contains(&method) {
                continue;
            }
            let answer = ask(Ok(()), request(&method, &written(path))).await;
            let allowed = text(answer.headers(), &header::ALLOW);
            let allowed: Vec<_> = allowed.split(", ").collect();
            assert_eq!(allowed, taken, "{path}");
            let (status, code) = problem(answer).await;
            assert_eq!((status.as_u16(), code.as_str()), (405, "method_not_allowed"), "{path}");
        }
    }
}

#[actix_web::test]
async fn every_error_of_the_daemon_is_problem_json_with_its_status_on_every_path() {
    let problems = [
        (ApiProblem::BadRequest("why".into()), 400, "bad_request"),
        (ApiProblem::Forbidden("why".into()), 403, "forbidden"),
        (ApiProblem::NotFound("why".into()), 404, "not_found"),
        (ApiProblem::Conflict("why".into()), 409, "conflict"),
        (ApiProblem::Unavailable("why".into()), 503, "unavailable"),
        (ApiProblem::Internal, 500, "internal"),
    ];
    let user = format!("achievement=a&user={}", Address::ZERO);
    // Query and body that each path takes.
    let right = |path: &str| match path {
        "/api/v1/explain" | "/api/v1/proof" | "/api/v1/evidence" => (user.as_str(), "{}"),
        "/api/v1/fees/quote" => ("signer=awards", "{}"),
        "/api/v1/chains/{chain}/resume" => ("", r#"{"from_block":1}"#),
        "/api/v1/pause" | "/api/v1/resume" => ("", r#"{"all":true}"#),
        "/api/v1/contracts/{contract}/replay" => ("", r#"{"from_block":1,"to_block":2}"#),
        "/api/v1/signers/{signer}/repair" => ("", r#"{"apply":true}"#),
        _ => ("", "{}"),
    };
    for (said, status, code) in problems {
        for (path, takes) in routes::places() {
            // These have no error of the daemon's.
            if !path.starts_with("/api/v1/") || path.contains("codes") || path.ends_with("status") {
                continue;
            }
            for (method, _) in takes {
                let (query, body) = right(path);
                let asked = request(&method, &format!("{}?{query}", written(path)))
                    .insert_header((header::CONTENT_TYPE, "application/json"))
                    .set_payload(body);
                let answered = problem(ask(Err(said.clone()), asked).await).await;
                assert_eq!(
                    answered,
                    (StatusCode::from_u16(status).unwrap(), code.into()),
                    "{path}"
                );
            }
        }
    }
}

#[actix_web::test]
async fn what_the_server_itself_refuses_has_the_same_shape() {
    let long = "x".repeat(routes::MAX_BODY_BYTES + 1);
    let json = (header::CONTENT_TYPE, "application/json");
    let post = |path: &str| TestRequest::post().uri(path);
    for (asked, status, code) in [
        (TestRequest::get().uri("/api/v2/status"), 404, "not_found"),
        (TestRequest::get().uri("/status"), 404, "not_found"),
        (TestRequest::get().uri("/api/v1/codes/none"), 404, "not_found"),
        (TestRequest::get().uri("/api/v1/explain?achievement=a"), 400, "bad_request"),
        (TestRequest::get().uri("/api/v1/explain?achievement=a&user=0x1"), 400, "bad_request"),
        (TestRequest::get().uri("/api/v1/benefits/dao/ada"), 400, "bad_request"),
        (TestRequest::get().uri("/api/v1/dead-letters/0"), 400, "bad_request"),
        (post("/api/v1/pause"), 400, "bad_request"),
        (post("/api/v1/pause").insert_header(json.clone()).set_payload("{"), 400, "bad_request"),
        (post("/api/v1/pause").insert_header(json).set_payload(long.clone()), 413, "too_large"),
        (post("/api/v1/facts/forum").set_payload(long.clone()), 413, "too_large"),
    ] {
        let answered = problem(ask(Ok(()), asked).await).await;
        assert_eq!(answered, (StatusCode::from_u16(status).unwrap(), code.to_owned()));
    }
}

#[actix_web::test]
async fn every_path_has_a_version_but_three_and_one_without_is_told_so() {
    for (path, _) in routes::places() {
        assert!(
            routes::UNVERSIONED.contains(&path) || path.starts_with(routes::VERSIONED),
            "{path}"
        );
    }
    for (path, hint) in [("/api/status", true), ("/status", true), ("/api/v1/statuses", false)] {
        let answer = ask(Ok(()), TestRequest::get().uri(path)).await;
        let body = to_bytes(answer.into_body()).await.unwrap();
        let told: Json = serde_json::from_slice(&body).unwrap();
        let told = told["detail"].as_str().unwrap().contains("begin with /api/v1/");
        assert_eq!(told, hint, "{path}");
    }
}

#[actix_web::test]
async fn an_answer_has_the_id_of_its_request() {
    let id_of = async |given: &str| {
        let asked = TestRequest::get().uri("/healthz").insert_header((shape::REQUEST_ID, given));
        text(ask(Ok(()), asked).await.headers(), &shape::REQUEST_ID)
    };
    assert_eq!(id_of("a-7.B_c").await, "a-7.B_c");
    // What could not stand in a log as it is gets another.
    for hostile in ["", "a b", "\"}", "\t", &"x".repeat(65)] {
        let id = id_of(hostile).await;
        assert!(id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
}
