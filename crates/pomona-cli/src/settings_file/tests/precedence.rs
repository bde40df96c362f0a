//! Which value is taken.

use serde_json::json;

use super::*;

#[test]
fn command_line_over_environment_over_file_over_default() {
    let place = Place::new(
        "shard-images = 7\nlibrary = \"lib.so\"\nshare = 0.25\n[run]\nout = \"file\"\nphotos = \"p\"",
    );
    let parsed = place.parse("pomona run --out typed").unwrap();
    let args = run(cli(&parsed));
    assert_eq!(args.out, PathBuf::from("typed"));
    assert_eq!(
        told_of(&parsed, "out"),
        json!({"value": "typed", "source": "command line"})
    );
    let variable = std::env::var(SET_VARIABLE).unwrap();
    assert_eq!(args.library, Some(PathBuf::from(&variable)));
    assert_eq!(
        told_of(&parsed, "library"),
        json!({"value": variable, "source": "environment", "variable": SET_VARIABLE})
    );
    assert_eq!(args.listing.shard_images, 7);
    assert_eq!(
        told_of(&parsed, "shard-images"),
        json!({"value": 7, "source": "file", "line": 1})
    );
    assert_eq!(args.share, "0.25");
    assert_eq!(args.components, 0.95);
    assert_eq!(
        told_of(&parsed, "components"),
        json!({"value": 0.95, "source": "default"})
    );
    assert_eq!(args.model, None);
    assert_eq!(
        told_of(&parsed, "model"),
        json!({"value": null, "source": "unset"})
    );
    let args = run(place.cli("pomona run q --library other.so --out x --shard-images 9"));
    assert_eq!(args.library, Some(PathBuf::from("other.so")));
    assert_eq!(args.listing.shard_images, 9);
    assert_eq!(args.photos, PathBuf::from("q"));
}

#[test]
fn inner_tables_win() {
    let place = Place::new(
        "components = 5\nrequests = 1\n[fit]\ncomponents = 6\n[cluster]\nrequests = 2\nport = 3\n\
         [cluster.executor]\nrequests = 3\nkeep = true",
    );
    assert_eq!(run(place.cli("pomona run p --out o")).components, 5.0);
    match place.cli("pomona fit f --out o").command {
        Sub::Fit { components, .. } => assert_eq!(components, 6.0),
        other => panic!("{other:?}"),
    }
    assert_eq!(place.cli("pomona status r").requests, Some(1));
    assert_eq!(place.cli("pomona cluster executor").requests, Some(3));
    let scheduler = place.cli("pomona cluster scheduler");
    assert_eq!(scheduler.requests, Some(2));
    assert_eq!(
        scheduler.command,
        Sub::Cluster {
            command: Cluster::Scheduler { port: 3 }
        }
    );
    // A global flag before the command wins as well.
    let executor = place.cli("pomona --requests 8 cluster executor");
    assert_eq!(executor.requests, Some(8));
    assert_eq!(
        executor.command,
        Sub::Cluster {
            command: Cluster::Executor {
                scheduler: "127.0.0.1:1".to_owned(),
                verbose: 0,
                keep: Some(true),
            }
        }
    );
}

#[test]
fn every_kind_of_value() {
    let place = Place::new(
        "quiet = true\njson = false\n[run]\nno-scale = true\nreport-to = \"me\"\nglob = ['*.jpg', \"*.png\"]\n\
         features = \"orb\"\nnormalize = \"-1..1\"\nshard-images = 0x1_0\nmodel = \"a=b c\"\n\
         [cluster.executor]\nverbose = 3\nkeep = false",
    );
    let cli = place.cli("pomona run p --out o");
    assert!(cli.quiet);
    assert!(!cli.json);
    let args = run(cli);
    assert!(args.no_scale);
    assert_eq!(args.listing.glob, ["*.jpg", "*.png"]);
    assert_eq!(args.features, Some(Kind::Orb));
    assert_eq!(args.normalise.as_deref(), Some("-1..1"));
    assert_eq!(args.listing.shard_images, 16);
    assert_eq!(args.model, Some(PathBuf::from("a=b c")));
    match place.cli("pomona cluster executor").command {
        Sub::Cluster {
            command: Cluster::Executor { verbose, keep, .. },
        } => assert_eq!((verbose, keep), (3, Some(false))),
        other => panic!("{other:?}"),
    }
    // A list that is typed is not added to.
    let args = run(place.cli("pomona run p --out o --glob *.gif"));
    assert_eq!(args.listing.glob, ["*.gif"]);
    // One text is a list of one; the empty list and false give nothing.
    let args = run(Place::new("glob = \"*.bmp\"\nno-scale = false").cli("pomona run p --out o"));
    assert_eq!(args.listing.glob, ["*.bmp"]);
    assert!(!args.no_scale);
    let place = Place::new("glob = []");
    let parsed = place.parse("pomona run p --out o").unwrap();
    assert_eq!(
        told_of(&parsed, "glob"),
        json!({"value": null, "source": "file", "line": 1})
    );
}

#[test]
fn arguments_by_position_come_from_the_file_too() {
    let why = |file: &str, line: &str| match Place::new(file).cli(line).command {
        Sub::Why { run, path } => (run.display().to_string(), path),
        other => panic!("{other:?}"),
    };
    let of = |run: &str, path: &str| (run.to_owned(), path.to_owned());
    // What is typed is the photo where the file has the run.
    assert_eq!(
        why("[why]\nrun = \"R\"", "pomona why a/b.jpg"),
        of("R", "a/b.jpg")
    );
    assert_eq!(
        why("run = \"R\"", "pomona why -q -- -a.jpg"),
        of("R", "-a.jpg")
    );
    assert_eq!(
        why("[why]\nrun = \"R\"", "pomona why R2 a.jpg"),
        of("R2", "a.jpg")
    );
    assert_eq!(why("path = \"-a\"", "pomona why R2"), of("R2", "-a"));
    assert_eq!(why("run = \"R\"\npath = \"a\"", "pomona why"), of("R", "a"));
    assert_eq!(
        why("run = \"R\"\npath = \"a\"", "pomona why R2"),
        of("R2", "a")
    );
    // A run that is named before another command's table is no run of that.
    assert_eq!(
        Place::new("run = \"R\"").cli("pomona status").command,
        Sub::Status { run: "R".into() }
    );
}

#[test]
fn a_flag_above_all_tables_is_no_other_commands_argument() {
    let place = Place::new("features = \"orb\"\nout = \"o\"\n");
    let (told, _) = place.told("pomona fit");
    assert!(told.contains("<RUN|FEATURES>"), "{told}");
    assert_eq!(run(place.cli("pomona run p")).features, Some(Kind::Orb));
    let place = Place::new("out = \"o\"\n[fit]\nfeatures = \"orb\"\n");
    match place.cli("pomona fit").command {
        Sub::Fit { features, .. } => assert_eq!(features, PathBuf::from("orb")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_typed_keeps_its_place() {
    let place = Place::new("quiet = true\n[exec]\nshell = \"sh\"\nrun = \"R\"");
    let exec = |line: &str| match place.cli(line).command {
        Sub::Exec { run, shell, rest } => (run.display().to_string(), shell, rest),
        other => panic!("{other:?}"),
    };
    let sh = Some("sh".to_owned());
    assert_eq!(exec("pomona exec"), ("R".to_owned(), sh.clone(), vec![]));
    let (run_, shell, rest) = exec("pomona exec R2 ls --shell=x -- -l --json");
    assert_eq!(run_, "R2");
    assert_eq!(shell, sh);
    assert_eq!(rest, ["ls", "--shell=x", "--", "-l", "--json"]);
    assert!(!place.cli("pomona exec R2 -- --json").json);
    // The name of the command as a value before it.
    let place = Place::new("[status]\nquiet = true\nrun = \"S\"");
    let parsed = place.cli("pomona --name status status");
    assert_eq!(parsed.command, Sub::Status { run: "S".into() });
    assert_eq!(parsed.name.as_deref(), Some("status"));
    assert!(parsed.quiet);
}

#[test]
fn the_file_is_named_by_flag_then_variable_then_habit() {
    let place = Place::new("requests = 1");
    let by_flag = place.write("flag.toml", "requests = 2");
    let by_variable = place.write("variable.toml", "requests = 3");
    let requests = |line: &str, variable: Option<&OsStr>| {
        let parsed = place.parse_with(words(line), variable).unwrap();
        (cli(&parsed).requests, parsed.file)
    };
    let flag = format!("pomona status r --settings {}", by_flag.display());
    let variable = Some(by_variable.as_os_str());
    assert_eq!(requests(&flag, variable), (Some(2), Some(by_flag)));
    assert_eq!(
        requests("pomona status r", variable),
        (Some(3), Some(by_variable.clone()))
    );
    let habit = place.folder.path().join("pomona.toml");
    assert_eq!(
        requests("pomona status r", Some(OsStr::new(""))),
        (Some(1), Some(habit.clone()))
    );
    assert_eq!(
        requests("pomona status r", None),
        (Some(1), Some(habit.clone()))
    );
    std::fs::remove_file(habit).unwrap();
    assert_eq!(requests("pomona status r", None), (None, None));
}

#[test]
fn requirements_are_met_by_either_side() {
    let place = Place::new("report-to = \"me\"");
    assert!(run(place.cli("pomona run p --out o --no-scale")).no_scale);
    let place = Place::new("no-scale = true");
    assert!(run(place.cli("pomona run p --out o --report-to me")).no_scale);
    let (told, _) = place.told("pomona run p --out o");
    assert!(told.contains("--report-to <REPORT_TO>"), "{told}");
}
