//! A look at all that stands in the quarantine of a pipeline: whether a reason that was asked for is one, and which rows are of a
//! file that is parked.

use crate::codes;
use std::collections::BTreeSet;
use unbatch_api::quarantine::{QuarantineFilter, QuarantineReader};
use unbatch_api::{Error, QuarantineEntry, Result, RowOrigin};
use unbatch_engine::Registry;
use unbatch_engine::config::nearest;

/// Entries that are asked for at once.
const PAGE: usize = 500;
/// Files and reasons that are remembered; of more nothing is said.
const REMEMBERED_MAX: usize = 10_000;
/// How the message of an entry begins that stands for a whole file.
const PARKED: &str = "the file was parked: ";

/// Whether the entry stands for a whole file that was set aside.
pub(crate) fn is_of_a_file(entry: &QuarantineEntry) -> bool {
    entry.message.starts_with(PARKED)
}

/// What all entries tell together.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Why rows were refused, also those that went through later.
    codes: BTreeSet<String>,
    /// Files that are parked now, by name and delivery.
    parked: BTreeSet<(String, String)>,
    /// Files of the rows that were chosen.
    chosen: BTreeSet<(String, String)>,
    /// Some of it could not be read.
    is_partial: bool,
}

impl Survey {
    pub(crate) async fn of(reader: &mut dyn QuarantineReader, chosen: &QuarantineFilter) -> Result<Self> {
        let all = QuarantineFilter { with_replayed: true, ..QuarantineFilter::default() };
        let (mut survey, mut after) = (Self::default(), None);
        loop {
            let page = reader.list(&all, after.as_deref(), PAGE).await?;
            survey.is_partial |= !page.unreadable.is_empty();
            for entry in &page.entries {
                survey.add(entry, chosen);
            }
            match page.next {
                None => return Ok(survey),
                next => after = next,
            }
        }
    }

    fn add(&mut self, entry: &QuarantineEntry, chosen: &QuarantineFilter) {
        if self.codes.len() < REMEMBERED_MAX {
            self.codes.insert(entry.code.clone());
        }
        let RowOrigin::File { file, delivery, .. } = &entry.origin else { return };
        let is_of_a_file = is_of_a_file(entry);
        let files = if is_of_a_file { &mut self.parked } else { &mut self.chosen };
        let is_wanted = entry.replayed.is_none() && (is_of_a_file || chosen.matches(entry));
        if is_wanted && files.len() < REMEMBERED_MAX {
            files.insert((file.to_string(), delivery.to_string()));
        }
    }

    /// Refuses a reason that neither an entry has nor this binary knows: a slip would look like rows that are done with.
    pub(crate) fn knows(&self, code: &str, registry: &Registry) -> Result<()> {
        let known = codes::all(registry);
        let is_known = self.codes.contains(code) || known.iter().any(|(one, ..)| *one == code);
        if is_known || self.is_partial {
            return Ok(());
        }
        // what stands there is meant rather than what could
        let there = nearest(code, self.codes.iter().map(String::as_str));
        let help = match there.or_else(|| nearest(code, known.iter().map(|(one, ..)| *one))) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => {
                "`unbatch quarantine list` shows the reasons of rows that wait, `unbatch explain` lists all".to_owned()
            }
        };
        Err(Error::misconfigured("choosing refused rows failed, there is no such reason")
            .code("U0763")
            .with("code", code)
            .help(help))
    }

    /// Parked files of which rows were chosen.
    pub(crate) fn parked_files(&self) -> Vec<&str> {
        self.parked.intersection(&self.chosen).map(|(file, _)| file.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connectors::built_in;
    use unbatch_api::{PipelineName, RawRow, RejectedRow, SplitId, Stage, StreamName};

    fn entry(code: &str, message: &str, file: &str, line: u64) -> QuarantineEntry {
        let rejected = RejectedRow {
            code: code.to_owned().into(),
            message: message.to_owned(),
            stage: Stage::Source,
            stream: StreamName::new("stock"),
            origin: RowOrigin::File { file: file.into(), delivery: "4f".into(), line, byte: 40 },
            raw: RawRow::of(&b"x"[..]),
        };
        rejected.into_entry(&SplitId::new(PipelineName::parse("stock").unwrap(), 0), 1)
    }

    fn survey(entries: &[QuarantineEntry], chosen: &QuarantineFilter) -> Survey {
        let mut survey = Survey::default();
        entries.iter().for_each(|entry| survey.add(entry, chosen));
        survey
    }

    #[test]
    fn a_reason_that_nobody_knows_is_refused_with_the_one_that_is_meant() {
        let there = survey(&[entry("house_rule", "not ours", "a.csv", 2)], &QuarantineFilter::default());
        for known in ["house_rule", "bad_decimal", "U0412"] {
            assert!(there.knows(known, &built_in()).is_ok(), "{known}");
        }
        for (wrong, meant) in [("bad_decimel", "bad_decimal"), ("BAD_INT", "bad_int"), ("house_rul", "house_rule")] {
            let error = there.knows(wrong, &built_in()).unwrap_err();
            assert_eq!(error.code_text(), Some("U0763"), "{wrong}");
            assert_eq!(error.remedy(), Some(&*format!("did you mean `{meant}`?")), "{wrong}");
        }
        assert!(there.knows("zzzzzzzz", &built_in()).unwrap_err().remedy().unwrap().contains("unbatch explain"));
        let partial = Survey { is_partial: true, ..Survey::default() };
        assert!(partial.knows("bad_decimel", &built_in()).is_ok(), "it may be what could not be read");
    }

    #[test]
    fn rows_of_a_file_that_is_parked_now_are_told_and_no_others() {
        let bad = |file, line| entry("bad_int", "column `n`: not an int32", file, line);
        let parked = |file| entry("truncated_in_quotes", "the file was parked: a quote is open", file, 9);
        let settled = QuarantineEntry { replayed: Some(1), ..parked("b.csv") };
        let all = [bad("a.csv", 3), parked("a.csv"), bad("b.csv", 3), settled, parked("c.csv"), bad("d.csv", 4)];
        let of = |filter: &QuarantineFilter| survey(&all, filter).parked_files().join(",");
        assert_eq!(of(&QuarantineFilter::default()), "a.csv");
        let code = |code: &str| QuarantineFilter { code: Some(code.to_owned()), ..QuarantineFilter::default() };
        assert_eq!((of(&code("bad_int")), of(&code("bad_date"))), ("a.csv".to_owned(), String::new()));
    }
}
