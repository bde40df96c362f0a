//! Uploads in parts: `s3s-fs` keeps the parts and joins them, this module decides when an object comes of it.
//!
//! The parts are joined below the staging folder and the result is renamed into its bucket, so that the conditions of
//! a request hold at the moment when the object appears.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use s3s::dto::*;
use s3s::{S3 as _, S3Request, S3Response, S3Result, s3_error};
use s3s_fs::FileSystem;

use crate::files::{Attributes, Conditions, Files};

/// Where `s3s-fs` joins parts, as it sees it. One object at a time lies there.
const BUCKET: &str = "joined";
const KEY: &str = "object";

pub(crate) struct Uploads {
    parts: FileSystem,
    joined: PathBuf,
    open: Mutex<HashMap<String, Upload>>,
    /// What came of finished uploads: a client that lost the answer asks again.
    finished: Mutex<HashMap<String, Finished>>,
    /// Held while parts are joined.
    joining: tokio::sync::Mutex<()>,
}

struct Upload {
    bucket: String,
    key: String,
    attributes: Attributes,
    /// The etag of each part.
    parts: BTreeMap<i32, Option<ETag>>,
}

#[derive(Clone)]
struct Finished {
    bucket: String,
    key: String,
    etag: ETag,
}

impl Uploads {
    pub(crate) fn new(files: &Files) -> io::Result<Self> {
        let staging = files.staging();
        std::fs::create_dir_all(staging.join(BUCKET))?;
        Ok(Self {
            parts: FileSystem::new(staging)
                .map_err(|_| io::Error::other("temporary files in it cannot be removed"))?,
            joined: staging.join(BUCKET).join(KEY),
            open: Mutex::default(),
            finished: Mutex::default(),
            joining: tokio::sync::Mutex::default(),
        })
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

    pub(crate) async fn create(
        &self,
        mut req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = &mut req.input;
        let upload = Upload {
            bucket: std::mem::replace(&mut input.bucket, BUCKET.to_owned()),
            key: std::mem::replace(&mut input.key, KEY.to_owned()),
            attributes: Attributes {
                cache_control: input.cache_control.take(),
                content_disposition: input.content_disposition.take(),
                content_encoding: input.content_encoding.take(),
                content_language: input.content_language.take(),
                content_type: input.content_type.take(),
                metadata: input.metadata.take(),
                server_side_encryption: input.server_side_encryption.take(),
                kms_key_id: input.ssekms_key_id.take(),
            },
            parts: BTreeMap::new(),
        };
        let mut response = self.parts.create_multipart_upload(req).await?;
        let output = &mut response.output;
        output.bucket = Some(upload.bucket.clone());
        output.key = Some(upload.key.clone());
        output.server_side_encryption = upload.attributes.server_side_encryption.clone();
        if let Some(id) = &output.upload_id {
            lock(&self.open).insert(id.clone(), upload);
        }
        Ok(response)
    }

    pub(crate) async fn add_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = &req.input;
        let (id, number) = (input.upload_id.clone(), input.part_number);
        self.check_open(&id, &input.bucket, &input.key)?;
        let response = self.parts.upload_part(req).await?;
        if let Some(upload) = lock(&self.open).get_mut(&id) {
            upload.parts.insert(number, response.output.e_tag.clone());
        }
        Ok(response)
    }

    pub(crate) async fn complete(
        &self,
        files: &Files,
        mut req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let _joining = self.joining.lock().await;
        let input = &mut req.input;
        let id = input.upload_id.clone();
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        if let Some(finished) = lock(&self.finished).get(&id).cloned()
            && (&finished.bucket, &finished.key) == (&bucket, &key)
        {
            return Ok(completed(finished));
        }
        self.check_open(&id, &bucket, &key)?;
        self.check_parts(&id, input.multipart_upload.as_ref())?;
        let conditions = Conditions {
            if_match: input.if_match.take(),
            if_none_match: input.if_none_match.take(),
        };
        // An upload whose conditions fail stays open, as in S3.
        files.check(&bucket, &key, &conditions)?;

        input.bucket = BUCKET.to_owned();
        input.key = KEY.to_owned();
        // Whether the parts can be joined or not, `s3s-fs` has ended the upload by then.
        let joined = self.parts.complete_multipart_upload(req).await;
        let Some(upload) = lock(&self.open).remove(&id) else {
            return Err(no_such_upload());
        };
        joined?;
        let staged = files.adopt(self.joined.clone())?;
        let stat = files.commit(&staged, &bucket, &key, &conditions, upload.attributes)?;
        let finished = Finished {
            bucket,
            key,
            etag: stat.etag,
        };
        lock(&self.finished).insert(id, finished.clone());
        Ok(completed(finished))
    }

    pub(crate) async fn abort(
        &self,
        mut req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = &mut req.input;
        self.check_open(&input.upload_id, &input.bucket, &input.key)?;
        lock(&self.open).remove(&input.upload_id);
        input.bucket = BUCKET.to_owned();
        input.key = KEY.to_owned();
        self.parts.abort_multipart_upload(req).await
    }

    fn check_open(&self, id: &str, bucket: &str, key: &str) -> S3Result<()> {
        match lock(&self.open).get(id) {
            Some(upload) if upload.bucket == bucket && upload.key == key => Ok(()),
            _ => Err(no_such_upload()),
        }
    }

    /// The parts named must be those that were stored.
    fn check_parts(&self, id: &str, named: Option<&CompletedMultipartUpload>) -> S3Result<()> {
        let named = named
            .and_then(|upload| upload.parts.as_deref())
            .unwrap_or_default();
        let open = lock(&self.open);
        let stored = open
            .get(id)
            .map(|upload| &upload.parts)
            .ok_or_else(no_such_upload)?;
        let mut last = 0;
        for part in named {
            let number = part.part_number.unwrap_or(0);
            if number <= last {
                return Err(s3_error!(
                    InvalidPartOrder,
                    "The list of parts was not in ascending order."
                ));
            }
            last = number;
            if part.e_tag.is_none() || stored.get(&number) != Some(&part.e_tag) {
                return Err(s3_error!(
                    InvalidPart,
                    "One or more of the specified parts could not be found."
                ));
            }
        }
        if named.is_empty() {
            return Err(s3_error!(
                InvalidRequest,
                "You must specify at least one part"
            ));
        }
        Ok(())
    }
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
