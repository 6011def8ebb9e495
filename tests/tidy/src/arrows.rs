//! Which of our crates may lean on which.
//!
//! ```text
//! worker -> connectors/* -> connectors/support/* -> api <- engine <- worker -> dev-broker
//! worker -> steps -> api     worker -> support/kafka-client     examples -> worker, api     tests -> all
//! ```

use std::collections::BTreeMap;

use toml::Table;

use crate::tree::Tree;

/// Where a crate lives decides what it may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    Api,
    Engine,
    Steps,
    DevBroker,
    Worker,
    Support,
    Connector,
    Example,
    Test,
}

struct Crate {
    name: String,
    path: String,
    room: Room,
    manifest: Table,
}

/// Dependencies between our crates that architecture forbids, and manifests that cannot be judged.
pub fn arrows(tree: &Tree) -> Vec<String> {
    let mut broken = Vec::new();
    let mut crates = BTreeMap::new();
    for (path, text) in tree.ending("/Cargo.toml") {
        match read(path, text) {
            Ok(found) => {
                crates.insert(found.name.clone(), found);
            }
            Err(why) => broken.push(format!("{path}: {why}")),
        }
    }
    for from in crates.values() {
        for (kind, table) in dependency_tables(&from.manifest) {
            for name in named(table) {
                let Some(to) = crates.get(&name) else { continue };
                let allowed = match kind {
                    Kind::Normal => may_use(from, to),
                    Kind::Dev => may_use(from, to) || may_test_with(from, to),
                };
                if !allowed && from.name != to.name {
                    broken.push(format!(
                        "{} ({}) must not depend on {} ({}){}",
                        from.name,
                        from.path,
                        to.name,
                        to.path,
                        if kind == Kind::Dev { ", not even in tests" } else { "" }
                    ));
                }
            }
        }
    }
    broken
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Normal,
    Dev,
}

fn may_use(from: &Crate, to: &Crate) -> bool {
    match (from.room, to.room) {
        (Room::Test, _) => true,
        (Room::Engine | Room::Steps | Room::Support, Room::Api) => true,
        (Room::Connector, Room::Api | Room::Support) => true,
        (Room::Worker, Room::Api | Room::Engine | Room::Steps | Room::DevBroker | Room::Connector) => true,
        // the worker's own topics: membership, desired state
        (Room::Worker, Room::Support) => to.path == "connectors/support/kafka-client",
        (Room::Example, Room::Api | Room::Worker) => true,
        _ => false,
    }
}

/// What tests of a crate may name beyond what the crate itself may: anything, except the arrows that would make two
/// connectors one, or the contract depend on what is built on it.
fn may_test_with(from: &Crate, to: &Crate) -> bool {
    from.room != Room::Api && (from.room, to.room) != (Room::Connector, Room::Connector)
}

fn read(path: &str, text: &str) -> Result<Crate, String> {
    let manifest: Table = text.parse().map_err(|e| format!("not a manifest: {e}"))?;
    let folder = path.trim_end_matches("/Cargo.toml").to_owned();
    let name = manifest
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(|name| name.as_str())
        .ok_or("no package name")?
        .to_owned();
    let room = room(&folder).ok_or("a crate in a folder that architecture does not name")?;
    Ok(Crate { name, path: folder, room, manifest })
}

fn room(folder: &str) -> Option<Room> {
    let parts: Vec<&str> = folder.split('/').collect();
    match parts[..] {
        ["connector-runtime", "api"] => Some(Room::Api),
        ["connector-runtime", "engine"] => Some(Room::Engine),
        ["connector-runtime", "steps"] => Some(Room::Steps),
        ["connector-runtime", "dev-broker"] => Some(Room::DevBroker),
        ["connector-runtime", "worker"] => Some(Room::Worker),
        ["connectors", "support", _] => Some(Room::Support),
        ["connectors", _] => Some(Room::Connector),
        ["examples", _] => Some(Room::Example),
        ["tests", _] => Some(Room::Test),
        _ => None,
    }
}

/// The dependency tables of a manifest, also those for one platform. Build scripts count as the crate itself.
fn dependency_tables(manifest: &Table) -> Vec<(Kind, &Table)> {
    let of = |table: &'_ Table| -> Vec<(Kind, String)> {
        [(Kind::Normal, "dependencies"), (Kind::Normal, "build-dependencies"), (Kind::Dev, "dev-dependencies")]
            .into_iter()
            .filter(|(_, key)| table.contains_key(*key))
            .map(|(kind, key)| (kind, key.to_owned()))
            .collect()
    };
    let platforms = manifest
        .get("target")
        .and_then(|target| target.as_table())
        .into_iter()
        .flat_map(|target| target.values())
        .filter_map(|platform| platform.as_table());
    std::iter::once(manifest)
        .chain(platforms)
        .flat_map(|table| of(table).into_iter().filter_map(|(kind, key)| Some((kind, table.get(&key)?.as_table()?))))
        .collect()
}

/// The package names in a dependency table; `x = { package = "y" }` is y.
fn named(table: &Table) -> impl Iterator<Item = String> + '_ {
    table.iter().map(|(key, value)| value.get("package").and_then(|package| package.as_str()).unwrap_or(key).to_owned())
}
