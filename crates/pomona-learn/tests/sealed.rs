//! A sealed file comes back as it was written, or not at all.

use std::collections::BTreeMap;

use pomona_learn::{SEALED_VERSION, SealedError, SealedFile, Section};
use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn example() -> SealedFile {
    let mut file = SealedFile::new(json!({"backbone": {"name": "example", "scale": 0.1}}));
    let mut put = |name: &str, section| file.sections.insert(name.to_owned(), section);
    put("doubles", Section::F64(vec![0.1, -2.5, f64::MIN_POSITIVE]));
    put("singles", Section::F32(vec![1.5; 9]));
    put("empty", Section::Bytes(Vec::new()));
    put("text", Section::Bytes(b"seeds".to_vec()));
    file
}

/// Seals anew after a change, so that reading goes on past the seal.
fn reseal(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.len() - 32);
    let seal = Sha256::digest(&bytes);
    bytes.extend_from_slice(&seal);
    bytes
}

/// A file whose header is this text.
fn with_header(header: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("POMONA MODEL 1\nheader_bytes {}\n{header}", header.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes.extend_from_slice(&[0; 32]);
    reseal(bytes)
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn sections() -> impl Strategy<Value = Section> {
    let finite = prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL;
    prop_oneof![
        prop::collection::vec(finite, 0..40).prop_map(Section::F64),
        prop::collection::vec(-1e30_f32..1e30, 0..40).prop_map(Section::F32),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Section::Bytes),
    ]
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        header in json_values(),
        sections in prop::collection::btree_map(".{0,20}", sections(), 0..6),
    ) {
        let file = SealedFile { version: SEALED_VERSION, header, sections };
        let bytes = file.to_bytes().unwrap();
        prop_assert_eq!(&SealedFile::from_bytes(&bytes).unwrap(), &file);
        prop_assert_eq!(file.to_bytes().unwrap(), bytes);
    }

    #[test]
    fn any_changed_byte_is_noticed(at in any::<prop::sample::Index>(), change in 1_u8..) {
        let mut bytes = example().to_bytes().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        prop_assert!(SealedFile::from_bytes(&bytes).is_err());
    }

    /// With a seal that holds, the parser itself meets the damage.
    #[test]
    fn damage_under_a_good_seal_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = example().to_bytes().unwrap();
        for (at, byte) in changes {
            // The readable part is where lengths and types stand.
            let at = at.index(bytes.len().min(700));
            bytes[at] = byte;
        }
        if let Ok(file) = SealedFile::from_bytes(&reseal(bytes.clone())) {
            prop_assert!(file.version <= SEALED_VERSION);
        }
        bytes.truncate(32 + cut.index(bytes.len() - 32));
        if let Ok(file) = SealedFile::from_bytes(&reseal(bytes)) {
            prop_assert!(file.version <= SEALED_VERSION);
        }
    }

    #[test]
    fn garbage_never_panics(tail in prop::collection::vec(any::<u8>(), 0..200), start in 0_usize..4) {
        let starts: [&[u8]; 4] = [b"", b"POMONA MODEL ", b"POMONA MODEL 1\n", b"POMONA MODEL 1\nheader_bytes "];
        let bytes = [starts[start], &tail].concat();
        prop_assert!(SealedFile::from_bytes(&bytes).is_err());
    }
}

#[test]
fn the_head_of_the_file_is_for_reading() {
    let bytes = example().to_bytes().unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("POMONA MODEL 1"));
    assert!(lines.next().unwrap().starts_with("header_bytes "));
    assert_eq!(lines.next(), Some("{"));
    assert_eq!(lines.next(), Some("  \"model\": {"));
    assert!(text.contains("\n      \"name\": \"example\","), "{text}");
    assert!(text.contains(
        "\n      \"name\": \"doubles\",\n      \"type\": \"f64\",\n      \"values\": 3\n"
    ));
}

#[test]
fn a_file_cut_short_anywhere_is_said_to_be_cut_short() {
    let bytes = example().to_bytes().unwrap();
    for length in 1..bytes.len() {
        let error = SealedFile::from_bytes(&bytes[..length]).unwrap_err();
        let SealedError::Truncated { found, expected } = error else {
            panic!("{length} bytes: {error}");
        };
        assert_eq!(found, length as u64);
        assert!(
            expected > found && expected <= bytes.len() as u64,
            "{length}: {expected}"
        );
    }
}

#[test]
fn other_files_are_not_models() {
    for bytes in [
        b"".as_slice(),
        b"PAR1\x15\x04",
        b"POMONA JAM",
        b"POMONA MODEL x\n",
        b"POMONA MODEL 0\n",
    ] {
        let error = SealedFile::from_bytes(bytes).unwrap_err();
        assert!(matches!(error, SealedError::NotAModel), "{error}");
    }
}

#[test]
fn a_newer_version_says_which_one_it_needs() {
    let bytes = b"POMONA MODEL 7\nwhatever comes then";
    let error = SealedFile::from_bytes(bytes).unwrap_err();
    assert!(matches!(
        error,
        SealedError::NewerVersion {
            found: 7,
            supported: SEALED_VERSION
        }
    ));
    assert!(error.to_string().contains("version 7"), "{error}");
}

#[test]
fn changed_content_breaks_the_seal() {
    let mut bytes = example().to_bytes().unwrap();
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    let error = SealedFile::from_bytes(&bytes).unwrap_err();
    assert!(matches!(error, SealedError::SealBroken), "{error}");
    let mut longer = example().to_bytes().unwrap();
    longer.push(b'\n');
    let error = SealedFile::from_bytes(&longer).unwrap_err();
    assert!(matches!(error, SealedError::SealBroken), "{error}");
}

#[test]
fn headers_that_claim_the_impossible_are_refused() {
    let entry =
        |name: &str, values: u64| format!(r#"{{"name":"{name}","type":"f64","values":{values}}}"#);
    let header = |entries: &str| format!(r#"{{"model":1,"sections":[{entries}]}}"#);
    assert!(SealedFile::from_bytes(&with_header(&header(&entry("a", 1)), &[0; 8])).is_ok());
    for (text, body) in [
        (header(&entry("a", u64::MAX)), 8),
        (header(&entry("a", 1 << 60)), 8),
        (header(&entry("a", 2)), 8),
        (header(&entry("a", 0)), 8),
        (header(&format!("{},{}", entry("a", 1), entry("a", 1))), 16),
        (header(&entry(&"a".repeat(300), 1)), 8),
        (header(&vec![entry("a", 0); 5_000].join(",")), 0),
        (r#"{"model":1}"#.to_owned(), 0),
        ("[".repeat(1_000_000), 0),
        (String::new(), 0),
    ] {
        let error = SealedFile::from_bytes(&with_header(&text, &vec![0; body])).unwrap_err();
        let told = matches!(
            error,
            SealedError::BrokenHeader { .. } | SealedError::TooLarge { .. }
        );
        assert!(told, "{error}");
    }
    let error = SealedFile::from_bytes(b"POMONA MODEL 1\nheader_bytes 4294967295\n{}").unwrap_err();
    assert!(matches!(error, SealedError::TooLarge { .. }), "{error}");
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    let named = |name: String| BTreeMap::from([(name, Section::Bytes(Vec::new()))]);
    for file in [
        SealedFile::new(deep),
        SealedFile::new(json!("x".repeat(17 << 20))),
        SealedFile {
            version: 0,
            ..example()
        },
        SealedFile {
            version: SEALED_VERSION + 1,
            ..example()
        },
        SealedFile {
            sections: named("x".repeat(257)),
            ..example()
        },
    ] {
        assert!(file.to_bytes().is_err());
    }
}
