//! What status hears of a batch. It is said when the batch is handed on and not when it is made, so that batches which are read
//! ahead and then dropped were never counted; and it counts with the commit, so that what is read again is counted once.

use unbatch_api::{Batch, Reports};

/// A batch and what is to be said with it.
pub struct Given {
    pub batch: Batch,
    pub words: Vec<Word>,
}

pub enum Word {
    Count(&'static str, i64),
    Notice { code: &'static str, subject: String, message: &'static str },
    Parked { subject: String, message: String },
    Unparked(String),
}

impl Given {
    pub fn say(self, reports: &Reports) -> Batch {
        let reports = &reports.with_commit();
        let rows = self.batch.rows_read();
        if rows > 0 {
            reports.add("rows_read_total", rows as i64);
        }
        self.words.into_iter().for_each(|word| word.say(reports));
        self.batch
    }
}

impl Word {
    pub fn say(self, reports: &Reports) {
        match self {
            Word::Count(name, by) => reports.add(name, by),
            Word::Notice { code, subject, message } => reports.notice(code, &subject, message),
            Word::Parked { subject, message } => reports.parked(&subject, &message),
            Word::Unparked(subject) => reports.unparked(&subject),
        }
    }
}
