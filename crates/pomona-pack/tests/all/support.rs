//! What several tests share.

use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use pomona_pack::{Member, ScanSettings, Scanned, scan_all};

/// Settings that read by tiny pieces, so that every border of a piece is met.
pub(crate) fn tiny(block_bytes: u64) -> ScanSettings {
    ScanSettings {
        block_bytes,
        ..ScanSettings::default()
    }
}

/// A store that holds `bytes` as `a.tar`.
pub(crate) async fn holding(bytes: &[u8]) -> (Arc<dyn ObjectStore>, Path) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let location = Path::from("a.tar");
    let bytes = Bytes::copy_from_slice(bytes);
    store.put(&location, bytes.into()).await.unwrap();
    (store, location)
}

/// Scans an archive in memory.
pub(crate) async fn scanned(bytes: &[u8], settings: ScanSettings) -> Scanned {
    let (store, location) = holding(bytes).await;
    scan_all(store, location, bytes.len() as u64, settings).await
}

/// A member's bytes.
pub(crate) fn content<'a>(archive: &'a [u8], member: &Member) -> &'a [u8] {
    let from = usize::try_from(member.offset).unwrap();
    let to = from + usize::try_from(member.size).unwrap();
    &archive[from..to]
}

/// The runtime of tests that are not asynchronous themselves.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

/// What a Python program prints. Python must be there: it is the reference.
pub(crate) fn python(program: &str, arguments: &[&std::ffi::OsStr]) -> String {
    let output = Command::new("python3")
        .args(["-X", "utf8", "-c", program])
        .args(arguments)
        .output()
        .expect("python3 starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    String::from_utf8(output.stdout).unwrap()
}
