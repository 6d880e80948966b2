//! The program: reads the command line, runs the server, tells the operator why it ended.
use ringgear::config::Config;
use ringgear::config::offline::Order;
use ringgear::log_at;
use ringgear::logging::{self, Level, Target};
use ringgear::maintenance::{self, MaintenanceError};
use ringgear::server;
use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == "store") {
        return look_after(arguments);
    }
    let config = match Config::from_process() {
        Ok(config) => config,
        Err(status) => return status,
    };
    config.start_log();
    let status = match server::run(config.server, config.frontend) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringgear: {error}");
            if config.log.target != Target::Stderr {
                log_at!(Level::Fatal, "{error}");
            }
            ExitCode::from(error.exit_code())
        }
    };
    logging::flush();
    status
}

/// `ringgear store ...`: the status is 0 if it was done, 1 if the store is damaged or the line is wrong, 74 if the store
/// cannot be used.
fn look_after(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    const EX_IOERR: u8 = 74;
    let order = match Order::read(arguments) {
        Ok(order) => order,
        Err((text, true)) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Err((text, false)) => {
            eprint!("{text}");
            return ExitCode::FAILURE;
        }
    };
    match maintenance::run(order, &mut io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringgear store: {error}");
            if matches!(error, MaintenanceError::Damaged) {
                ExitCode::FAILURE
            } else {
                ExitCode::from(EX_IOERR)
            }
        }
    }
}
