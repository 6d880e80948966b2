//! The program: reads the command line, runs the server, tells the operator why it ended.
use ringgear::config::Config;
use ringgear::server;
use std::process::ExitCode;

fn main() -> ExitCode {
    let config = match Config::from_process() {
        Ok(config) => config,
        Err(status) => return status,
    };
    config.start_log();
    match server::run(config.server, config.frontend) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ringgear: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
