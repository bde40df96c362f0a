//! `--show-settings`.

use serde_json::json;

use super::super::show;
use super::*;

#[test]
fn every_setting_is_shown_with_its_source() {
    let place = Place::new("requests = 4\n[cluster.executor]\nverbose = 2\n");
    let parsed = place
        .parse("pomona cluster executor --scheduler host\\1:2 --show-settings")
        .unwrap();
    assert!(parsed.show_settings);
    let shown = show(&parsed).replace(&format!("{}/", place.folder.path().display()), "");
    assert_eq!(
        shown,
        "# Settings of `pomona cluster executor`, with those of pomona.toml

[cluster.executor]
scheduler = 'host\\1:2'  # command line · Address of the scheduler
verbose = 2             # pomona.toml line 3 · Say more
# keep = …              # not set · Whether to keep files · true, false
quiet = false           # default · Say nothing
json = false            # default · Report as JSON
# name = …              # not set · Who asks
requests = 4            # pomona.toml line 1 · Most requests at once
"
    );
}

#[test]
fn what_is_missing_is_shown_as_not_set() {
    let place = Place::new("[run]\nshard-images = 5");
    let parsed = place.parse("pomona run --show-settings").unwrap();
    let shown = show(&parsed);
    assert!(shown.contains("\n# photos = …"), "{shown}");
    assert!(shown.contains("\n# out = …"), "{shown}");
    assert!(shown.contains("\nshard-images = 5 "), "{shown}");
    assert!(shown.contains("\n# Which photos\n# glob"), "{shown}");
    assert!(!shown.contains("fault ="), "{shown}");
    assert!(!shown.contains("show-settings"), "{shown}");
    assert!(place.parse("pomona run").is_err());
}

#[test]
fn what_is_shown_gives_the_same_settings() {
    let lines = [
        "pomona run p --out o --show-settings",
        "pomona run p --out o --model m --show-settings",
        "pomona run p --out o --components 3 --no-scale --report-to me --show-settings --json -q",
        "pomona run --normalise=-1..1 --features orb --glob a --glob \"b\\'\" p --out 007 --share=+5 --show-settings",
        "pomona run p --out \u{7f}\u{1}ü\"' --share 1e5 --report-to # --show-settings",
        "pomona fit features --out m --components 1e-4 --show-settings",
        "pomona why --show-settings run --requests 7 a/b.jpg",
        "pomona exec r --show-settings --shell sh a -b -- c",
        "pomona cluster executor -vvv --keep false --show-settings",
        "pomona cluster scheduler --port 3 --show-settings",
    ];
    for line in lines {
        let first = Place::new("").parse(line).unwrap();
        let shown = show(&first);
        let chosen: Vec<_> = first.names.iter().map(String::as_str).collect();
        let place = Place::new(&shown);
        let again = match place.parse(&format!("{} --show-settings", chosen.join(" "))) {
            Ok(again) => again,
            Err(error) => panic!("{line}: {error}\n{shown}"),
        };
        let mut expected = cli(&first);
        let mut got = cli(&again);
        // Its value is that of the environment both times.
        if let (Sub::Run(expected), Sub::Run(got)) = (&mut expected.command, &mut got.command) {
            assert_eq!(expected.library, got.library);
        }
        expected.settings = None;
        got.settings = None;
        assert_eq!(got, expected, "{line}\n{shown}");
        let values = |parsed: &Parsed| {
            let shown = show_json(parsed);
            let settings = shown["settings"].as_object().unwrap();
            let values = settings
                .iter()
                .map(|(key, told)| (key.clone(), told["value"].clone()));
            values.collect::<Vec<_>>()
        };
        assert_eq!(values(&again), values(&first), "{line}");
    }
}

#[test]
fn a_default_that_excludes_what_was_given_is_a_comment() {
    let place = Place::new("");
    let shown = show(
        &place
            .parse("pomona run p --out o --model m --show-settings")
            .unwrap(),
    );
    assert!(shown.contains("\n# components = 0.95 "), "{shown}");
    assert!(shown.contains("\nshard-images = 256 "), "{shown}");
    let shown = show(&place.parse("pomona run p --out o --show-settings").unwrap());
    assert!(shown.contains("\ncomponents = 0.95 "), "{shown}");
    // Also where something is missing.
    let shown = show(&place.parse("pomona run --model m --show-settings").unwrap());
    assert!(shown.contains("\n# components = 0.95 "), "{shown}");
    assert!(shown.contains("\nshard-images = 256 "), "{shown}");
}

#[test]
fn secrets_are_not_shown() {
    let secret = "https://me:hunter2@host/photos";
    let place = Place::new("");
    let line = format!("pomona run {secret} --out https://host/a?sig=hunter2 --show-settings");
    let parsed = place.parse(&line).unwrap();
    let shown = show(&parsed);
    assert!(shown.contains("\n# photos = … "), "{shown}");
    assert!(shown.contains("\n# out = … "), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(!show_json(&parsed).to_string().contains("hunter2"));
    // A container and its account are none.
    let line = "pomona run abfss://photos@account.example/a --out o --show-settings";
    let shown = show(&place.parse(line).unwrap());
    assert!(
        shown.contains("\nphotos = \"abfss://photos@account.example/a\""),
        "{shown}"
    );
    // By its name.
    let command = clap::Command::new("pomona")
        .arg(clap::Arg::new("settings").long("settings"))
        .arg(
            clap::Arg::new("show_settings")
                .long("show-settings")
                .action(clap::ArgAction::SetTrue),
        )
        .arg(
            clap::Arg::new("key")
                .long("cluster-token")
                .env(SET_VARIABLE),
        );
    let parsed = parse_in(command, words("pomona"), None, place.folder.path()).unwrap();
    let shown = show(&parsed);
    assert!(
        shown.contains(&format!(
            "# cluster-token = …  # environment {SET_VARIABLE}\n"
        )),
        "{shown}"
    );
    assert_eq!(told_of(&parsed, "cluster-token")["value"], json!("…"));
}

#[test]
fn json_tells_the_command_and_the_file() {
    let place = Place::new("requests = 4");
    let told = show_json(&place.parse("pomona cluster scheduler").unwrap());
    assert_eq!(told["command"], "cluster scheduler");
    let file = told["file"].as_str().unwrap();
    assert!(file.ends_with("pomona.toml"), "{file}");
    assert_eq!(
        told["settings"]["port"],
        json!({"value": 50050, "source": "default"})
    );
    assert_eq!(told["settings"]["quiet"]["value"], json!(false));
    std::fs::remove_file(place.folder.path().join("pomona.toml")).unwrap();
    let told = show_json(&place.parse("pomona cluster scheduler").unwrap());
    assert_eq!(told["file"], json!(null));
}

#[test]
fn any_text_comes_back_as_it_was() {
    let nasty = [
        "",
        " a  b ",
        "\n\t\r\u{0}\u{7f}\u{85}\u{1b}",
        "'\"\\",
        "\"\u{1}",
        "\\\n",
        "\\d+",
        "ü…\u{1f34c}",
        "# no comment",
        "true",
        "1979-05-27",
        "007",
        "-0",
        "+5",
        "1e400",
        "99999999999999999999",
        "nan",
        "1_000",
        "]",
        "--",
        "a=b",
    ];
    let mut line = words("pomona run p --out o --show-settings");
    line.extend(nasty.iter().map(|text| format!("--glob={text}").into()));
    for text in nasty {
        let mut line = line.clone();
        line.push(format!("--report-to={text}").into());
        let first = Place::new("").parse_with(line, None).unwrap();
        let shown = show(&first);
        let again = run(Place::new(&shown).cli("pomona run"));
        assert_eq!(again.listing.glob, nasty, "{shown}");
        assert_eq!(again.report_to.as_deref(), Some(text), "{shown}");
    }
}

#[test]
fn numbers_are_shown_as_numbers() {
    let place = Place::new("");
    let shown_as = |typed: &str| {
        let line = format!("pomona fit f --out o --components={typed} --show-settings");
        let shown = show(&place.parse(&line).unwrap());
        let line = shown.lines().find(|line| line.starts_with("components"));
        let value = line.unwrap().split("  #").next().unwrap();
        value.trim_start_matches("components = ").to_owned()
    };
    for number in [
        "0",
        "-1",
        "0.95",
        "1e-4",
        "1.5E+3",
        "-0.0",
        "9223372036854775807",
    ] {
        assert_eq!(shown_as(number), number);
    }
    for text in [
        "+5",
        "007",
        ".5",
        "5.",
        "inf",
        "NaN",
        "9223372036854775808",
        "1e999",
    ] {
        assert_eq!(shown_as(text), format!("\"{text}\""));
    }
}

#[test]
fn names_stay_text_whatever_their_characters() {
    let line = "pomona run 7 --out 5 --report-to 1 --show-settings";
    let shown = show(&Place::new("").parse(line).unwrap());
    for expected in ["photos = \"7\" ", "out = \"5\" ", "report-to = \"1\" "] {
        assert!(shown.contains(expected), "{shown}");
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_text_is_a_comment() {
    use std::os::unix::ffi::OsStringExt;

    let mut line = words("pomona run p --show-settings --out");
    line.push(OsString::from_vec(b"o\xff".to_vec()));
    let place = Place::new("");
    let shown = show(&place.parse_with(line, None).unwrap());
    assert!(shown.contains("\n# out = … "), "{shown}");
}
