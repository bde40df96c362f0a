//! What clap can declare and the small command line does not.

use clap::{Arg, ArgAction, Command};
use serde_json::json;

use super::super::show;
use super::*;

fn command(arguments: impl IntoIterator<Item = Arg>) -> Command {
    Command::new("pomona").args(arguments).args([
        Arg::new("settings").long("settings").global(true),
        Arg::new("show_settings")
            .long("show-settings")
            .action(ArgAction::SetTrue),
    ])
}

fn parse(file: &str, command: Command, line: &str) -> Result<Parsed, SettingsError> {
    let place = Place::new(file);
    parse_in(command, words(line), None, place.folder.path())
}

fn value(parsed: &Parsed, id: &str) -> String {
    parsed.matches.get_one::<String>(id).unwrap().clone()
}

#[test]
fn places_that_are_numbered() {
    let numbered = command([
        Arg::new("second").index(2).required(true),
        Arg::new("first").index(1).required(true),
    ]);
    let parsed = parse("first = 'f'", numbered.clone(), "pomona typed").unwrap();
    assert_eq!(value(&parsed, "first"), "f");
    assert_eq!(value(&parsed, "second"), "typed");
    let parsed = parse("second = 's'", numbered, "pomona typed").unwrap();
    assert_eq!(value(&parsed, "first"), "typed");
    assert_eq!(value(&parsed, "second"), "s");
}

#[test]
fn an_argument_and_a_flag_of_one_name() {
    let twins = command([
        Arg::new("path"),
        Arg::new("other").long("other").alias("path"),
    ]);
    let parsed = parse("path = 'p'", twins, "pomona").unwrap();
    assert_eq!(value(&parsed, "other"), "p");
    assert_eq!(told_of(&parsed, "path")["source"], "unset");
}

#[test]
fn a_bad_variable_that_is_overruled_does_not_count() {
    let depth = Arg::new("depth")
        .long("depth")
        .env(SET_VARIABLE)
        .value_parser(clap::value_parser!(u16));
    let command = command([depth, Arg::new("width").long("width")]);
    let parsed = parse("width = 'w'", command, "pomona --depth 3").unwrap();
    assert_eq!(value(&parsed, "width"), "w");
}

#[test]
fn a_reason_does_not_repeat_a_secret() {
    let refuse = |text: &str| -> Result<String, String> { Err(format!("no such place: {text}")) };
    let place = Arg::new("place").long("place").value_parser(refuse);
    let told = |file: &str| {
        let error = parse(file, command([place.clone()]), "pomona")
            .err()
            .unwrap();
        error.to_string()
    };
    assert!(told("place = 'here'").ends_with("place = 'here': no such place: here"));
    assert!(told("place = 'https://me:hunter2@here'").ends_with("place = …: it is refused"));
}

#[test]
fn a_flag_that_says_no() {
    let colour = Arg::new("colour")
        .long("no-colour")
        .action(ArgAction::SetFalse);
    let command = command([colour]);
    for (file, given) in [("no-colour = true", true), ("no-colour = false", false)] {
        let parsed = parse(file, command.clone(), "pomona").unwrap();
        assert_eq!(parsed.matches.get_flag("colour"), !given);
        assert_eq!(
            told_of(&parsed, "no-colour"),
            json!({"value": given, "source": "file", "line": 1})
        );
    }
}

#[test]
fn an_argument_with_a_default() {
    let command = command([
        Arg::new("folder").default_value("here"),
        Arg::new("count").long("count").default_value("3"),
    ]);
    let parsed = parse("", command.clone(), "pomona --show-settings").unwrap();
    let shown = show(&parsed);
    assert!(shown.contains("\nfolder = \"here\"  # default"), "{shown}");
    assert!(shown.contains("\ncount = \"3\""), "{shown}");
    let parsed = parse("folder = 'there'", command, "pomona").unwrap();
    assert_eq!(value(&parsed, "folder"), "there");
}

#[test]
fn a_setting_of_one_command_that_asks_in_another() {
    let pack = Command::new("pack")
        .disable_version_flag(true)
        .arg(Arg::new("version").long("version"));
    let command = command([]).version("1").subcommand(pack);
    let file = "version = '2'";
    assert!(parse(file, command.clone(), "pomona").is_ok());
    let parsed = parse(file, command, "pomona pack").unwrap();
    let pack = parsed.matches.subcommand_matches("pack").unwrap();
    assert_eq!(pack.get_one::<String>("version").unwrap(), "2");
}

#[test]
fn a_flag_that_overrides_another() {
    let command = command([
        Arg::new("fast")
            .long("fast")
            .action(ArgAction::SetTrue)
            .overrides_with("careful"),
        Arg::new("careful")
            .long("careful")
            .action(ArgAction::SetTrue)
            .overrides_with("fast"),
    ]);
    let parsed = parse("careful = true", command.clone(), "pomona --fast").unwrap();
    assert!(parsed.matches.get_flag("fast"));
    assert!(!parsed.matches.get_flag("careful"));
    let parsed = parse("careful = true", command, "pomona").unwrap();
    assert!(parsed.matches.get_flag("careful"));
}
