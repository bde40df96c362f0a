//! `pomona cluster scheduler`

use std::sync::Arc;
use std::time::Duration;

use pomona_cluster::{
    JobHook, Price, SchedulerSettings, own_version, plan_codec, run_scheduler, stop_on_signals,
};

use super::address::{exposure, figures_at, identity, listen_at, runtime};
use crate::args::SchedulerArgs;
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::traces::job_spans;

pub(super) fn scheduler(args: &SchedulerArgs, reporter: &Reporter) -> Result<(), Failure> {
    let bind = listen_at(&args.bind, "--bind")?;
    let tls = identity(&args.tls, reporter)?;
    exposure(bind, tls.is_some(), args.plain_text, reporter)?;
    let metrics_bind = figures_at(args.metrics_bind.as_deref(), reporter)?;
    let settings = SchedulerSettings {
        bind,
        tls,
        metrics_bind,
        executor_slots: args.executor_slots,
        plain_text: args.plain_text,
        executor_timeout: Duration::from_secs(args.executor_timeout_secs),
        no_executors_grace: Duration::from_secs(args.no_executors_secs),
        history: args.history.clone(),
        price: args.price_per_hour.map(|per_executor_hour| Price {
            per_executor_hour,
            currency: args.currency.clone(),
        }),
        tell: reporter.teller(),
        job_hook: reporter
            .traces()
            .cloned()
            .map(|traces| -> JobHook { Arc::new(job_spans(traces)) }),
        ..SchedulerSettings::new(plan_codec(None), own_version())
    };
    let stop = settings.stop.clone();
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        stop_on_signals(stop.clone(), stop)?;
        run_scheduler(settings).await
    });
    // Ballista's own tasks go on for ever.
    runtime.shutdown_background();
    Ok(ended?)
}
