//! Addresses, identities and threads of the processes of a cluster.

use std::net::{SocketAddr, ToSocketAddrs};

use pomona_cluster::{SchedulerClient, Tls, check_exposure};
use pomona_pipeline::{Event, Observer};
use tokio::runtime::{Builder, Runtime};

use crate::args::{SchedulerAddress, TlsArgs};
use crate::failure::Failure;
use crate::progress::Reporter;

/// Plans are read by functions that call themselves, a plan node deep.
const STACK_BYTES: usize = 8 << 20;

/// Where to listen. A name is looked up.
pub(super) fn listen_at(text: &str, option: &str) -> Result<SocketAddr, Failure> {
    let wrong = || {
        Failure::input(format!(
            "{option} {text}: an address is HOST:PORT, such as 0.0.0.0:50050"
        ))
    };
    text.to_socket_addrs()
        .map_err(|_| wrong())?
        .next()
        .ok_or_else(wrong)
}

/// Where to serve figures in the clear.
pub(super) fn figures_at(
    text: Option<&str>,
    reporter: &Reporter,
) -> Result<Option<SocketAddr>, Failure> {
    let Some(text) = text else {
        return Ok(None);
    };
    let address = listen_at(text, "--metrics-bind")?;
    if !address.ip().is_loopback() {
        note(
            reporter,
            &format!("figures are served at {address} in the clear, to whoever reaches it"),
        );
    }
    Ok(Some(address))
}

/// Host and port of a scheduler. `df://` before them and brackets around the host are left out.
pub(super) fn host_and_port(text: &str) -> Result<(String, u16), Failure> {
    let wrong = || {
        Failure::input(format!(
            "--scheduler {text}: an address is HOST:PORT, such as 10.0.0.7:50050"
        ))
    };
    let text = bare(text);
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let is_bracketed = host.starts_with('[') && host.ends_with(']');
    if host.is_empty()
        || port == 0
        || host.contains(['/', '@', ' '])
        || (host.contains(':') && !is_bracketed)
    {
        return Err(wrong());
    }
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), port))
}

fn bare(text: &str) -> &str {
    text.strip_prefix("df://")
        .unwrap_or(text)
        .trim_end_matches('/')
}

/// The identity of this process, and what there is to know about its folder.
pub(super) fn identity(args: &TlsArgs, reporter: &Reporter) -> Result<Option<Tls>, Failure> {
    let Some(folder) = &args.tls else {
        return Ok(None);
    };
    let tls = Tls::load(folder)?;
    for warning in tls.warnings() {
        note(reporter, warning);
    }
    Ok(Some(tls))
}

/// A scheduler to ask.
pub(super) fn client(
    args: &SchedulerAddress,
    reporter: &Reporter,
) -> Result<SchedulerClient, Failure> {
    host_and_port(&args.scheduler)?;
    let tls = identity(&args.tls, reporter)?;
    Ok(SchedulerClient::new(bare(&args.scheduler), tls.as_ref()))
}

/// Refuses to serve other machines in the clear, or warns when that was asked for.
pub(super) fn exposure(
    address: SocketAddr,
    has_tls: bool,
    plain_text: bool,
    reporter: &Reporter,
) -> Result<(), Failure> {
    check_exposure(address, has_tls, plain_text)?;
    if !has_tls && !address.ip().is_loopback() {
        note(
            reporter,
            &format!(
                "other machines are served at {address} in the clear: whoever reaches it can run plans and read results"
            ),
        );
    }
    Ok(())
}

/// Says something that should be heard even by those who want to hear little.
pub(super) fn note(reporter: &Reporter, text: &str) {
    reporter.event(&Event::Note {
        text: text.to_owned(),
    });
}

/// Threads of a process that goes on.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    Ok(Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(STACK_BYTES)
        .build()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_schedulers() {
        let read = |text| host_and_port(text).map_err(|_| ());
        assert_eq!(
            read("localhost:50050"),
            Ok(("localhost".to_owned(), 50_050))
        );
        assert_eq!(read("df://10.0.0.7:1/"), Ok(("10.0.0.7".to_owned(), 1)));
        assert_eq!(read("[::1]:50050"), Ok(("::1".to_owned(), 50_050)));
        for wrong in [
            "localhost",
            ":50050",
            "localhost:0",
            "localhost:99999",
            "::1:50050",
            "http://a:1",
            "a/b:1",
            "u@h:1",
            "",
        ] {
            assert_eq!(read(wrong), Err(()), "{wrong}");
        }
    }
}
