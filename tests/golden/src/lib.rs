//! Forms that people and other programs hold on to, kept as files; see `tests/`. `UNBATCH_BLESS=1` rewrites them.
