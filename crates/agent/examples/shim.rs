//! The shim as a program of its own, for the tests of this crate, which cannot start the product's
//! binary. The product does the same as `atoll shim`.

use std::process::ExitCode;

fn main() -> ExitCode {
    atoll_agent::shim_main(std::env::args_os().skip(2))
}
