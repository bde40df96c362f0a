//! What is refused, and how it is said.

use super::*;

#[test]
fn messages_name_the_line_and_what_to_do() {
    let cases = [
        // Keys.
        (
            "\nshard_images = 3",
            "pomona.toml line 2: `shard_images` is not a setting of any command",
            Some("did you mean `shard-images`?"),
        ),
        (
            "SHARD_IMAGES = 3",
            "pomona.toml line 1: `SHARD_IMAGES` is not a setting of any command",
            Some("did you mean `shard-images`?"),
        ),
        // The first of two.
        (
            "zzzzzz = 3\naaaaaa = 3",
            "pomona.toml line 1: `zzzzzz` is not a setting of any command",
            None,
        ),
        (
            "[run]\nglobb = []",
            "pomona.toml line 2: `globb` is not a setting of `pomona run`",
            Some("did you mean `glob`?"),
        ),
        (
            "[run]\nport = 3",
            "pomona.toml line 2: `port` is not a setting of `pomona run`",
            Some("it is one of `pomona cluster scheduler`"),
        ),
        // Also in the table of a command that was not chosen.
        (
            "[cluster.executor]\nport = 3",
            "pomona.toml line 2: `port` is not a setting of `pomona cluster executor`",
            Some("it is one of `pomona cluster scheduler`"),
        ),
        (
            "zzzzzz = 3",
            "pomona.toml line 1: `zzzzzz` is not a setting of any command",
            None,
        ),
        (
            "cluster = 3",
            "pomona.toml line 1: `cluster` is not a setting of any command",
            Some("`cluster` is a command: its settings stand in a table [cluster]"),
        ),
        (
            "[fits]\nout = 'o'",
            "pomona.toml line 1: there is no command `fits`",
            Some("did you mean [fit]?"),
        ),
        (
            "[cluster.executors]\n",
            "pomona.toml line 1: there is no command `cluster executors`",
            Some("did you mean [cluster.executor]?"),
        ),
        (
            "[help]\n",
            "pomona.toml line 1: `help` cannot be set in a file",
            Some("give it on the command line"),
        ),
        (
            "normalise = 'a'\nnormalize = 'b'",
            "pomona.toml line 2: `normalize` is the same setting as `normalise` in line 1",
            Some("leave one of them out"),
        ),
        (
            "show-settings = true",
            "pomona.toml line 1: `show-settings` cannot be set in a file",
            Some("give it on the command line"),
        ),
        (
            "[run]\nhelp = true",
            "pomona.toml line 2: `help` cannot be set in a file",
            Some("give it on the command line"),
        ),
        // Kinds of values.
        (
            "no-scale = 1",
            "pomona.toml line 1: no-scale = 1: true or false is wanted",
            None,
        ),
        (
            "shard-images = true",
            "pomona.toml line 1: shard-images = true: a number or a text in quotes is wanted",
            None,
        ),
        (
            "[run]\n\nout = ['a', 'b']",
            "pomona.toml line 3: out = a list: a number or a text in quotes is wanted",
            None,
        ),
        (
            "glob = [['a']]",
            "pomona.toml line 1: glob = a table: a list of texts or numbers is wanted",
            None,
        ),
        (
            "[cluster.executor]\nverbose = 'x'",
            "pomona.toml line 2: verbose = 'x': a whole number up to 255 is wanted",
            None,
        ),
        // Values, in the parser's words.
        (
            "\n\nshard-images = 0",
            "pomona.toml line 3: shard-images = 0: 0 is not in 1..=65536",
            None,
        ),
        (
            "shard-images = 1.5",
            "pomona.toml line 1: shard-images = 1.5: invalid digit found in string",
            None,
        ),
        (
            "features = \"orbs\"",
            "pomona.toml line 1: features = \"orbs\": one of network, orb is wanted",
            Some("did you mean \"orb\"?"),
        ),
        (
            "[run]\nmodel = ''",
            "pomona.toml line 2: model = '': a value is wanted",
            None,
        ),
        (
            "[run]\nphotos = ''",
            "pomona.toml line 2: photos = '': a value is wanted",
            None,
        ),
        (
            "glob = 'a'\nrequests = 70000",
            "pomona.toml line 2: requests = 70000: 70000 is not in 1..=65535",
            None,
        ),
    ];
    for (file, message, hint) in cases {
        let told = Place::new(file).told("pomona run --out o");
        assert_eq!(
            told,
            (message.to_owned(), hint.map(str::to_owned)),
            "{file}"
        );
    }
}

#[test]
fn a_value_that_is_not_taken_is_not_checked() {
    let place = Place::new("shard-images = 0\ncomponents = 'x'");
    assert_eq!(
        run(place.cli("pomona run p --out o --shard-images 5 --components 3")).components,
        3.0
    );
    // Nor is one that the command does not have.
    place.cli("pomona status r");
}

#[test]
fn what_is_not_toml_is_placed() {
    let told = Place::new("requests = 1\nglob = [\"ü\", ]]\n")
        .told("pomona status r")
        .0;
    assert!(
        told.starts_with("pomona.toml line 2, column 15: not TOML: "),
        "{told}"
    );
    let told = Place::new("requests = 1\nrequests = 2\n")
        .told("pomona status r")
        .0;
    assert_eq!(
        told,
        "pomona.toml line 2, column 1: not TOML: duplicate key"
    );
    let place = Place::new("");
    place.write("pomona.toml", b"requests = 1\n\nglob = '\xff'");
    assert_eq!(
        place.told("pomona status r").0,
        "pomona.toml line 3: not UTF-8 text"
    );
}

#[test]
fn what_cannot_be_read_is_said() {
    let place = Place::new("");
    let (told, hint) = place.told("pomona status r --settings nowhere.toml");
    assert_eq!(told, "the settings file nowhere.toml cannot be read");
    assert_eq!(
        hint.unwrap(),
        "the file is named by --settings or by POMONA_SETTINGS"
    );
    let folder = place.folder.path().join("pomona.toml");
    std::fs::remove_file(&folder).unwrap();
    std::fs::create_dir(&folder).unwrap();
    assert_eq!(
        place.told("pomona status r").0,
        "the settings file pomona.toml cannot be read"
    );
    std::fs::remove_dir(&folder).unwrap();
    place.write("pomona.toml", "#".repeat((1 << 20) + 1));
    assert_eq!(
        place.told("pomona status r").0,
        "the settings file pomona.toml is larger than 1048576 bytes"
    );
}

#[test]
fn secrets_are_refused_and_never_shown() {
    for file in [
        "secret-access-key = \"hunter2\"",
        "aws_secret = \"hunter2\"",
        "[run]\nPassword = \"hunter2\"",
        "[aws]\naccess_key_id = \"hunter2\"",
        "glob = [{ token = \"hunter2\" }]",
        "session-token = ['hunter2']",
        // Not even TOML.
        "secret-access-key = \"hunter2",
        "secret-access-key = hunter2",
        "photos = \"s3://hunter2:hunter2@b/\"\nout = []",
        "shard-images = \"s3://a:hunter2@b\"",
        "features = \"https://b?X-Amz-Signature=hunter2\"",
        "out = { token = 'hunter2' }",
        "requests = 'https://hunter2@host'",
    ] {
        let error = Place::new(file).parse("pomona run p").err().unwrap();
        let told = format!("{error} {error:?} {:?}", error.hint());
        assert!(!told.contains("hunter2"), "{file}: {told}");
    }
    let (told, hint) = Place::new("\nsecret-access-key = 'x'").told("pomona run p");
    assert_eq!(
        told,
        "pomona.toml line 2: `secret-access-key`: keys and passwords are not settings"
    );
    assert!(hint.unwrap().contains("standard chain"));
}

#[test]
fn settings_that_exclude_each_other_are_told_with_their_lines() {
    let (told, hint) = Place::new("\ncomponents = 3").told("pomona run p --out o --model m");
    assert_eq!(
        told,
        "pomona.toml line 2: `components` cannot be used with `--model <MODEL>`"
    );
    assert!(hint.unwrap().starts_with("leave one of them out"));
    let (told, _) = Place::new("\nmodel = 'm'").told("pomona run p --out o --components 3");
    assert_eq!(
        told,
        "pomona.toml line 2: `model` cannot be used with `--components <COMPONENTS>`"
    );
    let (told, _) = Place::new("components = 3\nmodel = 'm'").told("pomona run p --out o");
    assert_eq!(
        told,
        "pomona.toml line 1: `components` cannot be used with `model` (pomona.toml line 2)"
    );
}

#[test]
fn what_is_missing_is_what_neither_has() {
    let place = Place::new("[run]\nphotos = 'p'\nrequests = 3\n[why]\nrun = 'R'");
    assert_eq!(
        place.told("pomona run").0,
        "error: the following required arguments were not provided:\n  --out <RUN>\n\n\
         Usage: pomona run [OPTIONS] --out <RUN> <PHOTOS>\n\nFor more information, try '--help'.\n"
    );
    assert_eq!(
        place.told("pomona why").0,
        "error: the following required arguments were not provided:\n  <PATH>\n\n\
         Usage: pomona why [OPTIONS] <RUN> <PATH>\n\nFor more information, try '--help'.\n"
    );
}

#[test]
fn what_is_typed_wrong_is_told_as_without_a_file() {
    let place = Place::new("requests = 3\nglob = 'x'\n[run]\nphotos = 'p'\n");
    let empty = Place::new("");
    for line in [
        "pomona",
        "pomona cluster",
        "pomona rum",
        "pomona run p --bogus",
        "pomona run p q --out o",
        "pomona run p --out o --shard-images 0",
        "pomona run p --out o --model m --components 3",
        "pomona status",
        "pomona --help",
        "pomona run --help",
        "pomona help run",
        "pomona --version",
        "pomona cluster executor -h",
    ] {
        let alone = Cli::command()
            .try_get_matches_from(words(line))
            .unwrap_err();
        let told = match place.parse(line).err().unwrap() {
            SettingsError::CommandLine(told) => told,
            other => panic!("{other}"),
        };
        assert_eq!(told.kind(), alone.kind(), "{line}");
        assert_eq!(empty.told(line).0, alone.to_string());
        // The file has a part only in what is missing.
        if line != "pomona status" {
            assert_eq!(told.to_string(), alone.to_string(), "{line}");
        }
    }
}

#[test]
fn help_needs_no_good_file() {
    let place = Place::new("nonsense");
    for line in [
        "pomona --help",
        "pomona run --help",
        "pomona --version",
        "pomona run -V",
    ] {
        match place.parse(line) {
            Err(SettingsError::CommandLine(told)) => assert!(!told.use_stderr(), "{line}"),
            _ => panic!("{line}"),
        }
    }
}

#[test]
fn no_file_makes_it_panic() {
    let deep = format!("glob = {}1{}", "[".repeat(5000), "]".repeat(5000));
    let tables = format!("[{}]", vec!["a"; 5000].join("."));
    for file in [
        deep.as_str(),
        tables.as_str(),
        "\u{feff}requests = 3\r\n[run]\r\n",
        "\"\" = 1",
        "\"--\" = 1",
        "\"out=x\" = 1",
        "\"a\\u001b[2Jb\" = 1",
        "glob = \"\\u0000\"",
        "requests = 99999999999999999999999999999999999999999999999999",
        "requests = 0xffffffffffffffffffff",
        "components = nan",
        "out = 1979-05-27T07:32:00Z",
        "[[run]]\nout = 1",
        "run.out = 'x'\nrun.photos.a = 1",
        "photos = '--out'",
        "[",
        "= 1",
    ] {
        let place = Place::new(file);
        for line in [
            "pomona run",
            "pomona run --out o p",
            "pomona status r",
            "pomona",
            "",
        ] {
            if let Err(error) = place.parse(line) {
                assert!(!error.to_string().contains('\u{1b}'), "{file}");
            }
        }
    }
}
