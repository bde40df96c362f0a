use std::collections::BTreeMap;

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Volatility;
use datafusion::physical_plan::{collect, displayable};
use datafusion::prelude::{SessionContext, col, create_udf};
use datafusion_proto::physical_plan::{AsExecutionPlan, DefaultPhysicalExtensionCodec};
use datafusion_proto::protobuf::PhysicalPlanNode;
use pomona_image::{Limits, Preparation};
use pomona_learn::kmeans::{Codebook, Distance, KMeans, KMeansSettings, SeedSample};
use pomona_learn::words::{Norm, WordWeights};
use pomona_learn::{Components, FitSettings, Moments, Reducer};
use pomona_store::{Place, StoreSettings, Stores};
use pomona_vision::orb::OrbSettings;

use super::*;
use crate::extract::{Extractor, Handling, extract_function};
use crate::image_table::{FetchSettings, ImageTable};
use crate::listing::ListedImage;
use crate::plan_folder::PlanFolder;
use crate::reduce::{reduce_function, reducer_bytes};
use crate::services::put_asset;
use crate::session::{Runtimes, SessionLimits, embedded_session};
use crate::shard::Shard;
use crate::shard_write::{ShardDone, ShardFiles, ShardWrite};
use crate::words::{pass_function, weigh_words_function, weights_bytes, word_counts_function};

/// The client or the scheduler, which run nothing, and an executor.
struct Processes {
    codecs: [PlanCodec; 3],
    executor: SessionContext,
    client: SessionContext,
    runtimes: Runtimes,
    folder: tempfile::TempDir,
}

fn handling() -> Handling {
    Handling {
        preparation: Preparation::default(),
        limits: Limits::default(),
        thumbnail_px: 16,
        workers: 1,
    }
}

fn orb() -> Arc<Extractor> {
    Arc::new(Extractor::orb(OrbSettings::default(), handling()).unwrap())
}

impl Processes {
    fn start() -> Self {
        let runtimes = Runtimes::start(1).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let stores = || {
            let network = runtimes.fetch().unwrap();
            Arc::new(Stores::new(StoreSettings::default(), network).unwrap())
        };
        let own = Arc::new(Services::new(stores(), runtimes.fetch().unwrap()));
        let executor = Services::new(stores(), runtimes.fetch().unwrap()).for_others(
            folder.path().join("cache"),
            Box::new(|description, _| {
                assert_eq!(description, "orb");
                Ok(orb())
            }),
        );
        let executor = Arc::new(executor);
        let codec = |services| PlanCodec::new(Arc::new(DefaultPhysicalExtensionCodec {}), services);
        Self {
            codecs: [codec(None), codec(None), codec(Some(Arc::clone(&executor)))],
            executor: embedded_session(SessionLimits::default(), executor).unwrap(),
            client: embedded_session(SessionLimits::default(), own).unwrap(),
            runtimes,
            folder,
        }
    }

    fn asset(&self, bytes: Vec<u8>) -> Asset {
        let place = Place::of_path(&self.folder.path().join("run")).unwrap();
        self.runtimes
            .block_on(put_asset(&place, bytes.into()))
            .unwrap()
    }

    /// From the client through the scheduler to the executor.
    fn sent(&self, plan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
        let [client, scheduler, executor] = &self.codecs;
        let mut plan = plan;
        for (from, to) in [(client, scheduler), (scheduler, executor)] {
            let node = PhysicalPlanNode::try_from_physical_plan(plan, from).unwrap();
            let context = self.executor.task_ctx();
            plan = node.try_into_physical_plan(&context, to).unwrap();
        }
        plan
    }
}

fn reducer() -> Arc<Reducer> {
    let rows: Vec<f32> = (0..40_u16).map(|n| f32::from(n * n % 17)).collect();
    let mut moments = Moments::new(4);
    moments.update(&rows).unwrap();
    let settings = FitSettings {
        components: Components::Count(2),
        scale: true,
    };
    Arc::new(Reducer::fit(&moments, &settings).unwrap().reducer)
}

#[test]
fn every_function_is_known_to_client_scheduler_and_executor() {
    let processes = Processes::start();
    let reducer = reducer();
    let codebook = Arc::new(Codebook::from_hamming(&[7; 64]).unwrap());
    let weights = Arc::new(WordWeights::counts(2, Norm::None));
    let asset = |bytes| Some(processes.asset(bytes));
    let scalars = [
        extract_function(orb(), "orb".to_owned()),
        reduce_function(
            Arc::clone(&reducer),
            asset(reducer_bytes(&reducer).unwrap()),
        ),
        weigh_words_function(
            Arc::clone(&weights),
            asset(weights_bytes(&weights).unwrap()),
        ),
    ];
    let settings = KMeansSettings {
        words: 2,
        distance: Distance::Hamming,
        seed: 7,
        ..KMeansSettings::default()
    };
    let mut kmeans = KMeans::new(settings).unwrap();
    let mut sample = SeedSample::new(7, kmeans.sample().capacity());
    let rows: Vec<u8> = (0..=255).collect();
    sample.update(&rows, &[1, 2, 3, 4, 5, 6, 7, 8]).unwrap();
    kmeans.seed(sample).unwrap();
    let plan = Arc::new(kmeans.plan().unwrap().clone());
    let aggregates = [
        moments_function(),
        sample_function(7, 100),
        pass_function(Arc::clone(&plan), asset(plan.to_bytes())),
        word_counts_function(Arc::clone(&codebook), asset(codebook.to_bytes())),
        document_frequencies_function(2),
        label_words_function(2),
    ];
    for function in &scalars {
        let mut bytes = Vec::new();
        processes.codecs[0]
            .try_encode_udf(function, &mut bytes)
            .unwrap();
        for codec in &processes.codecs {
            let found = codec.try_decode_udf(function.name(), &bytes).unwrap();
            assert_eq!(found.name(), function.name());
            let mut again = Vec::new();
            codec.try_encode_udf(&found, &mut again).unwrap();
            assert_eq!(again, bytes, "{}", function.name());
        }
    }
    for function in &aggregates {
        let mut bytes = Vec::new();
        processes.codecs[0]
            .try_encode_udaf(function, &mut bytes)
            .unwrap();
        for codec in &processes.codecs {
            let found = codec.try_decode_udaf(function.name(), &bytes).unwrap();
            assert_eq!(found.name(), function.name());
            let mut again = Vec::new();
            codec.try_encode_udaf(&found, &mut again).unwrap();
            assert_eq!(again, bytes, "{}", function.name());
        }
    }
    // What cannot be sent is told, not sent without what it needs.
    let unsent = reduce_function(reducer, None);
    assert!(
        processes.codecs[0]
            .try_encode_udf(&unsent, &mut Vec::new())
            .is_err()
    );
    let other = create_udf("other", vec![], DataType::Int64, Volatility::Immutable, {
        Arc::new(|_| unreachable!())
    });
    let mut bytes = Vec::new();
    processes.codecs[0]
        .try_encode_udf(&other, &mut bytes)
        .unwrap();
    assert!(bytes.is_empty(), "others' functions are left alone");
    assert!(
        processes.codecs[2]
            .try_decode_udf("reduce", b"pomona\x01{}")
            .is_err()
    );
}

#[test]
fn a_plan_that_was_sent_twice_over_writes_its_shards() {
    let processes = Processes::start();
    let photos = processes.folder.path().join("photos");
    std::fs::create_dir_all(&photos).unwrap();
    std::fs::write(photos.join("a.jpg"), "no image").unwrap();
    let shard = |index: u32, path: &str| Shard {
        index,
        images: vec![ListedImage {
            path: path.to_owned(),
            size_bytes: 8,
            ..ListedImage::default()
        }],
    };
    let run = processes.folder.path().join("run");
    let of = |path: &std::path::Path| Place::of_path(path).unwrap();
    let table = ImageTable::new(
        vec![shard(3, "a.jpg"), shard(8, "gone.jpg")],
        PlanFolder::of(&of(&photos)),
        FetchSettings::default(),
    );
    let plan = futures::executor::block_on(async {
        let rows = processes.client.read_table(Arc::new(table)).unwrap();
        let extracted = extract_function(orb(), "orb".to_owned())
            .call(vec![col("content"), col("size_bytes"), col("read_error")])
            .alias("extracted");
        let columns = ["path", "label", "size_bytes", "last_modified"].map(col);
        let rows = rows
            .select(columns.into_iter().chain([extracted]).collect::<Vec<_>>())
            .unwrap();
        let files = ShardFiles::Extraction {
            feature_count: None,
            metadata: BTreeMap::new(),
            stop_at_failure: false,
        };
        let target = PlanFolder::working(&of(&run));
        let plan =
            ShardWrite::plan_once(rows.into_unoptimized_plan(), target, vec![3, 8], files).unwrap();
        let query = processes.client.execute_logical_plan(plan).await.unwrap();
        query.create_physical_plan().await.unwrap()
    });
    let sent = processes.sent(Arc::clone(&plan));
    let shown = |plan: &dyn ExecutionPlan| displayable(plan).indent(false).to_string();
    assert_eq!(shown(sent.as_ref()), shown(plan.as_ref()));
    let work = |plan: &Arc<dyn ExecutionPlan>| {
        let collected = processes
            .runtimes
            .block_on::<_, _, EngineError>(async {
                Ok(collect(Arc::clone(plan), processes.executor.task_ctx()).await?)
            })
            .unwrap();
        let mut done: Vec<ShardDone> = collected.iter().flat_map(ShardDone::read).collect();
        done.sort_by_key(|shard| shard.index);
        done
    };
    let done = work(&sent);
    let failed = |index| ShardDone {
        index,
        ok: 0,
        failed: 1,
    };
    assert_eq!(done, [failed(3), failed(8)]);
    let ledger = run.join("images/images-00008.parquet");
    let written = std::fs::metadata(&ledger).unwrap().modified().unwrap();
    // Again: what is there stays, and is told of as before.
    assert_eq!(work(&processes.sent(plan)), done);
    assert_eq!(
        std::fs::metadata(&ledger).unwrap().modified().unwrap(),
        written
    );
}
