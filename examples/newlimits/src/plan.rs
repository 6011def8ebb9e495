use std::collections::BTreeMap;

use crate::fault::Code;
use crate::feed::Feed;
use crate::feeds::Export;
use crate::random::Random;
use crate::world::World;

/// Which faults the nightly jobs make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Faults {
    /// All files whole and good, each delivered once.
    None,
    /// Each night one file with one bad row, one file truncated inside a quoted field (sent whole the night after under
    /// the same name), and one file delivered twice.
    Few,
    /// The same, and every kind of bad row in most files, a late file, a corrected file under its old name, an empty file.
    All,
}

/// What happens to one content of a file, beyond being delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PlannedExport {
    pub export: Export,
    pub rows: u64,
    pub bad_rows: BTreeMap<u64, Code>,
    /// The row in whose free text the file breaks off; it has no rows after that.
    pub cut_at: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// Rounds in order of time; `night` is the one that follows business day `night`.
    pub night: u32,
    pub second_round: bool,
    pub name: String,
    /// Index into [`Plan::exports`].
    pub export: usize,
    pub kind: DeliveryKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DeliveryKind {
    Regular,
    Late,
    /// The same name and content once more.
    Again,
    /// The same name, other content.
    Replaced,
}

/// All files of one feed over some nights, in the order in which they are dropped.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub exports: Vec<PlannedExport>,
    pub deliveries: Vec<Delivery>,
}

const LABEL_PLAN: u64 = 106;
const LABEL_BAD_ROWS: u64 = 107;
/// At most this many bad rows a file and one in 200, so that the default `stop_after` (100 rows, 1 %) is not reached.
const BAD_ROWS_MAX: u64 = 40;
const GOOD_ROWS_PER_BAD: u64 = 200;

/// The part a file plays on its day, by its place in a random order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Truncated,
    Twice,
    OneBadRow,
    Late,
    Corrected,
    Empty,
    Plain,
}

impl Role {
    fn of(place: usize, faults: Faults) -> Self {
        match (faults, place) {
            (Faults::None, _) => Self::Plain,
            (_, 0) => Self::Truncated,
            (_, 1) => Self::Twice,
            (Faults::Few, 2) => Self::OneBadRow,
            (Faults::All, 2) => Self::Late,
            (Faults::All, 3) => Self::Corrected,
            (Faults::All, 4) => Self::Empty,
            _ => Self::Plain,
        }
    }
}

impl Plan {
    pub fn new(world: &World, feed: Feed, nights: u32, faults: Faults) -> Self {
        let mut planner = Planner {
            world,
            feed,
            nights,
            faults,
            codes: Code::possible_in(&feed.spec()),
            bad_rows_so_far: 0,
            plan: Self { exports: Vec::new(), deliveries: Vec::new() },
        };
        for day in 0..nights {
            planner.plan_day(day);
        }
        planner.plan.deliveries.sort_by(|a, b| {
            (a.night, a.second_round, &a.name, a.kind).cmp(&(b.night, b.second_round, &b.name, b.kind))
        });
        planner.plan
    }
}

struct Planner<'a> {
    world: &'a World,
    feed: Feed,
    nights: u32,
    faults: Faults,
    codes: Vec<Code>,
    /// Codes are taken in turn over the whole plan, so that few bad rows already show every kind.
    bad_rows_so_far: usize,
    plan: Plan,
}

impl Planner<'_> {
    fn plan_day(&mut self, day: u32) {
        let files = self.feed.files_per_day(self.world);
        let order = self.world.random(&[LABEL_PLAN, self.feed.label(), u64::from(day)]).shuffled(files);
        for (place, &part) in order.iter().enumerate() {
            self.plan_file(day, part, Role::of(place, self.faults));
        }
    }

    fn plan_file(&mut self, day: u32, part: usize, role: Role) {
        let first = self.add_export(day, part, 0, role);
        match role {
            Role::Late => self.deliver_late(day, first, DeliveryKind::Late),
            _ => self.deliver(day, false, first, DeliveryKind::Regular),
        }
        match role {
            Role::Twice => self.deliver(day, true, first, DeliveryKind::Again),
            Role::Truncated | Role::Corrected => {
                let second = self.add_export(day, part, 1, Role::Plain);
                self.deliver_late(day, second, DeliveryKind::Replaced);
            }
            Role::OneBadRow | Role::Late | Role::Empty | Role::Plain => {}
        }
    }

    fn add_export(&mut self, day: u32, part: usize, export: u32, role: Role) -> usize {
        let full = self.world.rows_per_file(part, day, self.feed.files_per_day(self.world));
        let mut random =
            self.world.random(&[LABEL_BAD_ROWS, self.feed.label(), u64::from(day), part as u64, u64::from(export)]);
        let cut_at = (role == Role::Truncated).then(|| full / 2 + random.below(full / 2));
        let rows = match (role, cut_at) {
            (Role::Empty, _) => 0,
            (_, Some(cut_at)) => cut_at,
            _ => full,
        };
        let wanted = match (role, self.faults) {
            (Role::OneBadRow, _) => 1,
            (_, Faults::All) => (rows / GOOD_ROWS_PER_BAD).clamp(rows.min(1), BAD_ROWS_MAX),
            _ => 0,
        };
        let bad_rows = self.pick_bad_rows(rows, wanted, &mut random);
        self.plan.exports.push(PlannedExport {
            export: Export { feed: self.feed, day, part, export },
            rows,
            bad_rows,
            cut_at,
        });
        self.plan.exports.len() - 1
    }

    /// One in each of `wanted` equal stripes, so that bad rows never cluster.
    fn pick_bad_rows(&mut self, rows: u64, wanted: u64, random: &mut Random) -> BTreeMap<u64, Code> {
        let mut bad_rows = BTreeMap::new();
        for stripe in 0..wanted {
            let begins = stripe * rows / wanted;
            let ends = (stripe + 1) * rows / wanted;
            let code = self.codes[self.bad_rows_so_far % self.codes.len()];
            self.bad_rows_so_far += 1;
            bad_rows.insert(begins + random.below(ends - begins), code);
        }
        bad_rows
    }

    fn deliver(&mut self, night: u32, second_round: bool, export: usize, kind: DeliveryKind) {
        let Export { day, part, .. } = self.plan.exports[export].export;
        self.plan.deliveries.push(Delivery {
            night,
            second_round,
            name: self.feed.file_name(self.world, day, part),
            export,
            kind,
        });
    }

    /// In the first round of the night after; when there is none, in the second round of the same night.
    fn deliver_late(&mut self, day: u32, export: usize, kind: DeliveryKind) {
        if day + 1 < self.nights {
            self.deliver(day + 1, false, export, kind);
        } else {
            self.deliver(day, true, export, kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_delivery_and_fault_is_planned() {
        let world = World::new(1, 1.0).unwrap();
        for feed in Feed::ALL {
            let plan = Plan::new(&world, feed, 2, Faults::All);
            for kind in [DeliveryKind::Regular, DeliveryKind::Late, DeliveryKind::Again, DeliveryKind::Replaced] {
                assert!(plan.deliveries.iter().any(|delivery| delivery.kind == kind), "{feed:?} {kind:?}");
            }
            let planted: std::collections::BTreeSet<Code> =
                plan.exports.iter().flat_map(|export| export.bad_rows.values().copied()).collect();
            assert_eq!(planted, Code::possible_in(&feed.spec()).into_iter().collect(), "{feed:?}");
        }
    }

    #[test]
    fn bad_rows_stay_under_the_default_stop_after() {
        let world = World::new(2, 60.0).unwrap();
        let plan = Plan::new(&world, Feed::StockCounts, 1, Faults::All);
        for export in &plan.exports {
            assert!(export.bad_rows.len() < 100);
            let mut seen = 0_u64;
            for &row in export.bad_rows.keys() {
                seen += 1;
                assert!(row < 1_000 || seen * 100 < row, "{seen} bad rows after {row}");
            }
        }
    }

    #[test]
    fn without_faults_each_file_is_delivered_once() {
        let world = World::new(3, 1.0).unwrap();
        let plan = Plan::new(&world, Feed::Prices, 2, Faults::None);
        assert_eq!(plan.deliveries.len(), plan.exports.len());
        assert!(plan.exports.iter().all(|export| export.bad_rows.is_empty() && export.cut_at.is_none()));
    }
}
