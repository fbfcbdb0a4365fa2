//! authd: parse, run, print, exit code 0, 1 (yours) or 2 (ours); nothing else.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(authd::cli::run(std::env::args_os().collect(), &authd::config::Environment::read()))
}
