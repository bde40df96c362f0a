//! Where things are: the binary, the shared photos, the rivals' Python.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process;

/// What every figure needs.
pub(crate) struct Place {
    /// The repository.
    pub(crate) root: PathBuf,
    /// The `pomona` binary, of the profile that the README's commands use.
    pub(crate) pomona: PathBuf,
    /// Python with the rivals' packages.
    pub(crate) python: PathBuf,
    /// Photos and references that are not part of the repository.
    pub(crate) shared: Option<PathBuf>,
    scratch: TempDir,
}

/// The kinds of fruit in the reference features.
const CLASSES: [&str; 7] = [
    "Apple Golden 1",
    "Banana",
    "Kaki",
    "Kiwi",
    "Lemon",
    "Orange",
    "Pineapple",
];

impl Place {
    pub(crate) fn prepare() -> Result<Self> {
        // Asked for when it runs: where two checkouts share a target folder, the one that built may be gone.
        let root = std::env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .and_then(|package| package.parent().map(Path::to_owned))
            .context("start it with `cargo xtask`")?;
        let pomona = build(&root, &["--package", "pomona-cli", "--bin", "pomona"])?;
        let python = environment(&root)?;
        let shared = match std::env::var_os("POMONA_SHARED") {
            Some(folder) => Some(PathBuf::from(folder)),
            None => root.parent().map(|parent| parent.join("shared")),
        };
        Ok(Self {
            pomona,
            python,
            shared: shared.filter(|folder| folder.join("data").is_dir()),
            scratch: tempfile::tempdir()?,
            root,
        })
    }

    /// A path that is removed at the end.
    pub(crate) fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// A script of `tools/figures`.
    pub(crate) fn script(&self, name: &str) -> String {
        self.root
            .join("tools/figures")
            .join(name)
            .display()
            .to_string()
    }

    /// Runs a script of `tools/figures` and reads the JSON on its last line.
    pub(crate) fn python(&self, script: &str, arguments: &[&str]) -> Result<serde_json::Value> {
        let script = self.script(script);
        let mut all = vec![script.as_str()];
        all.extend(arguments);
        process::json(&process::run(&self.python, &all)?)
    }

    /// An example of a crate, built.
    pub(crate) fn example(&self, package: &str, name: &str) -> Result<PathBuf> {
        // With the program, so that libraries have the features they were built with for it, and are not built again.
        let packages = ["--package", "pomona-cli", "--package", package];
        build(&self.root, &[&packages[..], &["--example", name]].concat())
    }

    /// The reference's photos, in the order of their paths.
    pub(crate) fn reference_photos(&self, shared: &Path) -> Result<Vec<String>> {
        let mut files = Vec::new();
        for class in CLASSES {
            for entry in std::fs::read_dir(shared.join("data/fruits-360/Test").join(class))? {
                files.push(entry?.path().display().to_string());
            }
        }
        files.sort();
        Ok(files)
    }

    /// Arguments that run all Fruits-360 photos through the reference's network.
    pub(crate) fn all_photos_run(&self, shared: &Path, out: &Path) -> Vec<String> {
        let text = |path: PathBuf| path.display().to_string();
        vec![
            "--quiet".to_owned(),
            "run".to_owned(),
            text(shared.join("data/fruits-360")),
            "--out".to_owned(),
            text(out.to_owned()),
            "--fresh".to_owned(),
            "--glob".to_owned(),
            "*.jpg".to_owned(),
            "--components".to_owned(),
            "100".to_owned(),
            "--backbone".to_owned(),
            text(shared.join("models/mobilenet_v2.onnx")),
            "--normalise=-1..1".to_owned(),
            "--workers".to_owned(),
            "2".to_owned(),
        ]
    }

    /// Arguments that run the reference's photos through the reference's network.
    pub(crate) fn reference_run(&self, shared: &Path, command: &str, out: &Path) -> Vec<String> {
        let mut arguments = self.reference_photos_run(shared, command, out);
        arguments.extend([
            "--backbone".to_owned(),
            shared
                .join("models/mobilenet_v2.onnx")
                .display()
                .to_string(),
            "--normalise=-1..1".to_owned(),
        ]);
        arguments
    }

    /// Arguments that run the reference's photos, however their features are made.
    pub(crate) fn reference_photos_run(
        &self,
        shared: &Path,
        command: &str,
        out: &Path,
    ) -> Vec<String> {
        let text = |path: PathBuf| path.display().to_string();
        let mut arguments = vec![
            "--quiet".to_owned(),
            command.to_owned(),
            text(shared.join("data/fruits-360/Test")),
            "--out".to_owned(),
            text(out.to_owned()),
            "--fresh".to_owned(),
        ];
        for class in CLASSES {
            arguments.extend(["--glob".to_owned(), format!("{class}/*.jpg")]);
        }
        arguments
    }
}

/// Builds with the README's profile and gives the path of what was built.
fn build(root: &Path, what: &[&str]) -> Result<PathBuf> {
    let mut arguments = vec!["build", "--locked", "--quiet", "--message-format=json"];
    arguments.extend(what);
    let manifest = root.join("Cargo.toml").display().to_string();
    arguments.extend(["--manifest-path", &manifest]);
    let built = process::run(Path::new(env!("CARGO")), &arguments)?;
    built
        .stdout
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|message| message["executable"].as_str().map(PathBuf::from))
        .next_back()
        .context("cargo named no executable")
}

/// Makes the rivals' environment once, for the packages as they are pinned now.
fn environment(root: &Path) -> Result<PathBuf> {
    let pins = root.join("tools/figures/requirements.txt");
    let wanted = std::fs::read_to_string(&pins)?;
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    let folder = cache.join("pomona/figures");
    let python = folder.join("bin/python");
    let stamp = folder.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
        return Ok(python);
    }
    process::say("making the rivals' Python environment");
    let text = |path: &Path| path.display().to_string();
    process::run(
        Path::new("python3"),
        &["-m", "venv", "--clear", &text(&folder)],
    )?;
    process::run(
        &python,
        &["-m", "pip", "install", "--quiet", "-r", &text(&pins)],
    )?;
    std::fs::write(&stamp, wanted)?;
    Ok(python)
}
