//! What work in a place leaves while it goes on.

use std::io;

use crate::error::StoreError;
use crate::local::is_temporary;
use crate::place::{Place, WORK_FOLDER};

impl Place {
    /// The folder for what only programs at work look at.
    #[must_use]
    pub fn work_area(&self) -> Self {
        self.join(WORK_FOLDER)
    }

    /// What unfinished work left below: temporary files, wherever older versions put them too.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn leftovers(&self) -> Result<Vec<Self>, StoreError> {
        let temporary = self.work_area().join("tmp");
        let mut found = temporary.all_below().await?;
        let Some(folder) = &self.file else {
            return Ok(found);
        };
        let entries = match std::fs::read_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
            entries => entries.map_err(|source| self.io(source))?,
        };
        // Files with `#` in their names are not listed by the store.
        let mut folders = vec![folder.clone(), folder.join(WORK_FOLDER).join("tmp")];
        folders.extend(
            entries
                .flatten()
                .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
                .map(|entry| entry.path()),
        );
        for folder in folders {
            let Ok(entries) = std::fs::read_dir(&folder) else {
                continue;
            };
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if is_temporary(&name) && entry.path().is_file() {
                    let place = Self::of_path(&entry.path())?;
                    if !found.iter().any(|known| known.file == place.file) {
                        found.push(place);
                    }
                }
            }
        }
        Ok(found)
    }

    /// Removes what unfinished work left; gives how many files that were.
    ///
    /// # Errors
    /// [`StoreError::Object`] and [`StoreError::Io`].
    pub async fn clean(&self) -> Result<u64, StoreError> {
        let found = self.leftovers().await?;
        for place in &found {
            match &place.file {
                Some(file) => match std::fs::remove_file(file) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(place.io(error));
                    }
                    _ => {}
                },
                None => place.delete().await?,
            }
        }
        self.remove_empty_work_folder();
        Ok(found.len() as u64)
    }

    /// Removes the folder for work in progress, where nothing is in it.
    pub fn remove_empty_work_folder(&self) {
        if let Some(folder) = &self.file {
            let work = folder.join(WORK_FOLDER);
            // Where something is in it, it stays: that is the point.
            let _ = std::fs::remove_dir(work.join("tmp"));
            let _ = std::fs::remove_dir(work);
        }
    }
}
