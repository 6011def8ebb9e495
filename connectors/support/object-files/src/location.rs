//! From the text of a `url` to a folder or a place in an object store.

use std::fmt;
use std::path::{Component, Path, PathBuf};

/// Where files are kept, as configured.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// A folder of the file system: absolute, or relative to the pipeline file.
    Folder(PathBuf),
    /// A folder in an object store.
    Bucket(Bucket),
}

/// All keys of a bucket that begin with a prefix.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    pub service: Service,
    /// Name of the bucket, or of the container.
    pub name: String,
    /// Empty, or ends with a slash.
    pub prefix: String,
}

/// The kinds of object stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    S3,
    Gcs,
    Azure,
}

impl Service {
    /// As in URLs.
    pub fn scheme(self) -> &'static str {
        match self {
            Service::S3 => "s3",
            Service::Gcs => "gs",
            Service::Azure => "az",
        }
    }
}

impl Location {
    /// A path, a `file:` URL (`file:///drops/`, `file:../drops/`), `s3://bucket/folder/`, `gs://bucket/folder/` or
    /// `az://container/folder/`. Errors continue the name of the field and say what would work.
    pub fn parse(url: &str) -> Result<Self, String> {
        if url.trim().is_empty() {
            return Err("is empty; write a path or a file: URL".into());
        }
        let (scheme, rest) = match url.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) && (scheme == "file" || rest.starts_with("//")) => (scheme, rest),
            // `s3:bucket` and the like are mistyped, and no folders
            Some((scheme @ ("s3" | "gs" | "az"), _)) => {
                return Err(format!("has no `//`; write {scheme}://bucket/folder/"));
            }
            _ => return Ok(Location::Folder(PathBuf::from(url))),
        };
        let service = match scheme {
            "file" => return file_url(rest).map(Location::Folder),
            "s3" => Service::S3,
            "gs" => Service::Gcs,
            "az" => Service::Azure,
            other => {
                let instead = match other {
                    "s3a" | "s3n" => "write s3://bucket/folder/",
                    "gcs" => "write gs://bucket/folder/",
                    "azure" | "abfs" | "abfss" | "wasb" | "wasbs" => {
                        "write az://container/folder/, and name the account beside it"
                    }
                    _ => {
                        "folders (file:///drops/), s3://, gs:// and az:// are read; the address of a server goes into `endpoint`"
                    }
                };
                return Err(format!("`{other}:` is not read; {instead}"));
            }
        };
        bucket_url(service, rest.strip_prefix("//").unwrap_or(rest)).map(Location::Bucket)
    }

    /// With a relative folder starting at `base`.
    pub fn resolve(&self, base: &Path) -> Location {
        match self {
            Location::Folder(path) => Location::Folder(tidy(&base.join(path))),
            bucket => bucket.clone(),
        }
    }

    /// The folder, if it is one.
    pub fn as_folder(&self) -> Option<&Path> {
        match self {
            Location::Folder(path) => Some(path),
            Location::Bucket(_) => None,
        }
    }

    /// Whether two locations are the same by their text; links may make more of them equal.
    pub fn is_same_text(&self, other: &Location) -> bool {
        match (self, other) {
            (Location::Folder(one), Location::Folder(two)) => tidy(one) == tidy(two),
            (one, two) => one == two,
        }
    }
}

/// As it would be written in a configuration.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Folder(path) => path.display().fmt(f),
            Location::Bucket(Bucket { service, name, prefix }) => write!(f, "{}://{name}/{prefix}", service.scheme()),
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.len() > 1 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
}

fn bucket_url(service: Service, rest: &str) -> Result<Bucket, String> {
    let scheme = service.scheme();
    let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if name.is_empty() {
        return Err(format!("names no bucket; write {scheme}://bucket/folder/"));
    }
    if name.contains('@') {
        return Err("holds a user or password; credentials go into fields of their own".into());
    }
    if rest.contains(['?', '#']) {
        return Err("has options behind a `?` or `#`; they go into fields of their own".into());
    }
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._$".contains(&b)) {
        return Err(format!("names a bucket that cannot be; write {scheme}://bucket/folder/"));
    }
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
    if !prefix.is_empty() && !prefix.split('/').all(is_part) {
        return Err("has an empty part, `.` or `..` between its slashes".into());
    }
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    Ok(Bucket { service, name: name.to_owned(), prefix })
}

fn file_url(rest: &str) -> Result<PathBuf, String> {
    let path = match rest.strip_prefix("//") {
        None => rest,
        Some(host_and_path) => {
            let at = host_and_path.find('/').unwrap_or(host_and_path.len());
            let (host, path) = host_and_path.split_at(at);
            if !matches!(host, "" | "localhost") {
                return Err(format!(
                    "`{host}` is another machine; write file:///path, or file:path for a relative one"
                ));
            }
            path
        }
    };
    if path.is_empty() {
        return Err("has no path; write file:///drops/".into());
    }
    percent_decoded(path).map(PathBuf::from).ok_or_else(|| "has a wrong % sequence or is not UTF-8".into())
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// Without `.`, doubled and trailing slashes; `..` goes up where it can.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidied.components().next_back(), Some(Component::Normal(_))) => {
                tidied.pop();
            }
            other => tidied.push(other),
        }
    }
    tidied
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_file_urls() {
        let check = |url: &str, want: &str| {
            let location = Location::parse(url).unwrap().resolve(Path::new("/etc/jobs"));
            assert_eq!(location.as_folder(), Some(Path::new(want)), "{url}");
        };
        check("file:///drops/prices/", "/drops/prices");
        check("file://localhost/drops", "/drops");
        check("file:../drops/", "/etc/drops");
        check("../drops", "/etc/drops");
        check("/drops//a/./b", "/drops/a/b");
        check("file:///my%20drops", "/my drops");
        check("in:box", "/etc/jobs/in:box");
        check(".", "/etc/jobs");
        let same = |a, b| Location::parse(a).unwrap().is_same_text(&Location::parse(b).unwrap());
        assert!(same("file:///a/b/", "/a/./c/../b"));
        assert!(!same("/a/b", "/a/b/archive"));
    }

    #[test]
    fn buckets() {
        let check = |url: &str, service: Service, name: &str, prefix: &str| {
            let Location::Bucket(bucket) = Location::parse(url).unwrap() else { panic!("{url} is a folder") };
            assert_eq!(
                (bucket.service, bucket.name.as_str(), bucket.prefix.as_str()),
                (service, name, prefix),
                "{url}"
            );
        };
        check("s3://drops", Service::S3, "drops", "");
        check("s3://drops/", Service::S3, "drops", "");
        check("s3://my.drops/a%20b/c", Service::S3, "my.drops", "a%20b/c/");
        check("gs://drops/prices/", Service::Gcs, "drops", "prices/");
        check("az://$root/prices/", Service::Azure, "$root", "prices/");
        assert_eq!(Location::parse("s3://drops/a").unwrap().to_string(), "s3://drops/a/");
        let same = |a, b| Location::parse(a).unwrap().is_same_text(&Location::parse(b).unwrap());
        assert!(same("s3://drops/a", "s3://drops/a/"));
        assert!(!same("s3://drops/a", "gs://drops/a"));
    }

    #[test]
    fn what_cannot_be_says_what_would_work() {
        for (url, words) in [
            ("", "write a path"),
            ("https://host/x", "goes into `endpoint`"),
            ("sftp://host/x", "is not read"),
            ("s3a://bucket/x", "write s3://"),
            ("abfss://c@account.dfs.core.windows.net/x", "name the account beside it"),
            ("s3:bucket/x", "has no `//`"),
            ("s3:///x", "names no bucket"),
            ("s3://key:secret@bucket/x", "credentials go into fields"),
            ("s3://bucket/x?region=y", "go into fields"),
            ("s3://bucket/a//b", "empty part"),
            ("gs://bucket/../b", "empty part"),
            ("s3://bu cket/a", "cannot be"),
            ("file://server/share", "another machine"),
            ("file:///%zz", "% sequence"),
            ("file:", "has no path"),
        ] {
            let message = Location::parse(url).unwrap_err();
            assert!(message.contains(words), "{url}: {message}");
            assert!(!message.contains("secret"), "{message}");
        }
    }
}
