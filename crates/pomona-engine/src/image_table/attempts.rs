//! Marks of shards that were begun, so that a shard at which workers die is found out.

use std::sync::Arc;

use pomona_store::Place;

use crate::error::EngineError;
use crate::plan_folder::PlanFolder;
use crate::services::{Marked, Services};

/// Where the marks lie in the folder of a run, under what `pomona clean` empties.
const MARKS: &str = ".pomona/attempts";
/// Workers that may die at a shard before it is set aside.
const DEATHS: usize = 2;

/// The beginning of work on a shard.
#[derive(Default)]
pub(super) struct Attempt {
    /// Why the shard is not worked on, where it is not.
    pub(super) set_aside: Option<String>,
    _mark: Option<Marked>,
}

/// Leaves this worker's mark. Where the marks of two others are there, whose work on the shard never ended, it is set
/// aside.
pub(super) async fn begin(
    services: &Arc<Services>,
    folder: &PlanFolder,
    shard: u32,
) -> Result<Attempt, EngineError> {
    let Some(worker) = services.worker_name() else {
        return Ok(Attempt::default());
    };
    let place = folder.place(services).await?;
    let marks = place.join(&format!("{MARKS}/{shard:05}"));
    let others = marks
        .files()
        .await?
        .iter()
        .filter(|mark| mark.name() != worker)
        .count();
    if others >= DEATHS {
        return Ok(Attempt {
            set_aside: Some(format!(
                "set aside: {others} executors ended while they worked on its shard ({shard}); `pomona retry` tries it again"
            )),
            _mark: None,
        });
    }
    let path = format!("{MARKS}/{shard:05}/{worker}");
    let mark = services.marked(folder, &path);
    place.join(&path).write("").await?;
    Ok(Attempt {
        set_aside: None,
        _mark: Some(mark),
    })
}

/// Removes all marks: what was begun before has ended, one way or the other.
///
/// # Errors
/// Those of the store.
pub async fn remove_marks(folder: &Place) -> Result<(), EngineError> {
    let all = folder.join(MARKS).all_below().await?;
    Ok(Place::delete_all(&all).await?)
}
