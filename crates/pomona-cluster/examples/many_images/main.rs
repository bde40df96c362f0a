//! Millions of photos that do not exist, listed, planned and handed out: what a scheduler costs by itself.
//!
//! ```text
//! cargo run -p pomona-cluster --example many_images -- SCHEDULER_ADDRESS IMAGES IMAGES_A_SHARD [SCHEDULER_PID]
//! ```
//!
//! The plans are those of `pomona run`, in jobs as large as it makes them. The executors are none: they take tasks and
//! say at once that these are done, thousands of times as often as real ones, so they wait while a job is planned.
//! The last line is JSON: `planning_seconds` is, over all jobs, the time from the first byte of a request to the moment
//! when the job's tasks could be handed out, the transfer included; `planning_processor_seconds` is what processors worked
//! for the scheduler in that time, where its process is told.

mod executor;
mod jobs;
mod shards;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use pomona_engine::PlanFolder;
use pomona_pipeline::{
    Context, ExtractorRequest, FeatureKind, IMAGES_A_JOB, JOBS_AT_ONCE, SHARDS_A_JOB, Silent,
    extractor_for,
};
use pomona_store::{Place, StoreSettings};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use executor::{Done, Report};
use jobs::{Failure, Planner};

const EXECUTORS: usize = 2;
const SLOTS: u32 = 16;
const LARGEST_MESSAGE: usize = 512 << 20;

/// What was measured, summed over all jobs.
#[derive(Default)]
struct Sums {
    jobs: u64,
    plan_bytes: u64,
    listing: Duration,
    encoding: Duration,
    submitting: Duration,
    waiting: Duration,
    longest: Duration,
    processor_seconds: f64,
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, images, images_a_shard, process @ ..] = arguments.as_slice() else {
        return Err(
            "usage: many_images SCHEDULER_ADDRESS IMAGES IMAGES_A_SHARD [SCHEDULER_PID]".into(),
        );
    };
    let process = process.first().map(|process| process.parse()).transpose()?;
    let (images, images_a_shard): (u64, u64) = (images.parse()?, images_a_shard.parse()?);
    let shards = u32::try_from(images / images_a_shard.max(1))?;
    let context = Context::start(1, StoreSettings::default(), Arc::new(Silent))?;
    let request = ExtractorRequest {
        features: Some(FeatureKind::Orb),
        ..ExtractorRequest::default()
    };
    let planner = Planner {
        session: context.session.clone(),
        folder: PlanFolder::of(&Place::of_path(std::path::Path::new("many-images"))?),
        extractor: extractor_for(&context, &request, None)?.0,
    };
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    let runtime = tokio::runtime::Runtime::new()?;
    let told = runtime.block_on(run(planner, endpoint, shards, images_a_shard, process))?;
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

async fn run(
    planner: Planner,
    endpoint: Endpoint,
    shards: u32,
    images_a_shard: u64,
    process: Option<u32>,
) -> Result<serde_json::Value, Failure> {
    let began = Instant::now();
    let scheduler = client(&endpoint);
    let done = Arc::new(Done::default());
    let mut executors = JoinSet::new();
    let mut running = JoinSet::new();
    let mut sums = Sums::default();
    // The next job is listed while one is planned and worked on.
    let (sender, mut plans) = mpsc::channel(1);
    let listing = tokio::spawn(list(planner, shards, images_a_shard, sender));
    while let Some(plan) = plans.recv().await {
        if executors.is_empty() {
            let report = Report {
                // Ballista puts one above it.
                operators: plan.operators + 1,
                images: images_a_shard,
            };
            for number in 0..EXECUTORS {
                let id = format!("executor-{number}");
                let done = Arc::clone(&done);
                executors.spawn(executor::run(client(&endpoint), id, SLOTS, report, done));
            }
        }
        if running.len() >= JOBS_AT_ONCE {
            finished(running.join_next().await)?;
        }
        sums.jobs += 1;
        sums.plan_bytes += plan.bytes.len() as u64;
        sums.listing += plan.listing;
        sums.encoding += plan.encoding;
        let turn = done.turn.write().await;
        let before = processor_seconds(process);
        let planned = jobs::submit(scheduler.clone(), plan.bytes).await?;
        sums.processor_seconds += processor_seconds(process) - before;
        drop(turn);
        sums.submitting += planned.submitting;
        sums.waiting += planned.waiting;
        sums.longest = sums.longest.max(planned.submitting + planned.waiting);
        running.spawn(jobs::ended(scheduler.clone(), planned.job));
    }
    listing.await??;
    while !running.is_empty() {
        finished(running.join_next().await)?;
    }
    let seconds = began.elapsed().as_secs_f64();
    done.stop.store(true, Ordering::Relaxed);
    while let Some(ended) = executors.join_next().await {
        ended??;
    }
    let tasks = done.tasks.load(Ordering::Relaxed);
    Ok(serde_json::json!({
        "images": u64::from(shards) * images_a_shard,
        "shards": shards,
        "jobs": sums.jobs,
        "tasks": tasks,
        "seconds": seconds,
        "planning_seconds": (sums.submitting + sums.waiting).as_secs_f64(),
        "submitting_seconds": sums.submitting.as_secs_f64(),
        "longest_planning_seconds": sums.longest.as_secs_f64(),
        "planning_processor_seconds": sums.processor_seconds,
        "plan_bytes": sums.plan_bytes,
        "task_bytes": done.bytes.load(Ordering::Relaxed),
        "listing_seconds": sums.listing.as_secs_f64(),
        "encoding_seconds": sums.encoding.as_secs_f64(),
        "tasks_per_second": tasks as f64 / seconds,
    }))
}

/// A job's plan, and what it took to make it.
struct Listed {
    bytes: Vec<u8>,
    operators: usize,
    listing: Duration,
    encoding: Duration,
}

/// Lists all shards, in jobs as large as a run makes them.
async fn list(
    planner: Planner,
    shards: u32,
    images_a_shard: u64,
    sender: mpsc::Sender<Listed>,
) -> Result<(), Failure> {
    let shards_a_job = IMAGES_A_JOB.div_ceil(usize::try_from(images_a_shard.max(1))?);
    let shards_a_job = u32::try_from(shards_a_job.min(SHARDS_A_JOB))?;
    let mut first = 0;
    while first < shards {
        let next = shards.min(first + shards_a_job);
        let began = Instant::now();
        let listed = (first..next).map(|index| shards::shard(index, images_a_shard));
        let plan = planner.plan(listed.collect()).await?;
        let (listing, operators) = (began.elapsed(), jobs::operators(plan.as_ref()));
        let began = Instant::now();
        let bytes = jobs::encoded(plan)?;
        let listed = Listed {
            bytes,
            operators,
            listing,
            encoding: began.elapsed(),
        };
        if sender.send(listed).await.is_err() {
            // Whoever waits for plans says why it does not any more.
            return Ok(());
        }
        first = next;
    }
    Ok(())
}

fn client(endpoint: &Endpoint) -> SchedulerGrpcClient<Channel> {
    SchedulerGrpcClient::new(endpoint.connect_lazy())
        .max_encoding_message_size(LARGEST_MESSAGE)
        .max_decoding_message_size(LARGEST_MESSAGE)
}

/// What processors worked for a process so far; 0 where that cannot be read.
fn processor_seconds(process: Option<u32>) -> f64 {
    /// Clock ticks of a second, which Linux tells programs are always so many.
    const TICKS: f64 = 100.0;
    let stat = process.map(|process| std::fs::read_to_string(format!("/proc/{process}/stat")));
    let stat = stat.and_then(Result::ok).unwrap_or_default();
    // The name, in brackets, may hold anything.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks
        .filter_map(|ticks| ticks.parse::<f64>().ok())
        .sum::<f64>()
        / TICKS
}

fn finished(
    job: Option<Result<Result<(), Failure>, tokio::task::JoinError>>,
) -> Result<(), Failure> {
    job.transpose()?.transpose()?;
    Ok(())
}
