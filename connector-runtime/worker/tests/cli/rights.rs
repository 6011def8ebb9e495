//! Files and folders that the user may not read or write. Rights are nothing to root, who runs CI: there the binary is run as
//! nobody, and what it may not touch is root's.

use crate::workshop::{Ended, PIPELINE, Workshop};
use crate::wrong_inputs::is_fit_for_people;
use std::fs::{File, Permissions, set_permissions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

/// The user and the group "nobody" on every Linux.
const NOBODY: u32 = 65534;
const RUN: &[&str] = &["run", "--once", "--dev", "--no-http"];
const ROWS: &str = "id,counted\na,1\n";

struct Case {
    name: &'static str,
    make: fn(&Workshop),
    /// What is taken away from the user, and the rights that are left to it.
    locked: &'static str,
    mode: u32,
    args: &'static [&'static str],
    code: i32,
    says: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "a drop folder that may not be listed",
        make: |w| w.drop_file("stock_1.csv", ROWS),
        locked: "drops",
        mode: 0o700,
        args: RUN,
        code: 2,
        says: &["U0221", "drops", "right to read"],
    },
    Case {
        name: "a file that may not be read",
        make: |w| w.drop_file("stock_1.csv", ROWS),
        locked: "drops/stock_1.csv",
        mode: 0o600,
        args: RUN,
        code: 1,
        says: &["stock_1.csv", "Permission denied", "U0771"],
    },
    Case {
        name: "a file to draft from that may not be read",
        make: |w| w.drop_file("stock_1.csv", ROWS),
        locked: "drops/stock_1.csv",
        mode: 0o600,
        args: &["init", "drops/stock_1.csv", "--output", "counts.yaml"],
        code: 2,
        says: &["U0230", "drops/stock_1.csv", "right to read"],
    },
    Case {
        name: "a pipeline file that may not be read",
        make: |_| (),
        locked: "stock.yaml",
        mode: 0o600,
        args: &["validate"],
        code: 2,
        says: &["U0100", "stock.yaml", "may read it"],
    },
    Case {
        name: "a folder of pipelines that may not be listed",
        make: |w| drop(w.write("pipelines/stock.yaml", &PIPELINE.replace("url: drops", "url: ../drops"))),
        locked: "pipelines",
        mode: 0o700,
        args: &["validate", "pipelines"],
        code: 2,
        says: &["U0723", "pipelines", "may read the folder"],
    },
    Case {
        name: "a runtime file that may not be read",
        make: |w| drop(w.write("unbatch.yaml", "deployment: shop\n")),
        locked: "unbatch.yaml",
        mode: 0o600,
        args: RUN,
        code: 2,
        says: &["U0100", "unbatch.yaml", "may read it"],
    },
    Case {
        name: "an archive that may not be written",
        make: |w| {
            w.drop_file("stock_1.csv", ROWS);
            std::fs::create_dir(w.path().join("archive")).unwrap();
            w.write("stock.yaml", &PIPELINE.replace("    poll:", "    after: {move_to: archive}\n    poll:"));
        },
        locked: "archive",
        mode: 0o755,
        args: RUN,
        code: 2,
        says: &["U0221", "archive", "write the folder"],
    },
    Case {
        name: "a drop folder that files may not be taken from",
        make: |w| {
            w.drop_file("stock_1.csv", ROWS);
            w.write("stock.yaml", &PIPELINE.replace("    poll:", "    after: delete\n    poll:"));
        },
        locked: "drops",
        mode: 0o755,
        args: RUN,
        code: 2,
        says: &["U0221", "drops", "write the folder unless `after: keep`"],
    },
    Case {
        name: "a data folder of the embedded broker that may not be written",
        make: |w| std::fs::create_dir(w.path().join(".unbatch")).unwrap(),
        locked: ".unbatch",
        mode: 0o755,
        args: RUN,
        code: 2,
        says: &["U0732", ".unbatch", "can be written to"],
    },
    Case {
        name: "a data folder of the embedded broker that may not even be looked into",
        make: |w| std::fs::create_dir(w.path().join(".unbatch")).unwrap(),
        locked: ".unbatch",
        mode: 0o700,
        args: RUN,
        code: 2,
        says: &["U0732", ".unbatch", "can be written to"],
    },
    Case {
        name: "no place for the schema of a draft",
        make: |w| {
            w.drop_file("stock_1.csv", ROWS);
            std::fs::create_dir(w.path().join(".unbatch")).unwrap();
        },
        locked: ".unbatch",
        mode: 0o755,
        args: &["init", "drops/stock_1.csv", "--output", "counts.yaml"],
        code: 2,
        says: &["U0737", ".unbatch", "right to write there"],
    },
    Case {
        name: "a folder that a draft may not be written to",
        make: |w| {
            w.drop_file("stock_1.csv", ROWS);
            std::fs::create_dir(w.path().join("jobs")).unwrap();
        },
        locked: "jobs",
        mode: 0o755,
        args: &["init", "drops/stock_1.csv", "--output", "jobs/counts.yaml"],
        code: 2,
        says: &["U0737", "jobs/counts.yaml", "can be written to"],
    },
];

#[test]
fn what_the_user_may_not_do_is_said_with_a_remedy_that_helps() {
    let user = User::new();
    for case in CASES {
        let workshop = Workshop::with_pipeline();
        (case.make)(&workshop);
        user.give(workshop.path());
        let locked = workshop.path().join(case.locked);
        user.take_away(&locked, case.mode);
        let ended = user.run(&workshop, case.args);
        is_fit_for_people(case.name, &ended);
        assert_eq!(ended.code, Some(case.code), "{}\n{ended}", case.name);
        let all = format!("{}{}", ended.stdout, ended.stderr);
        for part in case.says {
            assert!(all.contains(part), "{}: {part:?} is missing\n{ended}", case.name);
        }
        user.give(workshop.path());
        let ended = user.run(&workshop, case.args);
        assert_eq!(ended.code, Some(0), "{}: the remedy was followed\n{ended}", case.name);
    }
}

/// Whose rights are looked at: nobody, when the tests run as root; else who runs them.
struct User {
    is_nobody: bool,
    /// Open, since nobody may not be allowed to go into the folder that it is in.
    binary: File,
}

impl User {
    fn new() -> Self {
        // SAFETY: a plain system call without arguments
        let is_nobody = unsafe { libc::geteuid() } == 0;
        User { is_nobody, binary: File::open(env!("CARGO_BIN_EXE_unbatch")).unwrap() }
    }

    fn run(&self, workshop: &Workshop, args: &[&str]) -> Ended {
        let fd = self.binary.as_raw_fd();
        let mut command = workshop.command_of(Path::new(&format!("/proc/self/fd/{fd}")), args);
        self.dress(&mut command);
        // SAFETY: between fork and exec only a system call is made, with a number
        unsafe {
            command.pre_exec(move || match libc::fcntl(fd, libc::F_SETFD, 0) {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            });
        }
        Ended::from(command.output().unwrap())
    }

    fn dress(&self, command: &mut Command) {
        if self.is_nobody {
            command.uid(NOBODY).gid(NOBODY);
        }
    }

    /// All of a folder, with every right that an owner has.
    fn give(&self, path: &Path) {
        self.own(path, NOBODY, if path.is_dir() { 0o755 } else { 0o644 });
        for entry in std::fs::read_dir(path).into_iter().flatten() {
            self.give(&entry.unwrap().path());
        }
    }

    fn take_away(&self, path: &Path, mode: u32) {
        // root's own rights, or none but those that are left to others
        self.own(path, 0, if self.is_nobody { mode } else { mode & 0o007 | (mode & 0o007) << 6 });
    }

    fn own(&self, path: &Path, owner: u32, mode: u32) {
        if self.is_nobody {
            chown(path, Some(owner), Some(owner)).unwrap();
        }
        set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
}
