//! Plans on a cluster: what this program gives to the parts of Ballista.

use std::sync::Arc;

use pomona_cluster::{ClusterRunner, Engine, Tls, own_version, plan_codec};
use pomona_engine::{PlanStores, Services, SessionLimits, embedded_session};
use pomona_pipeline::assets::shipped_folder;
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
    let runner = match reporter.traces().cloned() {
        Some(traces) => runner.with_trace(Box::new(move || traces.parent())),
        None => runner,
    };
    context.runner = Arc::new(runner);
    Ok(())
}

/// What lets an executor run our plans: the stores of its `context`, and as many threads as the context has workers.
pub(crate) fn executor_engine(context: &Context) -> Result<Engine, Failure> {
    let workers = context.workers;
    let services = Services::new(Arc::clone(&context.stores), context.runtimes.fetch()?);
    let services = Arc::new(services.for_others(
        shipped_folder()?,
        Box::new(move |description, services| {
            described_extractor(description, services, workers, None)
        }),
    ));
    let session = embedded_session(SessionLimits::default(), Arc::clone(&services))?;
    let extension = Arc::clone(&services);
    Ok(Engine {
        codec: plan_codec(Some(Arc::clone(&services))),
        session: session.state(),
        session_hook: Some(Arc::new(move |config| {
            config.with_extension(Arc::clone(&extension))
        })),
        object_stores: Some(Arc::new(PlanStores::new(services))),
        hand_back: None,
    })
}
