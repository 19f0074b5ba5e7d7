//! Servers that show certificates of a test's own, and clients that trust them or do not.
//!
//! Whom to trust is read from the environment, which a test cannot change for itself: each client is the test once more,
//! in a process of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use crate::{ports::Port, wait::PATIENCE};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

/// What a client is to do, and at which URL.
const CLIENT: &str = "TASKQ_TEST_TLS_CLIENT";
const URL: &str = "TASKQ_TEST_TLS_URL";
/// The variable that says whom to trust.
pub const TRUSTED: &str = "SSL_CERT_FILE";

/// Who certifies servers.
pub struct Authority {
    directory: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

/// What a server shows, in files of PEM.
#[derive(Debug)]
pub struct Certified {
    /// Who it is.
    pub certificate: PathBuf,
    /// Its proof.
    pub key: PathBuf,
}

impl Authority {
    /// An authority that nobody else trusts.
    #[expect(clippy::new_without_default, reason = "no two are equal")]
    pub fn new() -> Authority {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // Two authorities of one name would be taken for one whose signature is wrong.
        let name = directory.path().to_string_lossy().into_owned();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        fs::write(directory.path().join("authority.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { directory, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate: whoever trusts it trusts what it certifies.
    pub fn file(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// A certificate for a server of this name.
    pub fn certify(&self, host: &str) -> Certified {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let files = Certified { certificate: self.path("server.pem"), key: self.path("server.key") };
        fs::write(&files.certificate, certificate.pem()).unwrap();
        fs::write(&files.key, key.serialize_pem()).unwrap();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority").field("file", &self.file()).finish_non_exhaustive()
    }
}

/// A server with a certificate for `localhost`, and a cast of clients.
#[derive(Debug)]
pub struct Scene {
    known: Authority,
    stranger: Authority,
    port: Port,
}

impl Scene {
    /// A scene whose server is still to be started.
    #[expect(clippy::new_without_default, reason = "no two are equal")]
    pub fn new() -> Scene {
        Scene { known: Authority::new(), stranger: Authority::new(), port: Port::free().unwrap() }
    }

    /// Where the server listens for those who speak TLS, besides the port that it has anyway.
    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// Who certifies the server.
    pub fn authority(&self) -> &Authority {
        &self.known
    }

    /// Clients of the server that is at this URL without TLS, each the test of this name in a process of its own: one that
    /// `trusts`, and then all those that do not, or do so late, or are wrong in another way.
    ///
    /// # Panics
    /// One of them fails, or does not end.
    pub async fn play(&self, test: &str, plain: &str) {
        let (scheme, rest) = plain.split_once("://").unwrap();
        let (user, host) = rest.rsplit_once('@').map_or(("", rest), |(user, _)| rest.split_at(user.len() + 1));
        let path = host.find('/').map_or("", |at| &host[at..]);
        let url = |scheme: &str, host: &str| format!("{scheme}://{user}{host}:{}{path}", self.port());
        let secure = format!("{scheme}s");
        let (right, known, unknown) = (url(&secure, "localhost"), self.known.file(), self.stranger.file());
        let (number, open) = (url(&secure, "127.0.0.1"), url(scheme, "localhost"));
        let elsewhere = format!("{secure}://{rest}");
        let late = known.with_extension("late");
        fs::copy(&unknown, &late).unwrap();
        Role::play(test, "trusts", &right, &known).await;
        tokio::join!(
            Role::play(test, "does_not_know_the_authority", &right, &unknown),
            Role::play(test, "learns_of_the_authority_later", &right, &late),
            Role::play(test, "finds_no_authority", &right, Path::new("/no/such/authority.pem")),
            Role::play(test, "finds_another_name", &number, &known),
            Role::play(test, "speaks_without_tls", &open, &known),
            Role::play(test, "is_answered_without_tls", &elsewhere, &known),
        );
    }
}

/// A client's part in a test.
#[derive(Debug)]
pub struct Role {
    /// What it is to do.
    pub client: String,
    /// Where.
    pub url: String,
}

impl Role {
    /// The part that this process has to play, if it is a client.
    pub fn of_this_process() -> Option<Role> {
        Some(Role { client: env::var(CLIENT).ok()?, url: env::var(URL).ok()? })
    }

    /// The authority that `learns_of_the_authority_later` did not trust is replaced by the one that it should have.
    ///
    /// # Panics
    /// This process is no such client.
    pub fn learn() {
        let trusted = env::var(TRUSTED).unwrap();
        fs::copy(Path::new(&trusted).with_extension("pem"), &trusted).unwrap();
    }

    /// A client that trusts this authority alone.
    async fn play(test: &str, client: &str, url: &str, trusted: &Path) {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", test, "--nocapture"]).kill_on_drop(true);
        command.env(CLIENT, client).env(URL, url).env(TRUSTED, trusted).env_remove("SSL_CERT_DIR");
        let output = timeout(PATIENCE, command.output()).await;
        let output = output.unwrap_or_else(|_| panic!("the client that {client} did not end")).unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        assert!(output.status.success(), "the client that {client}: {}", said.concat());
    }
}
