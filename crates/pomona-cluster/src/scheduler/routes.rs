//! Everything that is served on the scheduler's port.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::api::get_routes;
use http::{StatusCode, header};
use serde_json::json;
use tonic::service::RoutesBuilder;

use super::gate::{Gate, Server};
use super::view::{Cancel, View};
use crate::page;

/// Jobs in the JSON list.
const LISTED: usize = 1_000;
/// Jobs on the page.
const SHOWN: usize = 200;

/// gRPC for executors and clients, Ballista's REST API under `/api`, and ours.
pub(crate) fn router(
    grpc: SchedulerGrpcServer<Gate>,
    server: Arc<Server>,
    view: Arc<View>,
) -> Router {
    let mut services = RoutesBuilder::default();
    services.add_service(grpc);
    let ours = Router::new()
        .route("/", get(front))
        .route("/jobs/{id}", get(job_page))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/pomona/version", get(version))
        .route("/pomona/jobs", get(jobs))
        .route("/pomona/jobs/{id}", get(job))
        .route("/pomona/jobs/{id}/cancel", post(cancel))
        .route("/pomona/executors", get(executors))
        .route("/pomona/scaling", get(scaling))
        .with_state(view);
    services
        .routes()
        .into_axum_router()
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
        .merge(get_routes(server))
        .merge(ours)
}

/// What may be told to anybody: figures and probes. Nobody is named there and nothing can be done.
pub(crate) fn figures(view: Arc<View>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .route("/pomona/scaling", get(scaling))
        .with_state(view)
        .fallback(|| async { (StatusCode::NOT_FOUND, "not found\n") })
}

async fn version(State(view): State<Arc<View>>) -> Response {
    Json(&view.version).into_response()
}

async fn jobs(State(view): State<Arc<View>>) -> Response {
    Json(view.jobs(LISTED).await).into_response()
}

async fn job(State(view): State<Arc<View>>, Path(id): Path<String>) -> Response {
    match view.job(&id).await {
        Some(job) => Json(job).into_response(),
        None => unknown(),
    }
}

async fn cancel(State(view): State<Arc<View>>, Path(id): Path<String>) -> Response {
    match view.cancel(&id).await {
        Cancel::Asked => (StatusCode::ACCEPTED, Json(json!({"cancelled": true}))).into_response(),
        Cancel::Over(state) => (
            StatusCode::CONFLICT,
            Json(json!({"cancelled": false, "state": state})),
        )
            .into_response(),
        Cancel::Unknown => unknown(),
        Cancel::Failed => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({"error": "the scheduler is ending"})),
        )
            .into_response(),
    }
}

async fn executors(State(view): State<Arc<View>>) -> Response {
    Json(view.executors()).into_response()
}

async fn scaling(State(view): State<Arc<View>>) -> Response {
    Json(view.scaling().await).into_response()
}

async fn ready(State(view): State<Arc<View>>) -> Response {
    if view.is_ready() {
        "ready\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no executor is there\n").into_response()
    }
}

async fn metrics(State(view): State<Arc<View>>) -> Response {
    const KIND: &str = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, KIND)], view.metrics().await).into_response()
}

async fn front(State(view): State<Arc<View>>) -> Response {
    let jobs = view.jobs(SHOWN).await;
    let scaling = view.scaling().await;
    let executors = view.executors();
    shown(|nonce| page::front(&jobs, &executors, &scaling, &view.version.pomona, nonce))
}

async fn job_page(State(view): State<Arc<View>>, Path(id): Path<String>) -> Response {
    match view.job(&id).await {
        Some(job) => shown(|nonce| page::job(&job, &view.version.pomona, nonce)),
        None => {
            let mut response = shown(|nonce| page::no_job(&view.version.pomona, nonce));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

/// A page whose style sheet and script alone may work, by a number that nobody can guess.
fn shown(draw: impl FnOnce(&str) -> maud::Markup) -> Response {
    let nonce = uuid::Uuid::new_v4().simple().to_string();
    let headers = [
        (header::CONTENT_SECURITY_POLICY, page::policy(&nonce)),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::X_FRAME_OPTIONS, "DENY".to_owned()),
    ];
    (headers, Html(draw(&nonce).into_string())).into_response()
}

fn unknown() -> Response {
    (StatusCode::NOT_FOUND, Json(json!({"error": "no such job"}))).into_response()
}
