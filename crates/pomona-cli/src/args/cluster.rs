//! `pomona cluster`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Args)]
pub(crate) struct ClusterArgs {
    #[command(subcommand)]
    pub(crate) command: ClusterCommand,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  pomona cluster up --local 2                  all of it on this machine, to try it
  pomona cluster scheduler                     on one machine
  pomona cluster executor --scheduler HOST:50050
                                               on each other, or several times on one
  pomona cluster job ID                        how far a job is

A scheduler serves its own machine only, unless --bind says otherwise; then it needs --tls or --plain-text.")]
pub(crate) enum ClusterCommand {
    /// Start a scheduler and executors on this machine, until Ctrl-C.
    Up(UpArgs),
    /// Hand out work to executors until told to stop; show it on a web page.
    Scheduler(SchedulerArgs),
    /// Do the work that a scheduler hands out.
    Executor(ExecutorArgs),
    /// Tell which executors there are and what runs.
    #[command(after_help = "Example:
  pomona cluster status --scheduler HOST:50050")]
    Status(AskArgs),
    /// List jobs, newest first.
    #[command(after_help = "Example:
  pomona cluster jobs")]
    Jobs(JobsArgs),
    /// Tell how far a job is; on a terminal, until it is over.
    Job(JobArgs),
    /// End a job.
    #[command(after_help = "Example:
  pomona cluster cancel ID")]
    Cancel(CancelArgs),
    /// Make the certificates with which the machines of a cluster know each other.
    Certificates(CertificatesArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pomona cluster up --local 2
  pomona cluster up --local 4 --workers 1 --bind 127.0.0.1:0

Processes of their own, so that one can be killed to see what happens. Nothing but this machine is served.")]
pub(crate) struct UpArgs {
    /// Executors to start.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) local: u32,
    /// Threads of each that work on images.  [default: the machine's cores in equal parts]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// Address of the scheduler on this machine; port 0 is any free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50050")]
    pub(crate) bind: String,
    /// Folder for the jobs that are over, so that they are known after a restart.
    #[arg(long, value_name = "DIR")]
    pub(crate) history: Option<PathBuf>,
    /// What an executor costs an hour, to show what jobs cost.
    #[arg(long, value_name = "AMOUNT", value_parser = price)]
    pub(crate) price_per_hour: Option<f64>,
    /// Currency of that price.
    #[arg(long, value_name = "NAME", default_value = "EUR")]
    pub(crate) currency: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pomona cluster scheduler
  pomona cluster scheduler --bind 0.0.0.0:50050 --tls certificates/HOST --history jobs

The web page is at the same address, http://localhost:50050 by default; /metrics there is for Prometheus.")]
pub(crate) struct SchedulerArgs {
    /// Address to serve executors, clients and the web page at; port 0 is any free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:50050")]
    pub(crate) bind: String,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
    /// Serve other machines in the clear: whoever reaches the address can run plans.
    #[arg(long)]
    pub(crate) plain_text: bool,
    /// Address for figures and probes in the clear, besides --bind: /metrics, /pomona/scaling, /healthz, /readyz.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) metrics_bind: Option<String>,
    /// Tasks that an executor runs at a time, to tell how many are wanted while none is there.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1025))]
    pub(crate) executor_slots: u32,
    /// Seconds of silence after which an executor is lost and its work is given to others.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(5..=3600))]
    pub(crate) executor_timeout_secs: u64,
    /// Seconds that jobs wait for an executor to come when all are lost.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) no_executors_secs: u64,
    /// Folder for the jobs that are over, so that they are known after a restart.
    #[arg(long, value_name = "DIR")]
    pub(crate) history: Option<PathBuf>,
    /// What an executor costs an hour, to show what jobs cost.
    #[arg(long, value_name = "AMOUNT", value_parser = price)]
    pub(crate) price_per_hour: Option<f64>,
    /// Currency of that price.
    #[arg(long, value_name = "NAME", default_value = "USD")]
    pub(crate) currency: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pomona cluster executor --scheduler HOST:50050 --bind 0.0.0.0:0 --tls certificates/HOST
  pomona cluster executor --workers 2 --memory-bytes 4000000000

On SIGTERM or Ctrl-C it takes no new work, ends what it has, and leaves; a second time, it leaves at once.")]
pub(crate) struct ExecutorArgs {
    #[command(flatten)]
    pub(crate) scheduler: SchedulerAddress,
    /// Address at which others fetch its results; port 0 is any free one.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
    pub(crate) bind: String,
    /// Name or address under which others reach it.  [default: the one that the scheduler sees]
    #[arg(long, value_name = "HOST")]
    pub(crate) advertise: Option<String>,
    /// Threads that work on images; it takes one more task than that.  [default: the machine's cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// Bytes of memory that operators may take, in equal parts for the workers.  [default: no limit]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) memory_bytes: Option<u64>,
    /// Folder in which results wait to be fetched.  [default: the system's temporary folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) work_dir: Option<PathBuf>,
    /// Seconds for what is in work when it is to leave.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=86_400))]
    pub(crate) drain_secs: u64,
    /// Address for Prometheus in the clear, besides /metrics at --bind.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) metrics_bind: Option<String>,
    /// Serve other machines in the clear: whoever reaches the address can read results.
    #[arg(long)]
    pub(crate) plain_text: bool,
}

#[derive(Debug, Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    pub(crate) scheduler: SchedulerAddress,
}

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    #[command(flatten)]
    pub(crate) scheduler: SchedulerAddress,
    /// List at most this many.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) most: u32,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pomona cluster job ID
  pomona cluster job ID --watch --json

Exit status with --watch: 1 when the job failed or was cancelled.")]
pub(crate) struct JobArgs {
    /// Identifier of the job.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) scheduler: SchedulerAddress,
    /// Go on until the job is over.  [default: on a terminal]
    #[arg(long)]
    pub(crate) watch: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// Identifier of the job.
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) scheduler: SchedulerAddress,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  pomona cluster certificates certificates --host scheduler.example.org --host 10.0.0.7

DIR then holds the authority and a folder for each host. Copy that folder to its host and give it as --tls. Keep
ca-key.pem: whoever has it can make certificates, and more hosts need it.")]
pub(crate) struct CertificatesArgs {
    /// Folder for the certificates.
    pub(crate) dir: PathBuf,
    /// Host to make a certificate for, by the name or address that others connect to; may be given more than once.
    #[arg(long, value_name = "NAME", required = true)]
    pub(crate) host: Vec<String>,
    /// Leave hosts alone that have a certificate which serves, instead of refusing.
    #[arg(long)]
    pub(crate) keep: bool,
    /// Days for which the certificates hold.
    #[arg(long, value_name = "N", default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub(crate) days: u32,
}

#[derive(Debug, Args)]
pub(crate) struct TlsArgs {
    /// Folder with ca.pem, cert.pem and key.pem: talk to nobody without a certificate of that authority.
    #[arg(long, value_name = "DIR", env = "POMONA_TLS")]
    pub(crate) tls: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct SchedulerAddress {
    /// Address of the scheduler.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "POMONA_SCHEDULER",
        default_value = "127.0.0.1:50050"
    )]
    pub(crate) scheduler: String,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

fn price(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(price) if (0.0..=1e9).contains(&price) => Ok(price),
        _ => Err("a price is a number that is not negative, such as 0.12".to_owned()),
    }
}
