//! The `unbatch` binary: the worker library with the connectors of this repository.

fn main() -> std::process::ExitCode {
    unbatch::main(unbatch::connectors::built_in())
}
