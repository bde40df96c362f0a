//! Plans on a cluster: what this program gives to the parts of Ballista.

use std::path::Path;
use std::sync::Arc;

use pomona_cluster::{ClusterRunner, ExecutorSettings, Tls, own_version, plan_codec};
use pomona_engine::{EngineError, PlanStores, Services, SessionLimits, embedded_session};
use pomona_pipeline::{Context, described_extractor};

use crate::args::WorkArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

/// Has a context's plans run by the cluster that was asked for, if one was.
pub(crate) fn use_cluster(
    context: &mut Context,
    work: &WorkArgs,
    reporter: &Reporter,
) -> Result<(), Failure> {
    let Some(address) = &work.cluster else {
        return Ok(());
    };
    let tls = work.cluster_tls.as_deref().map(Tls::load).transpose()?;
    for warning in tls.iter().flat_map(Tls::warnings) {
        reporter.say(warning);
    }
    let teller = reporter.clone();
    let runner = context.runtimes.block_on::<_, _, Failure>(async {
        Ok(ClusterRunner::connect(
            address.strip_prefix("df://").unwrap_or(address),
            tls,
            own_version(),
            plan_codec(None),
            Box::new(move |text| teller.say(text)),
        )
        .await?)
    })?;
    context.runner = Arc::new(runner);
    Ok(())
}

/// What lets an executor run our plans: it makes features with `workers` threads, and keeps what it fetches for that in
/// `folder`.
pub(crate) fn executor_services(
    context: &Context,
    folder: &Path,
    workers: usize,
) -> Result<Arc<Services>, EngineError> {
    let services = Services::new(Arc::clone(&context.stores), context.runtimes.fetch()?);
    Ok(Arc::new(services.for_others(
        folder.to_owned(),
        Box::new(move |description, services| {
            described_extractor(description, services, workers, None)
        }),
    )))
}

/// The settings of an executor, with everything in them that our plans need.
pub(crate) fn executor_settings(
    scheduler: (&str, u16),
    services: &Arc<Services>,
) -> Result<ExecutorSettings, EngineError> {
    let session = embedded_session(SessionLimits::default(), Arc::clone(services))?;
    let mut settings = ExecutorSettings::new(
        scheduler.0,
        scheduler.1,
        own_version(),
        plan_codec(Some(Arc::clone(services))),
        session.state(),
    );
    let extension = Arc::clone(services);
    settings.session_hook = Some(Arc::new(move |config| {
        config.with_extension(Arc::clone(&extension))
    }));
    settings.object_stores = Some(Arc::new(PlanStores::new(Arc::clone(services))));
    Ok(settings)
}
