//! `pomona cluster`

mod address;
mod certificates;
mod executor;
mod job;
mod jobs;
mod scheduler;
mod shown;
mod status;
mod up;

use crate::args::{ClusterArgs, ClusterCommand};
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn cluster(args: &ClusterArgs, reporter: &Reporter) -> Result<(), Failure> {
    match &args.command {
        ClusterCommand::Up(args) => up::up(args, reporter),
        ClusterCommand::Scheduler(args) => scheduler::scheduler(args, reporter),
        ClusterCommand::Executor(args) => executor::executor(args, reporter),
        ClusterCommand::Status(args) => status::status(args, reporter),
        ClusterCommand::Jobs(args) => jobs::jobs(args, reporter),
        ClusterCommand::Job(args) => job::job(args, reporter),
        ClusterCommand::Cancel(args) => jobs::cancel(args, reporter),
        ClusterCommand::Certificates(args) => certificates::certificates(args, reporter),
    }
}
