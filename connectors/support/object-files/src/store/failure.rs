//! What failed in a store, as one of the six kinds.
//!
//! The words of a store's answer are never shown: they repeat the signed request, and addresses can carry signatures. What is taken
//! out of them is the HTTP status and the code of the error, which all stores write as `<Code>…</Code>`.

use crate::location::{Bucket, Location, Service};
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error as StdError;
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use unbatch_api::Error;

/// Codes that say that the key itself is wrong, and not that a right is missing. The last one is versitygw's, with 404.
const NOT_KNOWN: [&str; 17] = [
    "AccessDeniedForInvalidKey",
    "AuthenticationFailed",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidAuthenticationInfo",
    "InvalidClientTokenId",
    "InvalidIdentityToken",
    "InvalidSecurity",
    "InvalidToken",
    "NotSignedUp",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnrecognizedClientException",
    "XAdminUserNotFound",
];
const NO_BUCKET: [&str; 4] = ["NoSuchBucket", "ContainerNotFound", "InvalidBucketName", "AccountNotFound"];
/// Parts of the names of hosts that are asked for credentials, and not for files.
const GIVES_CREDENTIALS: [&str; 7] = [
    "169.254.169.254",
    "169.254.170.",
    "fd00:ec2",
    "metadata.google.internal",
    "sts.",
    "login.microsoftonline",
    "oauth2.googleapis.com",
];
/// Codes and answers that pass by themselves, beside 429 and 5xx.
const BUSY: [&str; 6] =
    ["SlowDown", "InternalError", "RequestTimeout", "ServerBusy", "OperationTimedOut", "Throttling"];

/// What was asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    List,
    Look,
    Read,
    Write,
    Copy,
    Delete,
}

/// What the store said, as far as it may be shown.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    status: Option<u16>,
    code: Option<String>,
    region: Option<String>,
    network: Option<(HttpErrorKind, String)>,
    hint: Hint,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Hint {
    #[default]
    None,
    /// Asking for credentials failed, and not the request itself.
    Credentials,
    Redirected,
    Certificate,
    Path,
    /// The whole object came where a part was asked for.
    Whole,
}

impl Doing {
    fn attempted(self) -> &'static str {
        match self {
            Doing::List => "listing a folder of a store failed",
            Doing::Look => "looking at a file in a store failed",
            Doing::Read => "reading a file from a store failed",
            Doing::Write => "writing a file into a store failed",
            Doing::Copy => "copying a file inside a store failed",
            Doing::Delete => "deleting a file from a store failed",
        }
    }
}

/// The right that a request needs, as the store's own policies name it.
pub fn missing_right(service: Service, doing: Doing) -> &'static str {
    match (service, doing) {
        (Service::S3, Doing::List) => "s3:ListBucket on the bucket",
        (Service::S3, Doing::Look | Doing::Read) => {
            "s3:GetObject on the objects (or s3:ListBucket: without it a missing object looks like a forbidden one)"
        }
        (Service::S3, Doing::Write) => "s3:PutObject on the objects",
        (Service::S3, Doing::Copy) => "s3:GetObject on the objects that are read and s3:PutObject where they go",
        (Service::S3, Doing::Delete) => "s3:DeleteObject on the objects",
        (Service::Gcs, Doing::List) => "storage.objects.list on the bucket",
        (Service::Gcs, Doing::Look | Doing::Read) => "storage.objects.get on the objects",
        (Service::Gcs, Doing::Write) => "storage.objects.create on the bucket",
        (Service::Gcs, Doing::Copy) => "storage.objects.get and storage.objects.create on the bucket",
        (Service::Gcs, Doing::Delete) => "storage.objects.delete on the objects",
        (Service::Azure, Doing::List | Doing::Look | Doing::Read) => {
            "the role Storage Blob Data Reader on the container"
        }
        (Service::Azure, Doing::Write | Doing::Copy | Doing::Delete) => {
            "the role Storage Blob Data Contributor on the container"
        }
    }
}

/// Whether an error says that a file is not the one any more that was seen.
pub fn is_changed(error: &Error) -> bool {
    error.code_text() == Some("U0222")
}

/// What has the name of a file that is not the one any more that was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Now {
    Gone,
    /// With so many bytes.
    Bytes(u64),
    /// The store only says that it is another one, or none.
    Another,
}

/// The file is not the one that was seen.
pub(crate) fn changed(file: &dyn fmt::Display, size_before: u64, now: Now) -> Error {
    let now = match now {
        Now::Gone => "gone".to_owned(),
        Now::Bytes(bytes) => bytes.to_string(),
        Now::Another => "of another one, if any".to_owned(),
    };
    Error::lost("reading a file failed: it was changed or replaced after it was found")
        .code("U0222")
        .with("file", file)
        .with("size_before", size_before)
        .with("size_now", now)
        .help(
            "nothing of the change was committed; deliver files complete and under names of their own. To go on see `unbatch offsets get` \
             and set the file to `again` (read it as a new one) or `done` (give up the rest)",
        )
}

/// Permission is the operator's to give; everything else may pass.
pub fn local_error(attempted: &str, path: &Path, cause: std::io::Error) -> Error {
    let error = match cause.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::misconfigured(attempted)
            .code("U0221")
            .help("give the worker's user the right to read it, and to write the folder unless `after: keep`"),
        _ => Error::transient(attempted).code("U0220"),
    };
    error.with("path", path.display()).caused_by(cause)
}

/// The error of a call that did not end in time.
pub(crate) fn too_slow(doing: Doing, bucket: &Bucket, name: &str, after: std::time::Duration) -> Error {
    let error = Error::transient(doing.attempted()).code("U0312").caused_by(format!("no answer within {after:?}"));
    placed(error, bucket, name)
}

/// The error of a request.
pub(crate) fn store_error(doing: Doing, bucket: &Bucket, name: &str, error: &object_store::Error) -> Error {
    let answer = Answer::of(error);
    let attempted = doing.attempted();
    let is_one_of = |codes: &[&str]| answer.code.as_deref().is_some_and(|code| codes.contains(&code));
    let error = match answer.status {
        _ if answer.hint == Hint::Path => Error::misconfigured(format!("{attempted}: a key cannot be read"))
            .code("U0317")
            .with("key", path_of(error))
            .help("rename or remove that key; nothing of its page was skipped"),
        _ if answer.hint == Hint::Credentials => credentials(attempted, answer.network.is_some()),
        _ if answer.hint == Hint::Certificate => Error::misconfigured(attempted)
            .code("U0311")
            .help("the endpoint's certificate is not trusted here: use its right name, and install the authority that signed it"),
        _ if answer.hint == Hint::Whole => Error::misconfigured(format!("{attempted}: the store sends all of it and not a part"))
            .code("U0318")
            .help(
                "Google Cloud Storage unpacks objects whose metadata says `Content-Encoding: gzip`: take that entry away, or set \
                 `Cache-Control: no-transform` beside it",
            ),
        _ if answer.hint == Hint::Redirected => wrong_region(attempted, &answer),
        _ if is_one_of(&BUSY) => Error::transient(attempted).code("U0312"),
        _ if is_one_of(&NO_BUCKET) => no_bucket(attempted, bucket),
        _ if is_one_of(&["AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"]) => {
            wrong_region(attempted, &answer)
        }
        Some(401) => credentials(attempted, false),
        _ if is_one_of(&NOT_KNOWN) => credentials(attempted, false),
        Some(403) => Error::misconfigured(format!("{attempted}: a right is missing"))
            .code("U0314")
            .with("right", missing_right(bucket.service, doing))
            .help("grant the right that the message names to the user or role of the worker"),
        Some(404) if doing == Doing::List => no_bucket(attempted, bucket),
        Some(501) => Error::misconfigured(format!("{attempted}: the store does not have this request")).code("U0319"),
        Some(408 | 429 | 500..=599) | None => Error::transient(attempted).code("U0312"),
        Some(_) => Error::misconfigured(format!("{attempted}: the store refuses the request")).code("U0318"),
    };
    placed(error, bucket, name).caused_by(answer.to_string())
}

fn placed(error: Error, bucket: &Bucket, name: &str) -> Error {
    let error = error.with("store", Location::Bucket(bucket.clone()));
    if name.is_empty() { error } else { error.with("file", name) }
}

fn credentials(attempted: &str, may_pass: bool) -> Error {
    let message = format!("{attempted}: the credentials are not accepted");
    // whoever hands out credentials to a pod may be late at its start
    let error = if may_pass { Error::transient(message) } else { Error::misconfigured(message) };
    error.code("U0313").help(
        "check the keys of the store, whether they have run out, and the clock of this machine; without keys in the configuration \
         those of the environment, the pod or the machine count",
    )
}

fn no_bucket(attempted: &str, bucket: &Bucket) -> Error {
    let word = if bucket.service == Service::Azure { "container" } else { "bucket" };
    Error::misconfigured(format!("{attempted}: there is no such {word}"))
        .code("U0315")
        .with(word, &bucket.name)
        .help("check `url`, region and endpoint, or make it")
}

fn wrong_region(attempted: &str, answer: &Answer) -> Error {
    let error = Error::misconfigured(format!("{attempted}: the bucket is in another region")).code("U0311");
    match &answer.region {
        Some(region) => error.help(format!("set `region: {region}`")),
        None => error.help("set `region` to the one of the bucket"),
    }
}

fn path_of(error: &object_store::Error) -> String {
    match error {
        object_store::Error::InvalidPath { source } => source.to_string(),
        _ => String::new(),
    }
}

impl Answer {
    /// Whether the bucket itself is missing.
    pub fn is_no_bucket(&self) -> bool {
        self.code.as_deref().is_some_and(|code| NO_BUCKET.contains(&code))
    }

    pub fn of(error: &object_store::Error) -> Self {
        let mut answer = Answer::default();
        if matches!(error, object_store::Error::InvalidPath { .. }) {
            answer.hint = Hint::Path;
        }
        let mut link: Option<&(dyn StdError + 'static)> = Some(error);
        let mut innermost = String::new();
        while let Some(cause) = link {
            let text = cause.to_string();
            answer.read(&text);
            if let Some(http) = cause.downcast_ref::<HttpError>() {
                answer.network = Some((http.kind(), String::new()));
            }
            innermost = text;
            link = cause.source();
        }
        if let Some((_, words)) = &mut answer.network {
            // a message of the operating system or of TLS; an address would stand in an outer one
            *words = innermost;
            if words.contains("certificate") && answer.hint == Hint::None {
                answer.hint = Hint::Certificate;
            }
        }
        answer
    }

    fn read(&mut self, text: &str) {
        let status = between(text, "status code: ", " ").or_else(|| between(text, "status code: ", ":"));
        self.status = self.status.or(status.and_then(|digits| digits.get(..3)?.parse().ok()));
        let code = between(text, "<Code>", "</Code>").or_else(|| between(text, "\"error\":\"", "\""));
        let is_code = |code: &&str| code.len() < 80 && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        self.code = self.code.take().or(code.filter(is_code).map(str::to_owned));
        let region = between(text, "<Region>", "</Region>")
            .filter(|r| r.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        self.region = self.region.take().or(region.map(str::to_owned));
        if self.hint == Hint::None && text.starts_with("Error performing ") {
            let address = text.split(' ').nth(3).unwrap_or_default();
            let host =
                address.split("://").nth(1).and_then(|rest| rest.split(['/', ':', '?']).next()).unwrap_or_default();
            if GIVES_CREDENTIALS.iter().any(|part| host.contains(part)) {
                self.hint = Hint::Credentials;
            }
        }
        if self.hint == Hint::None && text.contains("redirect without LOCATION") {
            self.hint = Hint::Redirected;
        }
        if self.hint == Hint::None && text.contains("non-partial response") {
            self.hint = Hint::Whole;
        }
    }
}

/// What may be shown of it.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.status, &self.code, &self.network) {
            (Some(status), Some(code), _) => write!(f, "the store answered {status} {code}"),
            (Some(status), None, _) => write!(f, "the store answered {status}"),
            (None, _, Some((kind, words))) => write!(f, "{}: {words}", network_word(*kind)),
            (None, Some(code), None) => write!(f, "the store answered {code}"),
            (None, None, None) => f.write_str("the store's answer cannot be used"),
        }
    }
}

fn network_word(kind: HttpErrorKind) -> &'static str {
    match kind {
        HttpErrorKind::Connect => "no connection",
        HttpErrorKind::Timeout => "no answer in time",
        HttpErrorKind::Interrupted => "the connection was cut",
        HttpErrorKind::Decode => "the answer cannot be read",
        _ => "the request failed",
    }
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inside, _)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::Kind;

    /// An error as the client library makes it: each link repeats the next one.
    #[derive(Debug)]
    struct Link(String);

    impl fmt::Display for Link {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(&self.0)
        }
    }
    impl StdError for Link {}

    fn error_of(text: &str) -> object_store::Error {
        object_store::Error::Generic { store: "S3", source: Box::new(Link(text.into())) }
    }

    #[test]
    fn answers_are_told_apart_by_status_code_and_host() {
        let bucket = Bucket { service: Service::S3, name: "drops".into(), prefix: "in/".into() };
        let check = |doing: Doing, text: &str, kind: Kind, code: &str, words: &str| {
            let error = store_error(doing, &bucket, "a.csv", &error_of(text));
            let shown = format!("{error:?}");
            assert!(
                (error.kind(), error.code_text()) == (kind, Some(code)) && shown.contains(words),
                "{text}: {shown}"
            );
            assert!(!shown.contains("SECRET") && !shown.contains("http"), "{shown}");
        };
        let answer = |status: &str, code: &str| {
            format!(
                "Error performing GET https://s3.example.org/drops?sig=SECRET in 4ms - Server returned non-2xx status code: {status}: \
                 <Error><Code>{code}</Code><StringToSign>SECRET</StringToSign><Region>eu-west-1</Region></Error>"
            )
        };
        use Kind::{Misconfigured, Transient};
        check(Doing::Read, &answer("403 Forbidden", "AccessDenied"), Misconfigured, "U0314", "s3:GetObject");
        check(Doing::Delete, &answer("403 Forbidden", "AccessDenied"), Misconfigured, "U0314", "s3:DeleteObject");
        check(Doing::List, &answer("403 Forbidden", "ExpiredToken"), Misconfigured, "U0313", "403 ExpiredToken");
        check(Doing::List, &answer("404 Not Found", "NoSuchBucket"), Misconfigured, "U0315", "bucket drops");
        check(
            Doing::List,
            &answer("400 Bad Request", "AuthorizationHeaderMalformed"),
            Misconfigured,
            "U0311",
            "region: eu-west-1",
        );
        check(Doing::Read, &answer("400 Bad Request", "InvalidRequest"), Misconfigured, "U0318", "400 InvalidRequest");
        check(Doing::Read, &answer("503 Service Unavailable", "SlowDown"), Transient, "U0312", "503 SlowDown");
        check(Doing::Read, &answer("429 Too Many Requests", "x y"), Transient, "U0312", "answered 429");
        check(Doing::Write, &answer("501 Not Implemented", "NotImplemented"), Misconfigured, "U0319", "501");
        let redirect = "Received redirect without LOCATION, this normally indicates an incorrectly configured region";
        check(Doing::List, redirect, Misconfigured, "U0311", "another region");
        let whole = "Received non-partial response when range requested";
        check(Doing::Read, whole, Misconfigured, "U0318", "Content-Encoding: gzip");
        let metadata = "Error performing PUT http://169.254.169.254/latest/api/token in 9s - no";
        check(Doing::List, metadata, Misconfigured, "U0313", "those of the environment");
        let source = object_store::path::Path::parse("in//a.csv").unwrap_err();
        let odd = store_error(Doing::List, &bucket, "", &object_store::Error::InvalidPath { source });
        assert!(odd.code_text() == Some("U0317") && odd.one_line().contains("in//a.csv"), "{odd:?}");
        check(Doing::List, "something else with SECRET words", Transient, "U0312", "cannot be used");
    }
}
