//! Where references lead: the environment, the folder of mounted secrets, and files.

use std::io::Read;
use std::path::{Component, Path, PathBuf};
use unbatch_api::config::{Reference, Resolver, Secret};
use unbatch_api::{Error, Result};

/// Largest value that is read from a file, in bytes.
const VALUE_BYTES_MAX: u64 = 1 << 20;

/// Finds values in the environment and in files. Reads anew at each call, so that a rotated secret is seen at the next open.
#[derive(Clone, Debug)]
pub struct FileResolver {
    /// Folder of `{secret: name/key}`: the value is the content of `<directory>/name/key`.
    pub directory: Option<PathBuf>,
    /// Where relative `{file: …}` paths start.
    pub base: PathBuf,
}

impl Resolver for FileResolver {
    fn resolve(&self, reference: &Reference) -> Result<Secret> {
        reference.check().map_err(|problem| failed(reference).with("reason", problem))?;
        match (&reference.env, &reference.secret, &reference.file) {
            (Some(name), _, _) => from_environment(reference, name),
            (_, Some(name), _) => self.in_directory(reference, name),
            (_, _, Some(path)) => from_file(reference, &self.base.join(path)),
            _ => Err(failed(reference)),
        }
    }
}

impl FileResolver {
    fn in_directory(&self, reference: &Reference, name: &str) -> Result<Secret> {
        let Some(directory) = &self.directory else {
            return Err(failed(reference)
                .with("reason", "there is no secrets directory")
                .help("set `secrets: {directory: …}` in unbatch.yaml"));
        };
        // One folder and one file, as Kubernetes mounts secrets; nothing that could lead out of the directory.
        let parts: Vec<Component<'_>> = Path::new(name).components().collect();
        let is_plain = matches!(parts.as_slice(), [Component::Normal(_), Component::Normal(_)]) && !name.contains('\\');
        if !is_plain || name.split('/').count() != 2 {
            // What was written may be the secret itself, so it is not repeated.
            return Err(Error::misconfigured("resolving a reference failed")
                .code("U0141")
                .with("reason", "`secret` must be name/key")
                .help("write {secret: name/key}, for the file <secrets directory>/name/key"));
        }
        from_file(reference, &directory.join(name))
    }
}

fn from_environment(reference: &Reference, name: &str) -> Result<Secret> {
    if name.is_empty() || name.contains(['=', '\0']) {
        return Err(failed(reference).with("reason", "this cannot be the name of a variable"));
    }
    match (std::env::var(name), &reference.default) {
        (Ok(value), _) => Ok(Secret::new(value)),
        (Err(std::env::VarError::NotPresent), Some(default)) => Ok(Secret::new(default.clone())),
        (Err(std::env::VarError::NotPresent), None) => Err(failed(reference)
            .with("reason", "the variable is not set")
            .help(format!("set the environment variable {name}"))),
        (Err(std::env::VarError::NotUnicode(_)), _) => Err(failed(reference).with("reason", "the value is not UTF-8")),
    }
}

fn from_file(reference: &Reference, path: &Path) -> Result<Secret> {
    let failed = || failed(reference).with("looked in", path.display());
    let help = format!("put the value into {} and let this user read it", path.display());
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(|e| failed().caused_by(e).help(help.clone()))?;
    let length = file.take(VALUE_BYTES_MAX + 1).read_to_string(&mut text);
    let length = length.map_err(|e| failed().caused_by(e).help(help))?;
    if length as u64 > VALUE_BYTES_MAX {
        return Err(failed().with("reason", format!("it is larger than {VALUE_BYTES_MAX} bytes")));
    }
    let value = text.strip_suffix('\n').map_or(text.as_str(), |t| t.strip_suffix('\r').unwrap_or(t));
    Ok(Secret::new(value.to_owned()))
}

fn failed(reference: &Reference) -> Error {
    Error::misconfigured("resolving a reference failed").code("U0140").with("reference", reference)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(kind: &str, value: &str) -> Reference {
        let field = |k: &str| (k == kind).then(|| value.to_owned());
        Reference { env: field("env"), secret: field("secret"), file: field("file").map(Into::into), default: None }
    }

    #[test]
    fn values_are_found_in_files_and_lose_one_line_break() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("db")).unwrap();
        let resolver = FileResolver { directory: Some(folder.path().into()), base: folder.path().join("db") };
        for (content, value) in [("hunter2\n", "hunter2"), ("hunter2\r\n", "hunter2"), ("a\n\n", "a\n"), ("", "")] {
            std::fs::write(folder.path().join("db/dsn"), content).unwrap();
            assert_eq!(resolver.resolve(&reference("secret", "db/dsn")).unwrap().expose(), value);
            assert_eq!(resolver.resolve(&reference("file", "dsn")).unwrap().expose(), value);
        }
    }

    #[test]
    fn what_is_missing_is_named_with_the_place_and_never_with_a_value() {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("secrets");
        std::fs::create_dir_all(directory.join("db")).unwrap();
        std::fs::write(folder.path().join("outside"), "hunter2").unwrap();
        std::fs::write(directory.join("db/binary"), b"hunter2\xff").unwrap();
        let resolver = FileResolver { directory: Some(directory.clone()), base: folder.path().into() };
        let error = |kind, value| resolver.resolve(&reference(kind, value)).unwrap_err();
        let missing = error("secret", "db/dsn");
        assert_eq!(missing.kind(), unbatch_api::Kind::Misconfigured);
        assert!(missing.one_line().contains(&directory.join("db/dsn").display().to_string()), "{missing}");
        assert!(error("env", "UNBATCH_TEST_NOT_SET_3141").remedy().unwrap().contains("UNBATCH_TEST_NOT_SET_3141"));
        for escape in
            ["../outside", "db/../../outside", "/etc/passwd", "outside", "db//dsn", "db\\dsn", "db/", "hunter2"]
        {
            let error = error("secret", escape);
            assert_eq!(error.code_text(), Some("U0141"), "{escape}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        assert!(!format!("{:?}", error("secret", "db/binary")).contains("hunter2"));
        assert!(error("file", "nothing").one_line().contains("nothing"));
        let nowhere = FileResolver { directory: None, base: PathBuf::new() };
        assert!(nowhere.resolve(&reference("secret", "db/dsn")).unwrap_err().remedy().unwrap().contains("directory"));
        assert!(nowhere.resolve(&Reference { env: Some("A".into()), ..reference("file", "b") }).is_err());
    }

    #[test]
    fn a_default_stands_in_for_a_variable_that_is_not_set() {
        let resolver = FileResolver { directory: None, base: PathBuf::new() };
        let with_default = Reference { default: Some("x".into()), ..reference("env", "UNBATCH_TEST_NOT_SET_2718") };
        assert_eq!(resolver.resolve(&with_default).unwrap().expose(), "x");
        let set = Reference { default: Some("x".into()), ..reference("env", "PATH") };
        assert_eq!(resolver.resolve(&set).unwrap().expose(), std::env::var("PATH").unwrap());
    }
}
