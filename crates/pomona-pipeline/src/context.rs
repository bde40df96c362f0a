//! What every step of a run needs.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::RecordBatch;
use datafusion::execution::context::SessionContext;
use datafusion::prelude::DataFrame;
use pomona_engine::{
    Asset, Embedded, EngineError, Runner, Runtimes, Services, SessionLimits, embedded_session,
    put_asset,
};
use pomona_store::{Place, StoreSettings, Stores};
use tokio_util::sync::CancellationToken;

use crate::error::PipelineError;
use crate::events::{Event, Observer};

/// What every step needs.
pub struct Context {
    /// DataFusion.
    pub session: SessionContext,
    /// The threads that drive it.
    pub runtimes: Runtimes,
    /// Who runs the plans over many images: this process, unless it is told otherwise.
    pub runner: Arc<dyn Runner>,
    /// Where places are opened.
    pub stores: Arc<Stores>,
    /// Images worked on at once.
    pub workers: usize,
    /// Who is told what happens.
    pub observer: Arc<dyn Observer>,
    /// Cancelled to stop cleanly.
    pub cancel: CancellationToken,
    /// When it was started.
    pub started: Instant,
}

impl Context {
    /// Starts the threads and the session.
    ///
    /// # Errors
    /// Those of the engine, and of the stores' settings.
    pub fn start(
        workers: usize,
        stores: StoreSettings,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, PipelineError> {
        let workers = workers.max(1);
        let runtimes = Runtimes::start(workers)?;
        let teller = Arc::clone(&observer);
        let stores = Stores::new(stores, runtimes.fetch()?)?
            .telling(move |text| teller.event(&Event::Note { text }));
        let stores = Arc::new(stores);
        let services = Arc::new(Services::new(Arc::clone(&stores), runtimes.fetch()?));
        Ok(Self {
            session: embedded_session(SessionLimits::default(), services)?,
            runner: Arc::new(Embedded { workers }),
            stores,
            runtimes,
            workers,
            observer,
            cancel: CancellationToken::new(),
            started: Instant::now(),
        })
    }

    /// Has a query run, in this process or wherever its plans are run. `name` is for people.
    pub(crate) async fn collect(
        &self,
        name: &str,
        query: DataFrame,
    ) -> Result<Vec<RecordBatch>, PipelineError> {
        let context = Arc::new(query.task_ctx());
        let plan = query.create_physical_plan().await?;
        Ok(self.runner.run(name, plan, context).await?)
    }

    /// Puts what a function holds where the processes that run plans find it, if it is not this one that does.
    pub(crate) async fn ship(
        &self,
        folder: &Place,
        bytes: impl FnOnce() -> Result<Vec<u8>, EngineError>,
    ) -> Result<Option<Asset>, PipelineError> {
        if !self.runner.is_remote() {
            return Ok(None);
        }
        Ok(Some(put_asset(folder, bytes()?.into()).await?))
    }

    /// Runs a step to its end, or until the context is cancelled.
    pub(crate) async fn until_cancelled<T>(
        &self,
        step: impl Future<Output = Result<T, PipelineError>>,
    ) -> Result<T, PipelineError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(PipelineError::Interrupted),
            done = step => done,
        }
    }

    pub(crate) fn note(&self, text: &str) {
        self.observer.event(&Event::Note {
            text: text.to_owned(),
        });
    }
}
