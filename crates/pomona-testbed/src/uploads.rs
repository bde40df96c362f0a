//! Uploads in parts: files below the staging folder, joined when the upload is complete.
//!
//! The first part becomes the object: the others are added to it and it is renamed into its bucket, so that the
//! conditions of a request hold at the moment when the object appears.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::StreamExt as _;
use s3s::dto::*;
use s3s::{S3Request, S3Response, S3Result, s3_error};

use crate::files::{Attributes, Conditions, Files, Staged, io_error};

/// Parts but the last are at least so large, as in S3.
const LEAST_PART_BYTES: u64 = 5 << 20;

#[derive(Default)]
pub(crate) struct Uploads {
    open: Mutex<HashMap<String, Upload>>,
    /// What came of finished uploads: a client that lost the answer asks again.
    finished: Mutex<HashMap<String, Finished>>,
    /// Held while parts are joined.
    joining: tokio::sync::Mutex<()>,
    /// So that no two uploads, and no two parts, have the same name.
    named: AtomicU64,
}

struct Upload {
    bucket: String,
    key: String,
    attributes: Attributes,
    parts: BTreeMap<i32, Part>,
}

struct Part {
    staged: Staged,
    size: u64,
    etag: ETag,
}

#[derive(Clone)]
struct Finished {
    bucket: String,
    key: String,
    etag: ETag,
}

impl Uploads {
    /// A name that none had before, also not from a server that was here earlier.
    fn name(&self, of: &str) -> String {
        let number = self.named.fetch_add(1, Relaxed);
        format!("{of}-{number}-{:016x}", rand::random::<u64>())
    }

    /// Bucket and key of each upload that was neither finished nor aborted.
    pub(crate) fn unfinished(&self) -> Vec<(String, String)> {
        let mut unfinished: Vec<_> = lock(&self.open)
            .values()
            .map(|upload| (upload.bucket.clone(), upload.key.clone()))
            .collect();
        unfinished.sort_unstable();
        unfinished
    }

    pub(crate) fn create(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Response<CreateMultipartUploadOutput> {
        let input = req.input;
        let id = self.name("upload");
        let upload = Upload {
            bucket: input.bucket,
            key: input.key,
            attributes: Attributes {
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                content_type: input.content_type,
                metadata: input.metadata,
                server_side_encryption: input.server_side_encryption,
                kms_key_id: input.ssekms_key_id,
            },
            parts: BTreeMap::new(),
        };
        let output = CreateMultipartUploadOutput {
            bucket: Some(upload.bucket.clone()),
            key: Some(upload.key.clone()),
            upload_id: Some(id.clone()),
            server_side_encryption: upload.attributes.server_side_encryption.clone(),
            ..Default::default()
        };
        lock(&self.open).insert(id, upload);
        S3Response::new(output)
    }

    pub(crate) async fn add_part(
        &self,
        files: &Files,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = req.input;
        let (id, number) = (input.upload_id, input.part_number);
        self.check_open(&id, &input.bucket, &input.key)?;
        if !(1..=10_000).contains(&number) {
            return Err(s3_error!(
                InvalidArgument,
                "Part number must be an integer between 1 and 10000, inclusive"
            ));
        }
        let mut staged = files.stage()?;
        let mut size = 0;
        let mut body = input.body.ok_or_else(|| s3_error!(IncompleteBody))?;
        while let Some(bytes) = body.next().await {
            let bytes = bytes.map_err(|error| {
                s3_error!(
                    IncompleteBody,
                    "The body of the request ended early: {error}"
                )
            })?;
            size += bytes.len() as u64;
            staged.file.write_all(&bytes).map_err(io_error)?;
        }
        let etag = ETag::Strong(self.name("part"));
        let part = Part {
            staged,
            size,
            etag: etag.clone(),
        };
        match lock(&self.open).get_mut(&id) {
            Some(upload) => drop(upload.parts.insert(number, part)),
            None => return Err(no_such_upload()),
        }
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(etag),
            ..Default::default()
        }))
    }

    pub(crate) async fn complete(
        &self,
        files: &Files,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let _joining = self.joining.lock().await;
        let input = req.input;
        let id = input.upload_id;
        let (bucket, key) = (input.bucket, input.key);
        if let Some(finished) = lock(&self.finished).get(&id).cloned()
            && (&finished.bucket, &finished.key) == (&bucket, &key)
        {
            return Ok(completed(finished));
        }
        self.check_open(&id, &bucket, &key)?;
        let named = self.check_parts(&id, input.multipart_upload.as_ref())?;
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
        };
        // An upload whose conditions fail stays open, as in S3.
        files.check(&bucket, &key, &conditions)?;

        // Whether the parts can be joined or not, the upload has ended by then.
        let Some(mut upload) = lock(&self.open).remove(&id) else {
            return Err(no_such_upload());
        };
        let parts: Vec<Part> = named
            .iter()
            .filter_map(|number| upload.parts.remove(number))
            .collect();
        let staged = tokio::task::spawn_blocking(move || join(parts))
            .await
            .map_err(|error| io_error(io::Error::other(error)))?
            .map_err(io_error)?;
        let staged = staged.ok_or_else(no_such_upload)?;
        let stat = files.commit(&staged, &bucket, &key, &conditions, upload.attributes)?;
        let finished = Finished {
            bucket,
            key,
            etag: stat.etag,
        };
        lock(&self.finished).insert(id, finished.clone());
        Ok(completed(finished))
    }

    pub(crate) fn abort(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = &req.input;
        self.check_open(&input.upload_id, &input.bucket, &input.key)?;
        // Its files go with it.
        lock(&self.open).remove(&input.upload_id);
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }

    fn check_open(&self, id: &str, bucket: &str, key: &str) -> S3Result<()> {
        match lock(&self.open).get(id) {
            Some(upload) if upload.bucket == bucket && upload.key == key => Ok(()),
            _ => Err(no_such_upload()),
        }
    }

    /// The parts named must be those that were stored; gives their numbers.
    fn check_parts(
        &self,
        id: &str,
        named: Option<&CompletedMultipartUpload>,
    ) -> S3Result<Vec<i32>> {
        let named = named
            .and_then(|upload| upload.parts.as_deref())
            .unwrap_or_default();
        let open = lock(&self.open);
        let stored = open
            .get(id)
            .map(|upload| &upload.parts)
            .ok_or_else(no_such_upload)?;
        let (mut last, mut numbers, mut sizes) = (0, Vec::new(), Vec::new());
        for part in named {
            let number = part.part_number.unwrap_or(0);
            if number <= last {
                return Err(s3_error!(
                    InvalidPartOrder,
                    "The list of parts was not in ascending order."
                ));
            }
            last = number;
            let found = stored
                .get(&number)
                .filter(|stored| part.e_tag.as_ref() == Some(&stored.etag));
            let Some(found) = found else {
                return Err(s3_error!(
                    InvalidPart,
                    "One or more of the specified parts could not be found."
                ));
            };
            numbers.push(number);
            sizes.push(found.size);
        }
        if named.is_empty() {
            return Err(s3_error!(
                InvalidRequest,
                "You must specify at least one part"
            ));
        }
        sizes.pop();
        if sizes.iter().any(|size| *size < LEAST_PART_BYTES) {
            return Err(s3_error!(
                EntityTooSmall,
                "Your proposed upload is smaller than the minimum allowed object size."
            ));
        }
        Ok(numbers)
    }
}

/// Adds the other parts to the first one.
fn join(parts: Vec<Part>) -> io::Result<Option<Staged>> {
    let mut parts = parts.into_iter().map(|part| part.staged);
    let Some(mut whole) = parts.next() else {
        return Ok(None);
    };
    whole.file.seek(SeekFrom::End(0))?;
    for mut part in parts {
        part.file.seek(SeekFrom::Start(0))?;
        io::copy(&mut part.file, &mut whole.file)?;
    }
    Ok(Some(whole))
}

fn completed(finished: Finished) -> S3Response<CompleteMultipartUploadOutput> {
    S3Response::new(CompleteMultipartUploadOutput {
        bucket: Some(finished.bucket),
        key: Some(finished.key),
        e_tag: Some(finished.etag),
        ..Default::default()
    })
}

fn no_such_upload() -> s3s::S3Error {
    s3_error!(
        NoSuchUpload,
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."
    )
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
