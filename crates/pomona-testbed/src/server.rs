//! Starting and stopping a server, and what a test asks of it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, bail};
use http::header::HeaderValue;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::{SecretKey, SimpleAuth};
use s3s::service::S3ServiceBuilder;
use s3s_fs::FileSystem;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;

use crate::counters::Tally;
use crate::files::Files;
use crate::layer::Layer;
use crate::storage::Storage;
use crate::uploads::Uploads;
use crate::wire::Socket;
use crate::{Counters, Faults, LogEntry, Rules};

/// Clients that may wait for their connection to be taken up. Fewer would cost a burst of them a second each.
const BACKLOG: u32 = 4096;

/// An S3 server over a folder. See [`Bucket::builder`].
#[derive(Debug)]
pub struct Bucket;

impl Bucket {
    /// Describes a server whose buckets are the folders of `root`, which is made if it is missing.
    #[must_use]
    pub fn builder(root: &Path) -> Builder {
        Builder {
            root: root.to_owned(),
            region: "eu-west-3".to_owned(),
            delay: Duration::ZERO,
            faults: Faults::none(),
            seed: 0,
            credentials: Vec::new(),
            port: 0,
        }
    }
}

/// What a server is to be like.
#[derive(Clone)]
pub struct Builder {
    root: PathBuf,
    region: String,
    delay: Duration,
    faults: Faults,
    seed: u64,
    credentials: Vec<(String, String)>,
    port: u16,
}

impl Builder {
    /// The region of all buckets, named in the header `x-amz-bucket-region` of every answer. `eu-west-3` at first.
    #[must_use]
    pub fn region(mut self, region: &str) -> Self {
        self.region = region.to_owned();
        self
    }

    /// How long each request waits, from its arrival, before it is looked at. Nothing at first.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Which requests go wrong. None at first.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Seeds the choice of requests that go wrong. The choice follows the order in which requests arrive.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Lets in whoever signs with these. More calls let in more; the first pair is that of [`Server::environment`].
    /// Without a call, a pair is made up.
    #[must_use]
    pub fn credentials(mut self, access_key: &str, secret_key: &str) -> Self {
        self.credentials
            .push((access_key.to_owned(), secret_key.to_owned()));
        self
    }

    /// The port on 127.0.0.1. Zero, as at first, lets the system choose.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// Starts the server on a thread of its own and returns once it accepts connections.
    ///
    /// # Errors
    /// The root cannot be made or read, the port is taken, or the region cannot be written in a header.
    pub fn start(mut self) -> anyhow::Result<Server> {
        if self.credentials.is_empty() {
            self = self.credentials("POMONATESTBEDACCESS", "pomona/testbed+secret");
        }
        let shown = self.root.display().to_string();
        let open = || -> io::Result<_> {
            let files = Arc::new(Files::open(&self.root)?);
            let uploads = Arc::new(Uploads::default());
            let buckets = FileSystem::new(files.root())
                .map_err(|_| io::Error::other("temporary files in it cannot be removed"))?;
            Ok((files, uploads, buckets))
        };
        let (files, uploads, buckets) =
            open().with_context(|| format!("the folder {shown} cannot hold buckets"))?;
        let rules = Rules::new(self.faults, self.delay, self.seed);
        let tally = Arc::new(Tally::default());

        let mut auth = SimpleAuth::new();
        for (access_key, secret_key) in &self.credentials {
            auth.register(access_key.clone(), SecretKey::from(secret_key.as_str()));
        }
        let mut service = S3ServiceBuilder::new(Storage {
            files: Arc::clone(&files),
            buckets,
            uploads: Arc::clone(&uploads),
            rules: rules.clone(),
            region: self.region.clone(),
        });
        service.set_auth(auth);
        let layer = Arc::new(Layer {
            service: service.build(),
            rules: rules.clone(),
            tally: Arc::clone(&tally),
            region: HeaderValue::from_str(&self.region)
                .context("the region is no text for a header")?,
        });

        let (stop, stopped) = oneshot::channel();
        let (report, reported) = mpsc::channel();
        let port = self.port;
        let thread = std::thread::Builder::new()
            .name("pomona-bucket".to_owned())
            .spawn(move || serve(port, layer, &report, stopped))
            .context("no thread can be started")?;
        let address = match reported.recv() {
            Ok(bound) => {
                bound.with_context(|| format!("port {port} of 127.0.0.1 cannot be used"))?
            }
            Err(_) => bail!("the server ended before it was started"),
        };
        Ok(Server {
            address,
            region: self.region,
            credentials: self.credentials.swap_remove(0),
            files,
            uploads,
            rules,
            tally,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

/// A server that runs until it is dropped.
pub struct Server {
    address: SocketAddr,
    region: String,
    credentials: (String, String),
    files: Arc<Files>,
    uploads: Arc<Uploads>,
    rules: Rules,
    tally: Arc<Tally>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// `http://127.0.0.1:PORT`; a bucket's URL is this, a slash and its name.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The region of all buckets.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The environment in which a program finds this server: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
    /// `AWS_REGION`, `AWS_ENDPOINT_URL` and `AWS_ALLOW_HTTP`.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ACCESS_KEY_ID", self.credentials.0.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.credentials.1.clone()),
            ("AWS_REGION", self.region.clone()),
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_ALLOW_HTTP", "true".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// The folder of a bucket, made if it is missing.
    ///
    /// # Errors
    /// The name is none that S3 allows, or the folder cannot be made.
    pub fn bucket_dir(&self, name: &str) -> anyhow::Result<PathBuf> {
        let Ok(path) = self.files.bucket_path(name) else {
            bail!(
                "\"{name}\" cannot name a bucket: 3 to 63 lower-case letters, digits, dots and hyphens do"
            );
        };
        std::fs::create_dir_all(&path)
            .with_context(|| format!("the folder {} cannot be made", path.display()))?;
        Ok(path)
    }

    /// Walks the folders of all buckets again, so that files put in by hand are listed.
    ///
    /// # Errors
    /// The root cannot be read.
    pub fn refresh(&self) -> anyhow::Result<()> {
        self.files
            .refresh()
            .with_context(|| format!("the folder {} cannot be read", self.files.root().display()))
    }

    /// What has passed so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.tally.counters()
    }

    /// Keeps a log of requests from now on, emptying the one kept before.
    pub fn keep_log(&self) {
        self.tally.keep_log();
    }

    /// Requests since [`keep_log`](Self::keep_log), in the order of their arrival. Empty without that call.
    #[must_use]
    pub fn log(&self) -> Vec<LogEntry> {
        self.tally.log()
    }

    /// The rules that hold, for changing them.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Bucket and key of each upload in parts that was neither completed nor aborted, sorted.
    #[must_use]
    pub fn unfinished_uploads(&self) -> Vec<(String, String)> {
        self.uploads.unfinished()
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            // It ends only if it failed; there is nothing more to serve then.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The server's thread: one is enough, for requests wait on little but the wire.
fn serve(
    port: u16,
    layer: Arc<Layer>,
    report: &mpsc::Sender<io::Result<SocketAddr>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = report.send(Err(error));
            return;
        }
    };
    runtime.block_on(async move {
        match listen(port) {
            Ok((listener, address)) => {
                let _ = report.send(Ok(address));
                tokio::select! {
                    () = accept(listener, layer) => {}
                    _ = stopped => {}
                }
            }
            Err(error) => {
                let _ = report.send(Err(error));
            }
        }
    });
}

fn listen(port: u16) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn accept(listener: TcpListener, layer: Arc<Layer>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(&layer)));
            }
            // Too many open files: some close in a while.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, layer: Arc<Layer>) {
    layer.tally.connections.fetch_add(1, Relaxed);
    // Without it, small answers may wait for 40 ms; the server works all the same.
    let _ = stream.set_nodelay(true);
    let reset = Arc::new(AtomicBool::new(false));
    let socket = Socket::new(stream, Arc::clone(&layer.tally), Arc::clone(&reset));
    let service = service_fn(move |request| {
        let (layer, reset) = (Arc::clone(&layer), Arc::clone(&reset));
        async move { layer.answer(request, &reset).await }
    });
    // An error is a connection that ended: by the peer, or by a fault.
    let _ = http1::Builder::new()
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(socket), service)
        .await;
}
