//! Each dependency has its reason, and there is one Arrow.

use toml::Table;

use crate::tree::Tree;

/// Lines of `[workspace.dependencies]` that no comment stands above. Our own crates share one.
pub fn reasons(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    let (mut inside, mut explained) = (false, false);
    for (number, line) in tree.text("Cargo.toml").unwrap_or_default().lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            inside = line == "[workspace.dependencies]";
            explained = false;
        } else if line.starts_with('#') {
            explained = line.trim_matches(['#', ' ']).len() >= 10;
        } else if line.is_empty() {
            explained = false;
        } else if inside && line.contains('=') {
            if !explained {
                let name = line.split('=').next().unwrap_or_default().trim();
                broken.push(format!("Cargo.toml:{}: {name} has no line of reason above it", number + 1));
            }
            explained &= line.contains("path =");
        }
    }
    broken
}

/// More than one version of Arrow in the lock file, or a manifest beside the contract's that names it: its types are
/// the currency, and two versions of them do not mix.
pub fn one_arrow(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    let versions = versions_of("arrow-array", tree.text("Cargo.lock").unwrap_or_default());
    if versions.len() > 1 {
        broken.push(format!("Cargo.lock has arrow-array {}", versions.join(" and ")));
    }
    for (path, text) in tree.ending("/Cargo.toml") {
        if path == "connector-runtime/api/Cargo.toml" {
            continue;
        }
        let Ok(manifest) = text.parse::<Table>() else { continue };
        if names_arrow(&manifest) {
            broken.push(format!("{path} names arrow; use unbatch_api's re-export"));
        }
    }
    broken
}

fn versions_of(package: &str, lock: &str) -> Vec<String> {
    let Ok(lock) = lock.parse::<Table>() else {
        return Vec::new();
    };
    let packages = lock.get("package").and_then(|p| p.as_array());
    packages
        .into_iter()
        .flatten()
        .filter(|p| p.get("name").and_then(|n| n.as_str()) == Some(package))
        .filter_map(|p| Some(p.get("version")?.as_str()?.to_owned()))
        .collect()
}

fn names_arrow(manifest: &Table) -> bool {
    manifest.iter().any(|(key, value)| match value.as_table() {
        Some(table) if key.ends_with("dependencies") => table.iter().any(|(name, value)| {
            let package = value.get("package").and_then(|p| p.as_str());
            package.unwrap_or(name) == "arrow"
        }),
        Some(table) if key == "target" => table.values().filter_map(|t| t.as_table()).any(names_arrow),
        _ => false,
    })
}
