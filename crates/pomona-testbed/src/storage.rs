//! The operations of S3 that Pomona uses, over files.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use s3s::checksum::ChecksumHasher;
use s3s::dto::*;
use s3s::stream::{ByteStream, RemainingLength};
use s3s::{Body, S3, S3Request, S3Response, S3Result, StdError, s3_error};
use s3s_fs::FileSystem;

use crate::Rules;
use crate::files::{Attributes, Conditions, Files, Stat, io_error};
use crate::listing::{Line, Page};
use crate::uploads::Uploads;

/// Bodies of at most this many bytes are read at once, larger ones in pieces of this size.
const PIECE: u64 = 256 * 1024;

/// S3 gives at most this many lines a page.
const PAGE_MAX: i32 = 1000;

pub(crate) struct Storage {
    pub(crate) files: Arc<Files>,
    pub(crate) buckets: FileSystem,
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) rules: Rules,
    pub(crate) region: String,
}

type Answer<T> = S3Result<S3Response<T>>;

fn answer<T>(output: T) -> Answer<T> {
    Ok(S3Response::new(output))
}

#[async_trait::async_trait]
impl S3 for Storage {
    async fn get_object(&self, req: S3Request<GetObjectInput>) -> Answer<GetObjectOutput> {
        let input = req.input;
        let (mut file, stat) = self.files.read(&input.bucket, &input.key)?;
        check_reading(
            &stat,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
            input.if_modified_since.as_ref(),
            input.if_unmodified_since.as_ref(),
        )?;
        let (start, length, content_range) = match input.range {
            None => (0, stat.size, None),
            Some(range) => {
                let range = range.check(stat.size)?;
                let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, stat.size);
                (range.start, range.end - range.start, Some(shown))
            }
        };
        if start > 0 {
            file.seek(SeekFrom::Start(start)).map_err(io_error)?;
        }
        let body = if length <= PIECE {
            let mut bytes = vec![0; length as usize];
            file.read_exact(&mut bytes).map_err(io_error)?;
            StreamingBlob::from(Body::from(bytes))
        } else {
            StreamingBlob::new(Pieces { file, left: length })
        };
        let attributes = self
            .files
            .attributes(&input.bucket, &input.key)
            .unwrap_or_default();
        answer(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(body),
            content_length: Some(length as i64),
            content_range,
            e_tag: Some(stat.etag),
            last_modified: Some(stat.modified),
            cache_control: attributes.cache_control.clone(),
            content_disposition: attributes.content_disposition.clone(),
            content_encoding: attributes.content_encoding.clone(),
            content_language: attributes.content_language.clone(),
            content_type: attributes.content_type.clone(),
            metadata: attributes.metadata.clone(),
            server_side_encryption: attributes.server_side_encryption.clone(),
            ssekms_key_id: attributes.kms_key_id.clone(),
            ..Default::default()
        })
    }

    async fn head_object(&self, req: S3Request<HeadObjectInput>) -> Answer<HeadObjectOutput> {
        let input = req.input;
        let stat = self.files.stat(&input.bucket, &input.key)?;
        check_reading(
            &stat,
            input.if_match.as_ref(),
            input.if_none_match.as_ref(),
            input.if_modified_since.as_ref(),
            input.if_unmodified_since.as_ref(),
        )?;
        let attributes = self
            .files
            .attributes(&input.bucket, &input.key)
            .unwrap_or_default();
        answer(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(stat.size as i64),
            e_tag: Some(stat.etag),
            last_modified: Some(stat.modified),
            cache_control: attributes.cache_control.clone(),
            content_disposition: attributes.content_disposition.clone(),
            content_encoding: attributes.content_encoding.clone(),
            content_language: attributes.content_language.clone(),
            content_type: attributes.content_type.clone(),
            metadata: attributes.metadata.clone(),
            server_side_encryption: attributes.server_side_encryption.clone(),
            ssekms_key_id: attributes.kms_key_id.clone(),
            ..Default::default()
        })
    }

    async fn put_object(&self, req: S3Request<PutObjectInput>) -> Answer<PutObjectOutput> {
        let input = req.input;
        let mut staged = self.files.stage()?;
        let mut hashes = Hashes::asked_by(&input);
        let mut size = 0;
        if let Some(mut body) = input.body {
            while let Some(bytes) = body.next().await {
                let bytes = bytes.map_err(|error| {
                    s3_error!(
                        IncompleteBody,
                        "The body of the request ended early: {error}"
                    )
                })?;
                size += bytes.len() as i64;
                hashes.update(&bytes);
                staged.file.write_all(&bytes).map_err(io_error)?;
            }
        }
        if input
            .content_length
            .is_some_and(|promised| promised != size)
        {
            return Err(s3_error!(
                IncompleteBody,
                "The body of the request ended early."
            ));
        }
        hashes.check()?;
        let attributes = Attributes {
            cache_control: input.cache_control,
            content_disposition: input.content_disposition,
            content_encoding: input.content_encoding,
            content_language: input.content_language,
            content_type: input.content_type,
            metadata: input.metadata,
            server_side_encryption: input.server_side_encryption.clone(),
            kms_key_id: input.ssekms_key_id.clone(),
        };
        let conditions = Conditions {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
        };
        let stat =
            self.files
                .commit(&staged, &input.bucket, &input.key, &conditions, attributes)?;
        answer(PutObjectOutput {
            e_tag: Some(stat.etag),
            server_side_encryption: input.server_side_encryption,
            ssekms_key_id: input.ssekms_key_id,
            ..Default::default()
        })
    }

    async fn copy_object(&self, req: S3Request<CopyObjectInput>) -> Answer<CopyObjectOutput> {
        let input = req.input;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(
                NotImplemented,
                "This server copies from buckets only."
            ));
        };
        let (mut source, stat) = self.files.read(bucket, key)?;
        check_reading(
            &stat,
            input.copy_source_if_match.as_ref(),
            input.copy_source_if_none_match.as_ref(),
            input.copy_source_if_modified_since.as_ref(),
            input.copy_source_if_unmodified_since.as_ref(),
        )?;
        let mut staged = self.files.stage()?;
        std::io::copy(&mut source, &mut staged.file).map_err(io_error)?;
        let replaces = input
            .metadata_directive
            .as_ref()
            .is_some_and(|said| said.as_str() == MetadataDirective::REPLACE);
        let mut attributes = match self.files.attributes(bucket, key) {
            Some(kept) if !replaces => (*kept).clone(),
            _ => Attributes {
                cache_control: input.cache_control,
                content_disposition: input.content_disposition,
                content_encoding: input.content_encoding,
                content_language: input.content_language,
                content_type: input.content_type,
                metadata: input.metadata,
                ..Attributes::default()
            },
        };
        // A copy is encrypted as its own request says, not as its source is.
        attributes.server_side_encryption = input.server_side_encryption.clone();
        attributes.kms_key_id = input.ssekms_key_id;
        let conditions = Conditions::default();
        let stat =
            self.files
                .commit(&staged, &input.bucket, &input.key, &conditions, attributes)?;
        answer(CopyObjectOutput {
            copy_object_result: Some(CopyObjectResult {
                e_tag: Some(stat.etag),
                last_modified: Some(stat.modified),
                ..Default::default()
            }),
            server_side_encryption: input.server_side_encryption,
            ..Default::default()
        })
    }

    async fn delete_object(&self, req: S3Request<DeleteObjectInput>) -> Answer<DeleteObjectOutput> {
        self.files
            .remove(&req.input.bucket, &req.input.key, req.input.if_match)?;
        answer(DeleteObjectOutput::default())
    }

    async fn delete_objects(
        &self,
        req: S3Request<DeleteObjectsInput>,
    ) -> Answer<DeleteObjectsOutput> {
        let input = req.input;
        self.files.check_bucket(&input.bucket)?;
        let mut deleted = Vec::new();
        let mut errors = Vec::new();
        for object in input.delete.objects {
            let removed = if self.rules.denies_writing(&object.key) {
                Err(s3_error!(AccessDenied, "Access Denied"))
            } else {
                self.files.remove(&input.bucket, &object.key, None)
            };
            match removed {
                Ok(()) => deleted.push(DeletedObject {
                    key: Some(object.key),
                    ..Default::default()
                }),
                Err(error) => errors.push(Error {
                    code: Some(error.code().as_str().to_owned()),
                    key: Some(object.key),
                    message: error.message().map(str::to_owned),
                    ..Default::default()
                }),
            }
        }
        let quiet = input.delete.quiet.unwrap_or(false);
        answer(DeleteObjectsOutput {
            deleted: (!quiet).then_some(deleted),
            errors: (!errors.is_empty()).then_some(errors),
            ..Default::default()
        })
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> Answer<ListObjectsV2Output> {
        let input = req.input;
        let limit = input.max_keys.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX);
        let asked = Page {
            prefix: input.prefix.as_deref().unwrap_or(""),
            delimiter: input
                .delimiter
                .as_deref()
                .filter(|delimiter| !delimiter.is_empty()),
            after: input
                .continuation_token
                .as_deref()
                .or(input.start_after.as_deref()),
            limit: limit as usize,
        };
        let (lines, more) = self.files.list(&input.bucket, asked)?;
        let more = more && limit > 0;
        let last = lines.last().map(|line| match line {
            Line::Object(key, _) => key.clone(),
            Line::CommonPrefix(prefix) => prefix.clone(),
        });
        let count = lines.len() as i32;
        let mut contents = Vec::new();
        let mut common_prefixes = Vec::new();
        for line in lines {
            match line {
                Line::Object(key, stat) => contents.push(Object {
                    key: Some(key),
                    size: Some(stat.size as i64),
                    e_tag: Some(stat.etag),
                    last_modified: Some(stat.modified),
                    ..Default::default()
                }),
                Line::CommonPrefix(prefix) => common_prefixes.push(CommonPrefix {
                    prefix: Some(prefix),
                }),
            }
        }
        answer(ListObjectsV2Output {
            name: Some(input.bucket),
            prefix: Some(input.prefix.unwrap_or_default()),
            delimiter: input.delimiter,
            start_after: input.start_after,
            continuation_token: input.continuation_token,
            max_keys: Some(limit),
            key_count: Some(count),
            is_truncated: Some(more),
            next_continuation_token: last.filter(|_| more),
            contents: (!contents.is_empty()).then_some(contents),
            common_prefixes: (!common_prefixes.is_empty()).then_some(common_prefixes),
            ..Default::default()
        })
    }

    async fn head_bucket(&self, req: S3Request<HeadBucketInput>) -> Answer<HeadBucketOutput> {
        self.files.check_bucket(&req.input.bucket)?;
        answer(HeadBucketOutput {
            bucket_region: Some(self.region.clone()),
            ..Default::default()
        })
    }

    async fn get_bucket_location(
        &self,
        req: S3Request<GetBucketLocationInput>,
    ) -> Answer<GetBucketLocationOutput> {
        self.files.check_bucket(&req.input.bucket)?;
        // S3 names its oldest region by leaving it out.
        let region = (self.region != "us-east-1")
            .then(|| BucketLocationConstraint::from(self.region.clone()));
        answer(GetBucketLocationOutput {
            location_constraint: region,
        })
    }

    async fn create_bucket(&self, req: S3Request<CreateBucketInput>) -> Answer<CreateBucketOutput> {
        self.files.bucket_path(&req.input.bucket)?;
        self.buckets.create_bucket(req).await
    }

    async fn delete_bucket(&self, req: S3Request<DeleteBucketInput>) -> Answer<DeleteBucketOutput> {
        let asked = Page {
            prefix: "",
            delimiter: None,
            after: None,
            limit: 1,
        };
        if !self.files.list(&req.input.bucket, asked)?.0.is_empty() {
            return Err(s3_error!(
                BucketNotEmpty,
                "The bucket you tried to delete is not empty"
            ));
        }
        self.files.forget_bucket(&req.input.bucket);
        self.buckets.delete_bucket(req).await
    }

    async fn list_buckets(&self, req: S3Request<ListBucketsInput>) -> Answer<ListBucketsOutput> {
        self.buckets.list_buckets(req).await
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> Answer<CreateMultipartUploadOutput> {
        self.files.check_bucket(&req.input.bucket)?;
        Ok(self.uploads.create(req))
    }

    async fn upload_part(&self, req: S3Request<UploadPartInput>) -> Answer<UploadPartOutput> {
        self.uploads.add_part(&self.files, req).await
    }

    async fn upload_part_copy(
        &self,
        req: S3Request<UploadPartCopyInput>,
    ) -> Answer<UploadPartCopyOutput> {
        let CopySource::Bucket { bucket, key, .. } = &req.input.copy_source else {
            return Err(s3_error!(
                NotImplemented,
                "This server copies from buckets only."
            ));
        };
        let (mut file, stat) = self.files.read(bucket, key)?;
        let range = match req.input.copy_source_range.as_deref() {
            None => 0..stat.size,
            Some(range) => Range::parse(range)
                .map_err(|_| s3_error!(InvalidArgument))?
                .check(stat.size)?,
        };
        file.seek(SeekFrom::Start(range.start)).map_err(io_error)?;
        let body = StreamingBlob::new(Pieces {
            file,
            left: range.end - range.start,
        });
        let part = req.map_input(|input| UploadPartInput {
            body: Some(body),
            bucket: input.bucket,
            key: input.key,
            part_number: input.part_number,
            upload_id: input.upload_id,
            ..Default::default()
        });
        let stored = self.uploads.add_part(&self.files, part).await?.output;
        answer(UploadPartCopyOutput {
            copy_part_result: Some(CopyPartResult {
                e_tag: stored.e_tag,
                last_modified: Some(stat.modified),
                ..Default::default()
            }),
            ..Default::default()
        })
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> Answer<CompleteMultipartUploadOutput> {
        self.uploads.complete(&self.files, req).await
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> Answer<AbortMultipartUploadOutput> {
        self.uploads.abort(req)
    }
}

/// The conditions of a reader, in the order of RFC 9110, section 13.2.2.
fn check_reading(
    stat: &Stat,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
    if_modified_since: Option<&Timestamp>,
    if_unmodified_since: Option<&Timestamp>,
) -> S3Result<()> {
    let same = |condition: &ETagCondition| match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(etag) => etag.weak_cmp(&stat.etag),
    };
    let unchanged = match (if_match, if_unmodified_since) {
        (Some(condition), _) => same(condition),
        (None, Some(time)) => stat.modified <= *time,
        (None, None) => true,
    };
    if !unchanged {
        return Err(s3_error!(
            PreconditionFailed,
            "At least one of the pre-conditions you specified did not hold"
        ));
    }
    let news = match (if_none_match, if_modified_since) {
        (Some(condition), _) => !same(condition),
        (None, Some(time)) => stat.modified > *time,
        (None, None) => true,
    };
    if news {
        Ok(())
    } else {
        Err(s3_error!(NotModified))
    }
}

/// What a client says the bytes hash to, and what they do.
struct Hashes {
    hasher: ChecksumHasher,
    promised: Checksum,
}

impl Hashes {
    fn asked_by(input: &PutObjectInput) -> Self {
        let promised = Checksum {
            checksum_crc32: input.checksum_crc32.clone(),
            checksum_crc32c: input.checksum_crc32c.clone(),
            checksum_crc64nvme: input.checksum_crc64nvme.clone(),
            checksum_sha1: input.checksum_sha1.clone(),
            checksum_sha256: input.checksum_sha256.clone(),
            ..Default::default()
        };
        let hasher = ChecksumHasher {
            crc32: promised.checksum_crc32.is_some().then(Default::default),
            crc32c: promised.checksum_crc32c.is_some().then(Default::default),
            crc64nvme: promised.checksum_crc64nvme.is_some().then(Default::default),
            sha1: promised.checksum_sha1.is_some().then(Default::default),
            sha256: promised.checksum_sha256.is_some().then(Default::default),
        };
        Self { hasher, promised }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
    }

    fn check(self) -> S3Result<()> {
        if self.hasher.finalize() == self.promised {
            Ok(())
        } else {
            Err(s3_error!(
                BadDigest,
                "The checksum you specified did not match what we received."
            ))
        }
    }
}

/// A file in pieces of [`PIECE`] bytes, read while they are sent.
struct Pieces {
    file: File,
    left: u64,
}

impl Stream for Pieces {
    type Item = Result<Bytes, StdError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let mut piece = vec![0; self.left.min(PIECE) as usize];
        if let Err(error) = self.file.read_exact(&mut piece) {
            self.left = 0;
            return Poll::Ready(Some(Err(error.into())));
        }
        self.left -= piece.len() as u64;
        Poll::Ready(Some(Ok(piece.into())))
    }
}

impl ByteStream for Pieces {
    fn remaining_length(&self) -> RemainingLength {
        RemainingLength::new_exact(self.left as usize)
    }
}
