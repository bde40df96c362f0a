//! `pomona cluster executor`

use std::sync::Arc;
use std::time::Duration;

use pomona_cluster::{ExecutorEvent, ExecutorSettings, own_version, run_executor, stop_on_signals};
use pomona_pipeline::{Context, Silent};

use super::address::{exposure, figures_at, host_and_port, identity, listen_at, runtime};
use crate::args::ExecutorArgs;
use crate::cluster::executor_engine;
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::traces::task_spans;

pub(super) fn executor(args: &ExecutorArgs, reporter: &Reporter) -> Result<(), Failure> {
    let (host, port) = host_and_port(&args.scheduler.scheduler)?;
    let bind = listen_at(&args.bind, "--bind")?;
    let tls = identity(&args.scheduler.tls, reporter)?;
    exposure(bind, tls.is_some(), args.plain_text, reporter)?;
    let metrics_bind = figures_at(args.metrics_bind.as_deref(), reporter)?;
    let workers = match args.workers {
        Some(workers) => workers as usize,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let context = Context::start(workers, reporter.stores().clone(), Arc::new(Silent))?;
    let engine = executor_engine(&context)?;
    let mut settings =
        ExecutorSettings::new(host, port, own_version(), engine.codec, engine.session);
    settings.bind = bind;
    settings.advertised_host = args.advertise.clone();
    settings.metrics_bind = metrics_bind;
    // One more than workers, so that one shard is fetched and written while others are worked on.
    settings.slots = workers + 1;
    settings.memory_bytes = args.memory_bytes;
    settings.work_folder = args.work_dir.clone();
    settings.drain = Duration::from_secs(args.drain_secs);
    settings.tls = tls;
    settings.session_hook = engine.session_hook;
    settings.object_stores = engine.object_stores;
    settings.hand_back = engine.hand_back;
    let tell = reporter.teller();
    let trace = reporter.traces().cloned().map(task_spans);
    settings.observer = Some(Arc::new(move |event: &ExecutorEvent| {
        if let Some(trace) = &trace {
            trace(event);
        }
        match event {
            // One a second and core is no news.
            ExecutorEvent::TaskStarted { .. } | ExecutorEvent::TaskFinished { error: None, .. } => {
            }
            event => tell(&event.to_string()),
        }
    }));
    let (stop, stop_now) = (settings.stop.clone(), settings.stop_now.clone());
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        stop_on_signals(stop, stop_now)?;
        run_executor(settings).await
    });
    runtime.shutdown_background();
    Ok(ended?)
}
