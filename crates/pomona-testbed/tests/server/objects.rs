//! What a client finds when nothing goes wrong.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Attribute, Attributes, CopyMode, CopyOptions, Error, GetOptions, ObjectStore,
    ObjectStoreExt as _, PutMode, PutMultipartOptions, PutOptions, PutPayload, UpdateVersion,
};
use pomona_testbed::{Operation, Server};

use crate::common::{self, block_on, client, client_with_secret, server, servers_root};

#[test]
fn objects_are_put_read_in_ranges_and_deleted() {
    let root = servers_root();
    let server = server(&root);
    let folder = server.bucket_dir("photos").unwrap();
    let store = client(&server, "photos");
    block_on(async {
        let key = Path::parse("Pomme de terre/été+1.jpg").unwrap();
        let bytes: Vec<u8> = (0..700_000u32).map(|at| (at % 251) as u8).collect();
        let put = store.put(&key, bytes.clone().into()).await.unwrap();
        assert_eq!(
            std::fs::read(folder.join("Pomme de terre/été+1.jpg")).unwrap(),
            bytes
        );

        let got = store.get(&key).await.unwrap();
        assert_eq!((got.meta.size, &got.meta.e_tag), (700_000, &put.e_tag));
        assert_eq!(got.bytes().await.unwrap(), bytes);
        let range = store.get_range(&key, 255..5_000).await.unwrap();
        assert_eq!(range, bytes[255..5_000]);
        // More than is read at once.
        let range = store.get_range(&key, 10..600_010).await.unwrap();
        assert_eq!(range, bytes[10..600_010]);
        assert_eq!(store.head(&key).await.unwrap().e_tag, put.e_tag);

        store.delete(&key).await.unwrap();
        assert!(matches!(store.get(&key).await, Err(Error::NotFound { .. })));
        assert!(matches!(
            store.head(&key).await,
            Err(Error::NotFound { .. })
        ));
        // A folder that was emptied does not stand in the way of a key of its name.
        store
            .put(&Path::from("Pomme de terre"), "x".into())
            .await
            .unwrap();
    });
    assert_eq!(server.counters().requests_of(Operation::GetObject), 4);
    assert_eq!(server.counters().in_flight, 0);
    assert!(server.counters().bytes_sent > 700_000 + 4_745 + 600_000);
}

#[test]
fn files_put_in_by_hand_are_objects() {
    let root = servers_root();
    std::fs::create_dir_all(root.path().join("photos/a")).unwrap();
    std::fs::write(root.path().join("photos/a/1.jpg"), "one").unwrap();
    let server = server(&root);
    let store = client(&server, "photos");
    let file = |name: &str| root.path().join("photos/a").join(name);
    let names = || {
        block_on(async {
            store
                .list(None)
                .map_ok(|meta| meta.location.to_string())
                .try_collect::<Vec<_>>()
                .await
        })
        .unwrap()
    };
    let etag = |name: &str| {
        block_on(store.head(&Path::from(format!("a/{name}"))))
            .unwrap()
            .e_tag
            .unwrap()
    };

    assert_eq!(names(), ["a/1.jpg"]);
    std::fs::write(file("2.jpg"), "two").unwrap();
    assert_eq!(
        block_on(async {
            store
                .get(&Path::from("a/2.jpg"))
                .await
                .unwrap()
                .bytes()
                .await
        })
        .unwrap(),
        "two"
    );
    server.refresh().unwrap();
    assert_eq!(names(), ["a/1.jpg", "a/2.jpg"]);

    let before = etag("1.jpg");
    assert_eq!(before, etag("1.jpg"));
    std::fs::write(file("1.jpg"), "another").unwrap();
    assert_ne!(before, etag("1.jpg"));
    let listed = block_on(store.list(None).try_collect::<Vec<_>>()).unwrap();
    assert_eq!(
        (listed[0].size, listed[0].e_tag.as_ref()),
        (7, Some(&etag("1.jpg")))
    );
    std::fs::remove_file(file("2.jpg")).unwrap();
    assert_eq!(names(), ["a/1.jpg"]);
}

#[test]
fn listings_have_pages_prefixes_and_offsets() {
    let root = servers_root();
    let server = server(&root);
    let folder = server.bucket_dir("photos").unwrap();
    for kind in ["Apple", "Apple-red", "Plum"] {
        std::fs::create_dir(folder.join(kind)).unwrap();
        for at in 0..900 {
            std::fs::write(folder.join(format!("{kind}/{at:04}.jpg")), [1]).unwrap();
        }
    }
    std::fs::write(folder.join("readme.txt"), "").unwrap();
    let store = client(&server, "photos");
    let mut expected: Vec<String> = ["Apple", "Apple-red", "Plum"]
        .iter()
        .flat_map(|kind| (0..900).map(move |at| format!("{kind}/{at:04}.jpg")))
        .chain(["readme.txt".to_owned()])
        .collect();
    expected.sort_unstable();

    block_on(async {
        let all: Vec<String> = store
            .list(None)
            .map_ok(|meta| meta.location.to_string())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(all, expected);
        assert_eq!(server.counters().requests_of(Operation::ListObjects), 3);

        let below: Vec<_> = store
            .list(Some(&Path::from("Apple")))
            .try_collect()
            .await
            .unwrap();
        assert_eq!(below.len(), 900);
        let after: Vec<_> = store
            .list_with_offset(None, &Path::from("Plum/0897.jpg"))
            .try_collect()
            .await
            .unwrap();
        let after: Vec<&str> = after.iter().map(|meta| meta.location.as_ref()).collect();
        assert_eq!(after, ["Plum/0898.jpg", "Plum/0899.jpg", "readme.txt"]);

        let top = store.list_with_delimiter(None).await.unwrap();
        let prefixes: Vec<&str> = top.common_prefixes.iter().map(AsRef::as_ref).collect();
        assert_eq!(prefixes, ["Apple", "Apple-red", "Plum"]);
        assert_eq!(top.objects.len(), 1);

        let doomed = below
            .iter()
            .map(|meta| Ok(meta.location.clone()))
            .collect::<Vec<_>>();
        let deleted: Vec<_> = store
            .delete_stream(futures::stream::iter(doomed).boxed())
            .try_collect()
            .await
            .unwrap();
        assert_eq!(deleted.len(), 900);
        assert_eq!(
            store
                .list_with_delimiter(None)
                .await
                .unwrap()
                .common_prefixes
                .len(),
            2
        );
    });
    assert!(!folder.join("Apple").exists());
}

#[test]
fn conditions_on_writes_hold() {
    let root = servers_root();
    let server = server(&root);
    server.bucket_dir("runs").unwrap();
    let store = client(&server, "runs");
    let key = Path::from("lock.json");
    let put = |mode: PutMode, text: &'static str| {
        let options = PutOptions {
            mode,
            ..Default::default()
        };
        store.put_opts(&key, text.into(), options)
    };
    block_on(async {
        let first = put(PutMode::Create, "first").await.unwrap();
        assert!(matches!(
            put(PutMode::Create, "second").await,
            Err(Error::AlreadyExists { .. })
        ));
        let second = put(
            PutMode::Update(UpdateVersion::from(first.clone())),
            "second",
        )
        .await
        .unwrap();
        assert_ne!(first.e_tag, second.e_tag);
        let stale = put(PutMode::Update(UpdateVersion::from(first)), "third").await;
        assert!(
            matches!(stale, Err(Error::Precondition { .. })),
            "{stale:?}"
        );
        assert_eq!(
            store.get(&key).await.unwrap().bytes().await.unwrap(),
            "second"
        );

        // Of many that want to be first, one is.
        let contested = Path::from("contested");
        let race = (0..32).map(|_| {
            let options = PutOptions {
                mode: PutMode::Create,
                ..Default::default()
            };
            store.put_opts(&contested, "x".into(), options)
        });
        let won = futures::future::join_all(race)
            .await
            .into_iter()
            .filter(Result::is_ok)
            .count();
        assert_eq!(won, 1);

        let matching = GetOptions {
            if_match: second.e_tag.clone(),
            ..Default::default()
        };
        store.get_opts(&key, matching).await.unwrap();
        let other = GetOptions {
            if_match: Some("\"other\"".into()),
            ..Default::default()
        };
        assert!(matches!(
            store.get_opts(&key, other).await,
            Err(Error::Precondition { .. })
        ));
        let known = GetOptions {
            if_none_match: second.e_tag,
            ..Default::default()
        };
        assert!(matches!(
            store.get_opts(&key, known).await,
            Err(Error::NotModified { .. })
        ));
    });
}

#[test]
fn uploads_in_parts_appear_whole_or_not_at_all() {
    let root = servers_root();
    let server = server(&root);
    server.bucket_dir("runs").unwrap();
    let store = client(&server, "runs");
    let key = Path::from("features/features-00000.parquet");
    block_on(async {
        let attributes = Attributes::from_iter([(Attribute::ContentType, "application/parquet")]);
        let options = PutMultipartOptions {
            attributes,
            ..Default::default()
        };
        let mut upload = store.put_multipart_opts(&key, options).await.unwrap();
        let first = Bytes::from(vec![1; 5 * 1024 * 1024]);
        upload
            .put_part(PutPayload::from(first.clone()))
            .await
            .unwrap();
        upload.put_part("the end".into()).await.unwrap();
        assert!(matches!(
            store.head(&key).await,
            Err(Error::NotFound { .. })
        ));
        assert_eq!(
            server.unfinished_uploads(),
            [("runs".to_owned(), key.to_string())]
        );
        let put = upload.complete().await.unwrap();

        let got = store.get(&key).await.unwrap();
        assert_eq!(got.meta.e_tag, put.e_tag);
        assert_eq!(
            got.attributes
                .get(&Attribute::ContentType)
                .unwrap()
                .as_ref(),
            "application/parquet"
        );
        let bytes = got.bytes().await.unwrap();
        assert_eq!(bytes.slice(..first.len()), first);
        assert_eq!(bytes.slice(first.len()..), "the end");

        let mut aborted = store.put_multipart(&Path::from("never")).await.unwrap();
        aborted.put_part("x".into()).await.unwrap();
        aborted.abort().await.unwrap();
        assert!(matches!(
            store.head(&Path::from("never")).await,
            Err(Error::NotFound { .. })
        ));

        let copy = Path::from("copy.parquet");
        store.copy(&key, &copy).await.unwrap();
        assert_eq!(
            store.get(&copy).await.unwrap().bytes().await.unwrap(),
            bytes
        );
    });
    assert_eq!(server.unfinished_uploads(), []);
    drop(server);
    let left: Vec<_> = std::fs::read_dir(root.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["runs"], "nothing but the bucket is left behind");
}

#[test]
fn copies_that_must_not_replace_do_not() {
    let root = servers_root();
    let server = server(&root);
    server.bucket_dir("runs").unwrap();
    let store = common::builder(&server, "runs")
        .with_copy_if_not_exists(object_store::aws::S3CopyIfNotExists::Multipart)
        .build()
        .unwrap();
    block_on(async {
        let (from, to) = (Path::from("from"), Path::from("to"));
        store.put(&from, "content".into()).await.unwrap();
        let create = || CopyOptions::new().with_mode(CopyMode::Create);
        store.copy_opts(&from, &to, create()).await.unwrap();
        assert_eq!(
            store.get(&to).await.unwrap().bytes().await.unwrap(),
            "content"
        );
        assert!(matches!(
            store.copy_opts(&from, &to, create()).await,
            Err(Error::AlreadyExists { .. })
        ));
    });
    assert_eq!(server.unfinished_uploads(), []);
}

#[test]
fn only_the_right_secret_and_bucket_get_in() {
    let root = servers_root();
    let server = server(&root);
    server.bucket_dir("photos").unwrap();
    let key = Path::from("plum.jpg");
    let text = |error: Error| format!("{error:?}");
    block_on(async {
        let wrong = client_with_secret(&server, "photos", "wrong")
            .put(&key, "x".into())
            .await
            .unwrap_err();
        assert!(text(wrong).contains("SignatureDoesNotMatch"));
        let missing = client(&server, "others")
            .put(&key, "x".into())
            .await
            .unwrap_err();
        assert!(text(missing).contains("NoSuchBucket"));
        let store = client(&server, "photos");
        store.put(&key, "x".into()).await.unwrap();
        assert_eq!(store.list(None).count().await, 1);
    });
    let anonymous = common::exchange(&server, "GET /photos/plum.jpg HTTP/1.1\r\n");
    assert!(anonymous.starts_with("HTTP/1.1 403 "), "{anonymous}");
    assert!(
        anonymous.contains("x-amz-bucket-region: eu-west-3"),
        "{anonymous}"
    );
    let counters = common::exchange(&server, "GET /-/counters HTTP/1.1\r\n");
    assert!(counters.contains("\"put-object\":3"), "{counters}");
}

#[test]
fn the_log_tells_who_read_what() {
    let root = servers_root();
    let server: Server = server(&root);
    server.bucket_dir("photos").unwrap();
    let store = common::builder(&server, "photos")
        .with_config("aws_server_side_encryption".parse().unwrap(), "aws:kms")
        .with_config("aws_sse_kms_key_id".parse().unwrap(), "key-1")
        .build()
        .unwrap();
    let key = Path::from("a b.jpg");
    block_on(store.put(&key, "unseen".into())).unwrap();
    assert_eq!(server.log(), []);
    server.keep_log();
    block_on(async {
        store.put(&key, "content".into()).await.unwrap();
        store.get_range(&key, 1..3).await.unwrap();
    });
    let log = server.log();
    assert_eq!(log.len(), 2);
    assert_eq!(
        (log[0].operation, log[0].key.as_str()),
        (Operation::PutObject, "a b.jpg")
    );
    let header = |at: usize, name: &str| {
        log[at]
            .headers
            .iter()
            .find(|header| header.0 == name)
            .map(|header| header.1.as_str())
    };
    assert_eq!(header(0, "x-amz-server-side-encryption"), Some("aws:kms"));
    assert_eq!(
        header(0, "x-amz-server-side-encryption-aws-kms-key-id"),
        Some("key-1")
    );
    assert_eq!(
        (log[1].operation, header(1, "range")),
        (Operation::GetObject, Some("bytes=1-2"))
    );
    assert_eq!(server.counters().object_bytes_sent, 2);
}
