//! The exit codes, the same for every command.

use std::process::ExitCode;
use unbatch_api::Kind;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Good = 0,
    /// Failed at run time.
    Failed = 1,
    /// The configuration or the command line is wrong.
    Misconfigured = 2,
    /// A system cannot be reached or refuses us.
    Unreachable = 3,
    /// Differences or rejected rows were found by a command that was asked to look for them.
    Found = 4,
}

impl Exit {
    pub fn code(self) -> u8 {
        self as u8
    }
    /// Whether the command did what it was asked to.
    pub fn is_ok(self) -> bool {
        matches!(self, Exit::Good | Exit::Found)
    }
    /// Of several ends the one that says most: what failed while running, before what is misconfigured, before what could
    /// not be reached.
    pub fn worse(self, other: Exit) -> Exit {
        if self.rank() >= other.rank() { self } else { other }
    }
    fn rank(self) -> u8 {
        match self {
            Exit::Good => 0,
            Exit::Found => 1,
            Exit::Unreachable => 2,
            Exit::Misconfigured => 3,
            Exit::Failed => 4,
        }
    }
}

/// What an error of this kind means for the process.
impl From<Kind> for Exit {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Transient => Exit::Unreachable,
            Kind::Misconfigured => Exit::Misconfigured,
            Kind::Rejected | Kind::Fenced | Kind::Lost | Kind::Bug => Exit::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_code() {
        let codes = [
            (Kind::Transient, 3),
            (Kind::Rejected, 1),
            (Kind::Misconfigured, 2),
            (Kind::Fenced, 1),
            (Kind::Lost, 1),
            (Kind::Bug, 1),
        ];
        for (kind, code) in codes {
            assert_eq!(Exit::from(kind).code(), code, "{kind}");
        }
    }

    #[test]
    fn of_several_ends_the_worst_counts() {
        assert_eq!(Exit::Good.worse(Exit::Unreachable), Exit::Unreachable);
        assert_eq!(Exit::Failed.worse(Exit::Misconfigured), Exit::Failed);
        assert_eq!(Exit::Misconfigured.worse(Exit::Unreachable), Exit::Misconfigured);
        assert_eq!(Exit::Good.worse(Exit::Good), Exit::Good);
    }
}
