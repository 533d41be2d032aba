//! The command line of the operator.

use std::{error::Error, process::ExitCode};

use clap::Parser;
use portal_operator::{
    cli,
    settings::{Command, CommandLine},
};

fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let is_diff = matches!(command, Command::Diff(_));
    match act(&command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("portal-operator: {}", chain(&*error));
            ExitCode::from(if is_diff { 2 } else { 1 })
        }
    }
}

fn act(command: &Command) -> Result<ExitCode, Box<dyn Error>> {
    match command {
        Command::Crd => print!("{}", cli::crd::text()?),
        Command::Render(settings) => print!("{}", cli::render::text(settings)?),
        Command::Run(settings) => runtime()?.block_on(cli::run::run(settings))?,
        Command::Diff(settings) => {
            let text = runtime()?.block_on(cli::diff::text(settings))?;
            print!("{text}");
            return Ok(ExitCode::from(u8::from(!text.is_empty())));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their causes in their own text.
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
