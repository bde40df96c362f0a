//! Certificates are made once, fit, and tell what is wrong with them.

use std::fs;

use pomona_cluster::{ClusterError, Tls, TlsProblem, hosts_without_certificate, make_certificates};

fn hosts(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn a_host_is_added_later_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let made = make_certificates(folder.path(), &hosts(&["one", "10.0.0.2"]), 30).unwrap();
    assert_eq!(
        made,
        [folder.path().join("one"), folder.path().join("10.0.0.2")]
    );
    let authority = fs::read(folder.path().join("ca.pem")).unwrap();
    let key = fs::read(made[0].join("key.pem")).unwrap();

    let added = make_certificates(folder.path(), &hosts(&["*.workers.example"]), 30).unwrap();
    assert_eq!(added, [folder.path().join("any.workers.example")]);
    for path in made.iter().chain(&added) {
        assert_eq!(fs::read(path.join("ca.pem")).unwrap(), authority);
        assert!(!path.join("ca-key.pem").exists());
        assert!(Tls::load(path).unwrap().warnings().is_empty());
    }

    let again = make_certificates(folder.path(), &hosts(&["two", "one"]), 30);
    assert!(
        matches!(again, Err(ClusterError::Exists { .. })),
        "{again:?}"
    );
    assert_eq!(fs::read(made[0].join("key.pem")).unwrap(), key);
    assert!(!folder.path().join("two").exists(), "all or nothing");
    for bad in ["", "../up", "a b", "*", "a.*.b"] {
        let made = make_certificates(folder.path(), &hosts(&[bad]), 30);
        assert!(
            matches!(made, Err(ClusterError::Setting { .. })),
            "{bad}: {made:?}"
        );
    }
}

#[test]
fn hosts_that_have_a_certificate_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let wanted = hosts(&["one", "*.workers.example", "two"]);
    let without = || hosts_without_certificate(folder.path(), &wanted);
    assert_eq!(without().unwrap(), wanted);
    let made = make_certificates(folder.path(), &wanted[..2], 30).unwrap();
    assert_eq!(without().unwrap(), hosts(&["two"]));
    // What does not serve is not kept in silence.
    fs::write(made[1].join("cert.pem"), "").unwrap();
    assert!(matches!(without(), Err(ClusterError::Tls { .. })));
}

#[test]
fn the_file_and_its_trouble_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let made = make_certificates(folder.path(), &hosts(&["one", "two"]), 30).unwrap();
    let problem = |what: &str| match Tls::load(&made[0]) {
        Err(ClusterError::Tls { path, problem }) => {
            assert_eq!(path, made[0].join(what), "{problem}");
            problem
        }
        other => panic!("{other:?}"),
    };
    let own = |name: &str| made[0].join(name);
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        fs::write(to, fs::read(from).unwrap()).unwrap();
    };
    let keep = tempfile::tempdir().unwrap();
    for name in ["ca.pem", "cert.pem", "key.pem"] {
        copy(&own(name), &keep.path().join(name));
    }
    let restore = |name: &str| copy(&keep.path().join(name), &own(name));

    copy(&made[1].join("key.pem"), &own("key.pem"));
    assert!(matches!(problem("key.pem"), TlsProblem::OtherKey));
    fs::write(own("key.pem"), "nothing").unwrap();
    assert!(matches!(problem("key.pem"), TlsProblem::NoKey));
    restore("key.pem");

    fs::write(own("cert.pem"), "").unwrap();
    assert!(matches!(problem("cert.pem"), TlsProblem::NoCertificate));
    fs::remove_file(own("cert.pem")).unwrap();
    assert!(matches!(problem("cert.pem"), TlsProblem::Read(_)));
    restore("cert.pem");

    let elsewhere = tempfile::tempdir().unwrap();
    let other = make_certificates(elsewhere.path(), &hosts(&["one"]), 30).unwrap();
    copy(&other[0].join("ca.pem"), &own("ca.pem"));
    assert!(matches!(problem("cert.pem"), TlsProblem::OtherAuthority));
    restore("ca.pem");
    assert!(Tls::load(&made[0]).is_ok());
}

#[test]
fn a_certificate_has_its_time() {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

    let folder = tempfile::tempdir().unwrap();
    let made = make_certificates(folder.path(), &hosts(&["one"]), 0);
    assert!(
        matches!(made, Err(ClusterError::Setting { .. })),
        "{made:?}"
    );

    let load = |from, to| {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority_key = KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&authority_key).unwrap().pem();
        let mut params = CertificateParams::new(vec!["one".to_owned()]).unwrap();
        (params.not_before, params.not_after) = (from, to);
        let key = KeyPair::generate().unwrap();
        let pem = params
            .signed_by(&key, &Issuer::new(authority, authority_key))
            .unwrap()
            .pem();
        fs::write(folder.path().join("ca.pem"), authority_pem).unwrap();
        fs::write(folder.path().join("cert.pem"), pem).unwrap();
        fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let secret = PermissionsExt::from_mode(0o600);
            fs::set_permissions(folder.path().join("key.pem"), secret).unwrap();
        }
        match Tls::load(folder.path()) {
            Err(ClusterError::Tls { problem, .. }) => Some(problem),
            Ok(_) => None,
            Err(error) => panic!("{error}"),
        }
    };
    let (past, present, future) = (
        date_time_ymd(1990, 1, 1),
        date_time_ymd(2000, 1, 1),
        date_time_ymd(3000, 1, 1),
    );
    assert!(matches!(load(past, present), Some(TlsProblem::Expired)));
    assert!(matches!(
        load(future, date_time_ymd(3001, 1, 1)),
        Some(TlsProblem::NotYetValid)
    ));
    assert!(load(present, future).is_none());
}

#[cfg(unix)]
#[test]
fn a_key_for_everybody_is_refused_and_one_for_a_group_is_warned_about() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    let made = make_certificates(folder.path(), &hosts(&["one"]), 30).unwrap();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("ca-key.pem")), 0o600);
    let key = made[0].join("key.pem");
    assert_eq!(mode(&key), 0o600);

    fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
    assert_eq!(Tls::load(&made[0]).unwrap().warnings().len(), 1);
    fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).unwrap();
    let refused = Tls::load(&made[0]);
    assert!(matches!(
        refused,
        Err(ClusterError::Tls {
            problem: TlsProblem::KeyForEverybody { mode: 0o644 },
            ..
        })
    ));
    // Nothing of it can be printed.
    fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(format!("{:?}", Tls::load(&made[0]).unwrap()), "Tls");
}
