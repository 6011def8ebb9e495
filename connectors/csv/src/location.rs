//! From the text of a `url` to a folder.

use std::path::{Component, Path, PathBuf};

/// A folder as configured: absolute, or relative to the pipeline file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location(PathBuf);

impl Location {
    /// A path, a `file:` URL (`file:///drops/`, `file:../drops/`), nothing else yet. Errors say what would work.
    pub fn parse(url: &str) -> Result<Self, String> {
        if url.trim().is_empty() {
            return Err("is empty; write a path or a file: URL".into());
        }
        let path = match url.split_once(':') {
            Some(("file", rest)) => file_url(rest)?,
            Some((scheme, rest)) if rest.starts_with("//") || matches!(scheme, "s3" | "gs" | "az") => {
                return Err(format!(
                    "`{scheme}:` is not built in yet; folders of the file system are (file:///drops/)"
                ));
            }
            _ => PathBuf::from(url),
        };
        Ok(Self(path))
    }

    /// The folder, with a relative location starting at `base`.
    pub fn resolve(&self, base: &Path) -> PathBuf {
        tidy(&base.join(&self.0))
    }

    /// Whether two locations are the same by their text; links may make more of them equal.
    pub fn is_same_text(&self, other: &Location) -> bool {
        tidy(&self.0) == tidy(&other.0)
    }
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
            assert_eq!(Location::parse(url).unwrap().resolve(Path::new("/etc/jobs")), Path::new(want), "{url}");
        };
        check("file:///drops/prices/", "/drops/prices");
        check("file://localhost/drops", "/drops");
        check("file:../drops/", "/etc/drops");
        check("../drops", "/etc/drops");
        check("/drops//a/./b", "/drops/a/b");
        check("file:///my%20drops", "/my drops");
        check(".", "/etc/jobs");
        assert!(Location::parse("s3://bucket/x").unwrap_err().contains("not built in yet"));
        for bad in ["", "gs://b", "az://c/d", "https://h/x", "file://server/share", "file:///%zz", "file:"] {
            assert!(Location::parse(bad).is_err(), "{bad}");
        }
        let same = |a, b| Location::parse(a).unwrap().is_same_text(&Location::parse(b).unwrap());
        assert!(same("file:///a/b/", "/a/./c/../b"));
        assert!(!same("/a/b", "/a/b/archive"));
    }
}
