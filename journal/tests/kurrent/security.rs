//! TLS and logins: what is let in, and what whoever is not let in is told.

use std::path::{Path, PathBuf};

use journal::kurrent::{Importer, KurrentJournal, OpenError, Options};
use journal::{Expected, Filter, Journal, Position};
use testkit::kurrent::{Authority, KurrentCluster, KurrentDouble, Security};

use super::holds_exactly;
use crate::backend::KurrentNode;
use crate::sample::{agent, append, part, parts, remembered};

/// A double that wants TLS and a login, and a folder with what its clients need.
struct Fortress {
    double: KurrentDouble,
    folder: tempfile::TempDir,
}

impl Fortress {
    /// Its certificate is for these names.
    async fn build(names: &[&str]) -> Self {
        let authority = Authority::new("The cluster's authority");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.crt"), authority.certificate()).unwrap();
        let double = KurrentDouble::start_secured(security(&authority, names)).await;
        Self { double, folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A connection string with a login and further parameters.
    fn url(&self, login: &str, parameters: &str) -> String {
        format!("kurrentdb://{login}{}?maxDiscoverAttempts=2{parameters}", self.double.address())
    }

    fn trusting(&self, login: &str) -> String {
        self.url(login, &trusted(&self.file("ca.crt")))
    }
}

fn security(authority: &Authority, names: &[&str]) -> Security {
    let login = Some(("admin".to_owned(), "right h#rse".to_owned()));
    Security { identity: Some(authority.certify(names)), login, ..Security::default() }
}

fn trusted(file: &Path) -> String {
    format!("&tls=true&tlsCaFile={}", file.display())
}

/// What is said when it cannot be opened; without the password, whatever it was.
async fn refusal(url: &str) -> String {
    let options = Options::from_url(url).unwrap();
    let error = KurrentJournal::open(options.clone()).await.map(drop).unwrap_err();
    // An import is told the same.
    let import = Importer::open(options).await.map(drop).unwrap_err();
    assert_eq!(std::mem::discriminant(&error), std::mem::discriminant(&import), "{error} {import}");
    let mut said = error.to_string();
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(&error);
    while let Some(inner) = source {
        said = format!("{said}: {inner}");
        source = inner.source();
    }
    assert!(!said.contains("rse@") && !said.contains("h#rse") && !said.contains("%20"), "{said}");
    said
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_and_with_a_login_everything_works() {
    let fortress = Fortress::build(&["127.0.0.1", "localhost"]).await;
    let address = fortress.double.address();
    let by_name = format!("localhost:{}", address.port());
    let url = fortress.trusting("admin:right%20h%23rse@");
    for url in [url.clone(), url.replace(&address.to_string(), &by_name)] {
        let node = KurrentNode::open(&url).await;
        let mut subscription = node.journal.subscribe(Position::START, Filter::default());
        let wish = remembered(parts(vec![
            part(agent(), Expected::NoStream, &["a", "b"]),
            part(agent(), Expected::NoStream, &["c"]),
        ]));
        let done = node.journal.append(wish.clone()).await.unwrap();
        assert_eq!(node.journal.append(wish).await.unwrap().position, done.position);
        while subscription.position() < done.position {
            subscription.next().await.unwrap();
        }
        node.stop().await;
    }
    let node = KurrentNode::open(&url).await;
    holds_exactly(&node.journal, ["a", "b", "c"].repeat(2).into_iter().map(str::to_owned).collect()).await;
    node.stop().await;
    // Whoever does not look at certificates gets in as well, which is what was asked for.
    let node = KurrentNode::open(&fortress.url("admin:right%20h%23rse@", "&tls=true&tlsVerifyCert=false")).await;
    node.journal.append(append(agent(), Expected::NoStream, &["unverified"])).await.unwrap();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_authority_is_named() {
    let fortress = Fortress::build(&["127.0.0.1"]).await;
    let other = fortress.file("other.crt");
    std::fs::write(&other, Authority::new("Somebody else").certificate()).unwrap();
    let said = refusal(&fortress.url("admin:right%20h%23rse@", &trusted(&other))).await;
    let node = fortress.double.address().to_string();
    assert!(
        said.contains(&node) && said.contains("not issued by an authority in") && said.contains("other.crt"),
        "{said}"
    );
    // Nor is it one that the system trusts.
    let said = refusal(&fortress.url("admin:right%20h%23rse@", "&tls=true")).await;
    assert!(said.contains("this system trusts") && said.contains("tlsCaFile"), "{said}");
    assert!(fortress.double.store().events().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_named() {
    let fortress = Fortress::build(&["kurrentdb.example"]).await;
    let said = refusal(&fortress.trusting("admin:right%20h%23rse@")).await;
    assert!(said.contains("its certificate is not for the name `127.0.0.1`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_password_and_a_missing_one_are_told_apart() {
    let fortress = Fortress::build(&["127.0.0.1"]).await;
    for login in ["admin:wrong%20h%23rse@", "somebody:right%20h%23rse@"] {
        let said = refusal(&fortress.trusting(login)).await;
        assert!(said.contains("the user or the password is wrong"), "{said}");
    }
    let said = refusal(&fortress.trusting("")).await;
    assert!(said.contains("kurrentdb://user:password@"), "{said}");
    assert!(fortress.double.store().events().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_node_of_a_cluster_is_looked_at() {
    // A client that knows several nodes says only that it has tried.
    let authority = Authority::new("The cluster's authority");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ca.crt");
    std::fs::write(&file, authority.certificate()).unwrap();
    let mut cluster = KurrentCluster::start(3, security(&authority, &["127.0.0.1"])).await;
    cluster.kill(2).await;
    let url = cluster.url("admin:wrong%20h%23rse@") + "&maxDiscoverAttempts=2&tlsCaFile=" + &file.display().to_string();
    let said = refusal(&url).await;
    assert_eq!(said.matches("the user or the password is wrong").count(), 2, "{said}");
    let dead = format!("{}: cannot be reached", cluster.node(2).address());
    assert!(said.contains(&dead), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_on_one_side_only_is_named() {
    let (fortress, open) = (Fortress::build(&["127.0.0.1"]).await, KurrentDouble::start().await);
    let secured = format!("kurrentdb://{}?maxDiscoverAttempts=2{}", open.address(), trusted(&fortress.file("ca.crt")));
    let said = refusal(&secured).await;
    assert!(said.contains("`tls=false`"), "{said}");
    let said = refusal(&fortress.url("admin:right%20h%23rse@", "&tls=false")).await;
    assert!(said.contains("`tls=true`"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_the_clients_own_is_shown_and_one_that_is_missing_or_foreign_is_named() {
    let (cluster, company) = (Authority::new("The cluster's authority"), Authority::new("The company's authority"));
    let folder = tempfile::tempdir().unwrap();
    let mut files = std::collections::BTreeMap::new();
    let own = company.certify(&["ada"]);
    let foreign = Authority::new("Somebody else").certify(&["ada"]);
    for (name, text) in [
        ("ca.crt", cluster.certificate()),
        ("own.crt", &own.certificate),
        ("own.key", &own.key),
        ("foreign.crt", &foreign.certificate),
        ("foreign.key", &foreign.key),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
        files.insert(name, folder.path().join(name).display().to_string());
    }
    let secured = Security { clients: Some(company.certificate().to_owned()), ..security(&cluster, &["127.0.0.1"]) };
    let double = KurrentDouble::start_secured(secured).await;
    let url = |more: &str| {
        let address = double.address();
        let trusted = format!("tls=true&tlsCaFile={}", files["ca.crt"]);
        format!("kurrentdb://admin:right%20h%23rse@{address}?maxDiscoverAttempts=2&{trusted}{more}")
    };
    let shown = |who: &str| {
        let (certificate, key) = (&files[&*format!("{who}.crt")], &files[&*format!("{who}.key")]);
        format!("&userCertFile={certificate}&userKeyFile={key}")
    };
    let node = KurrentNode::open(&url(&shown("own"))).await;
    let mut subscription = node.journal.subscribe(Position::START, Filter::default());
    node.journal.append(append(agent(), Expected::NoStream, &["certified"])).await.unwrap();
    assert_eq!(subscription.next().await.unwrap().events.len(), 1);
    holds_exactly(&node.journal, vec!["certified".to_owned()]).await;
    node.stop().await;
    let said = refusal(&url("")).await;
    assert!(said.contains("userCertFile"), "{said}");
    let said = refusal(&url(&shown("foreign"))).await;
    assert!(said.contains("userCertFile"), "{said}");
    // A key without its certificate would be passed over by the client.
    for half in ["&userKeyFile=/own.key", "&userCertFile=/own.crt"] {
        match Options::from_url(&url(half)).unwrap_err() {
            OpenError::Url(what) => assert!(what.contains("userKeyFile") && what.contains("userCertFile"), "{what}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn files_that_hold_no_certificates_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (missing, empty, damaged) =
        (folder.path().join("missing.crt"), folder.path().join("empty.crt"), folder.path().join("damaged.crt"));
    std::fs::write(&empty, "no certificate\n").unwrap();
    std::fs::write(&damaged, "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n").unwrap();
    for file in [missing, empty, damaged] {
        let options = Options::from_url(&format!("kurrentdb://127.0.0.1:9?{}", &trusted(&file)[1..])).unwrap();
        match KurrentJournal::open(options).await.map(drop).unwrap_err() {
            OpenError::Certificates { file: named, what } => assert!(named == file && !what.is_empty(), "{what}"),
            other => panic!("{other}"),
        }
    }
}
