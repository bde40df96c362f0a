//! The same commands in one process and on a cluster: what they leave is the same.

use std::path::Path;

use crate::support::{Cluster, Place, assert_same, files, said};

/// A small network of one's own, which executors do not have.
const NETWORK: &str = "gemm.onnx";

/// A folder with photos, some of them damaged, and a network.
fn place() -> Place {
    let place = Place::with_photos(1, true);
    let network = Path::new("../pomona-vision/tests/references").join(NETWORK);
    std::fs::copy(network, place.path(NETWORK)).unwrap();
    place
}

/// Runs the command in one process as `here`, and on a cluster as `there`.
struct Both<'a> {
    place: &'a Place,
    cluster: Cluster<'a>,
}

impl<'a> Both<'a> {
    fn new(place: &'a Place) -> Self {
        Self {
            place,
            cluster: Cluster::start(place, 2),
        }
    }

    /// `OUT` in the arguments becomes the folder of each; gives what each said.
    fn run(&self, arguments: &[&str]) -> [String; 2] {
        let of = |out: &str, more: &[&str]| {
            let mut all: Vec<String> = arguments
                .iter()
                .map(|argument| argument.replace("OUT", out))
                .collect();
            all.extend(more.iter().map(|&argument| argument.to_owned()));
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            let output = self.place.pomona(&all);
            assert!(output.status.success(), "{all:?}: {}", said(&output));
            said(&output)
        };
        [of("here", &[]), of("there", &[&self.cluster.flag])]
    }

    fn assert_same(&self, what: &str) {
        let of = |out: &str| match what {
            "" => self.place.path(out),
            what => self.place.path(out).join(what),
        };
        let (here, there) = (of("here"), of("there"));
        assert_same(&here, &there);
    }
}

#[test]
fn a_run_and_all_that_follows() {
    let place = place();
    let both = Both::new(&place);
    let run = [
        "run",
        "photos",
        "--out",
        "OUT/run",
        "--backbone",
        NETWORK,
        "--engine",
        "pure-rust",
        "--shard-images",
        "5",
        "--components",
        "4",
    ];
    both.run(&run);
    both.assert_same("run");
    let (here, there) = (place.counts("here/run"), place.counts("there/run"));
    assert_eq!(here, there);
    assert!(here["ok"] > 30 && here["corrupt"] > 0, "{here:?}");
    // The network came along by what it holds.
    assert!(
        files(&place.path("cache/shipped"))
            .values()
            .any(|bytes| *bytes == std::fs::read(place.path(NETWORK)).unwrap())
    );
    assert!(files(&place.path("there/run/.pomona")).is_empty());

    // Another fit and another reduction of the same features, by the commands of their own.
    std::fs::remove_file(place.path("here/run/moments.pomona")).unwrap();
    std::fs::remove_file(place.path("there/run/moments.pomona")).unwrap();
    both.run(&[
        "fit",
        "OUT/run",
        "--out",
        "OUT/other.pomona",
        "--components",
        "3",
    ]);
    let reduce = [
        "reduce",
        "OUT/run",
        "--model",
        "OUT/other.pomona",
        "--out",
        "OUT/other",
    ];
    both.run(&reduce);
    both.assert_same("other");
    both.assert_same("run");
    let [here_model, there_model] =
        ["here", "there"].map(|out| std::fs::read(place.path(out).join("other.pomona")).unwrap());
    assert!(here_model == there_model);

    // A photo changed, one gone, some new: only they are worked out.
    let photo = |name: &str| place.path("photos/Training").join(name);
    let kiwi = std::fs::read_dir(photo("Kiwi")).unwrap().next().unwrap();
    let kiwi = kiwi.unwrap().path();
    std::fs::copy(&kiwi, photo("Pear/new.jpg")).unwrap();
    std::fs::copy(&kiwi, photo("Pear/newer.jpg")).unwrap();
    std::fs::write(&kiwi, b"no photo any more").unwrap();
    let [_, told] = both.run(&run);
    assert!(told.contains("were done by an earlier run"), "{told}");
    both.assert_same("run");
    let grown = place.counts("there/run");
    assert_eq!(grown["ok"], here["ok"] + 1);
    assert_eq!(grown["not_an_image"], here["not_an_image"] + 1);

    // The fitted model for other photos.
    let reused = [
        "run",
        "photos",
        "--out",
        "OUT/reused",
        "--model",
        "OUT/run/model.pomona",
    ];
    both.run(&[&reused[..], &["--engine", "pure-rust"]].concat());
    both.assert_same("reused");
    both.cluster.leave();
}

#[test]
fn visual_words() {
    let place = Place::with_photos(1, false);
    let both = Both::new(&place);
    both.run(&[
        "run",
        "photos",
        "--out",
        "OUT",
        "--features",
        "orb",
        "--words",
        "20",
        "--shard-images",
        "4",
        "--components",
        "4",
    ]);
    both.assert_same("");
    both.cluster.leave();
}
