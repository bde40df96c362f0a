//! Images a second and memory of the engines, batch by batch; how far the engines differ.
//!
//! ```text
//! cargo run -p pomona-vision --example rate -- FILE.onnx|builtin [LIBRARY] [SESSIONS] [SECONDS]
//! ```

use std::error::Error;
use std::fs;
use std::io::{Write, stdout};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pomona_vision::{Engine, Network, NetworkOptions, OnnxRuntime, PureRust, Session};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let file = arguments
        .first()
        .ok_or("which network? FILE.onnx or builtin")?;
    let network = if file == "builtin" {
        Network::builtin()?
    } else {
        Network::from_onnx(file, &fs::read(file)?, &NetworkOptions::default())?
    };
    let sessions: usize = arguments.get(2).map_or(Ok(1), |text| text.parse())?;
    let seconds = Duration::from_secs(arguments.get(3).map_or(Ok(2), |text| text.parse())?);
    let mut engines: Vec<Arc<dyn Engine>> = Vec::new();
    if let Some(library) = arguments.get(1).filter(|text| *text != "-") {
        engines.push(Arc::new(OnnxRuntime::load(Path::new(library))?));
    }
    engines.push(Arc::new(PureRust));
    let mut out = stdout();
    let mut first: Option<Vec<f32>> = None;
    for engine in engines {
        for batch in [1, 2, 4, 8, 16] {
            let (rate, features) = rate(&network, &*engine, sessions, batch, seconds)?;
            let difference = first.as_ref().map(|first| relative(&features, first));
            writeln!(
                out,
                "{} sessions {sessions} batch {batch}: {rate:.1} images/s, peak memory {}, difference {}",
                engine.name(),
                peak_memory().unwrap_or_else(|| "unknown".to_owned()),
                difference.map_or_else(|| "-".to_owned(), |value| format!("{value:.1e}"))
            )?;
            first.get_or_insert(features);
        }
    }
    Ok(())
}

/// Images a second over all sessions, and the features of the first image.
fn rate(
    network: &Network,
    engine: &dyn Engine,
    sessions: usize,
    batch: usize,
    time: Duration,
) -> Result<(f64, Vec<f32>), Box<dyn Error>> {
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from_bits(state >> 9 | 0x3f80_0000) * 2.0 - 3.0
    };
    let tensor: Vec<f32> = (0..batch * network.input().values())
        .map(|_| random())
        .collect();
    let mut ready: Vec<Box<dyn Session>> = (0..sessions)
        .map(|_| engine.session(network))
        .collect::<Result<_, _>>()?;
    let began = Instant::now();
    let run = |session: &mut Box<dyn Session>| {
        let mut features = vec![0.0; batch * network.feature_count()];
        let mut images = 0;
        while images == 0 || began.elapsed() < time {
            session.run(batch, &tensor, &mut features)?;
            images += batch;
        }
        features.truncate(network.feature_count());
        Ok::<_, pomona_vision::VisionError>((images, features))
    };
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = ready
            .iter_mut()
            .map(|session| scope.spawn(|| run(session)))
            .collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    let elapsed = began.elapsed().as_secs_f64();
    let mut images = 0;
    let mut features = Vec::new();
    for result in results {
        let (count, found) = result.map_err(|_| "a thread ended early")??;
        images += count;
        features = found;
    }
    #[expect(clippy::cast_precision_loss, reason = "some thousands of images")]
    Ok((images as f64 / elapsed, features))
}

/// The relative L2 difference.
fn relative(got: &[f32], expected: &[f32]) -> f64 {
    let square = |value: f32| f64::from(value) * f64::from(value);
    let difference: f64 = got.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    (difference / expected.iter().map(|value| square(*value)).sum::<f64>()).sqrt()
}

/// The most memory this process has held, where the system says (Linux).
fn peak_memory() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}
