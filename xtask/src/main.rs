//! The project's own commands. `cargo xtask help` lists them.
#![allow(clippy::print_stdout, reason = "a command talks to the person who runs it")]

mod bench;
mod cargo;
mod chaos;
mod compose;
mod examples;
mod install;
mod keeper;
mod probe;
mod rabbitmq;
mod redis;
mod servers;

use servers::{Missing, Servers};
use std::process::ExitCode;

/// Errors are for people: one text that says what to do.
type Result<T> = std::result::Result<T, String>;

/// One command, and its line in the help.
struct Command {
    name: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Result<()>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        about: "run every test, doctest and example; finds or starts RabbitMQ and Redis\n\
                --install  install their packages first where they are missing (apt-get)",
        run: test,
    },
    Command {
        name: "services",
        about: "find or start RabbitMQ and Redis, print their URLs, wait for Ctrl-C",
        run: services,
    },
    Command {
        name: "chaos",
        about: "run taskq under faults on private servers, and show what was lost and what ran twice\n\
                --seed N --seconds S  what is drawn, and for how long\n\
                --cluster             three RabbitMQ nodes\n\
                --bug NAME            plant a bug first: the run must find it",
        run: chaos::run,
    },
    Command {
        name: "bench",
        about: "measure taskq beside its floor, on the servers that `test` would use\n\
                --quick               a little of everything: shows that it works\n\
                --only WORK,..        what is measured; --help lists it\n\
                --rounds N --tasks N  how often, and how much\n\
                --json FILE --out DIR figures, and pictures of growth\n\
                --micro [FILTER]      single steps instead, with criterion's options; --test runs each once",
        run: bench::run,
    },
    Command { name: "help", about: "this list", run: help },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = arguments.split_first().map_or(("help", [].as_slice()), |(name, rest)| (name.as_str(), rest));
    let outcome = match COMMANDS.iter().find(|command| command.name == name) {
        Some(command) => (command.run)(rest),
        None => Err(format!("there is no command `{name}`; `cargo xtask help` lists them")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn test(arguments: &[String]) -> Result<()> {
    let missing = match arguments {
        [] => Missing::Name,
        [only] if only == "--install" => Missing::Install,
        _ => return Err(format!("`cargo xtask test` takes only `--install`, not `{}`", arguments.join(" "))),
    };
    let servers = Servers::find_or_start(missing)?;
    cargo::run(&["test", "--workspace", "--all-features", "--no-fail-fast"], &servers.test_env())?;
    cargo::run(&["test", "--workspace", "--all-features", "--examples"], &servers.test_env())?;
    examples::check_all(&servers.example_env())
}

fn services(arguments: &[String]) -> Result<()> {
    no_arguments("services", arguments)?;
    let servers = Servers::find_or_start(Missing::Name)?;
    for (name, value) in servers.test_env() {
        println!("export {name}={value}");
    }
    println!("# Ctrl-C ends the servers that were started here");
    loop {
        std::thread::park();
    }
}

fn help(arguments: &[String]) -> Result<()> {
    no_arguments("help", arguments)?;
    println!("cargo xtask COMMAND\n");
    for Command { name, about, .. } in COMMANDS {
        println!("  {name:<10}{}", about.replace('\n', "\n            "));
    }
    println!(
        "\nRabbitMQ and Redis are looked for at TASKQ_TEST_AMQP_URL and TASKQ_TEST_REDIS_URL, then on localhost; \
         otherwise\nprivate ones are started from installed programs, or with docker compose."
    );
    Ok(())
}

fn no_arguments(command: &str, arguments: &[String]) -> Result<()> {
    match arguments {
        [] => Ok(()),
        _ => Err(format!("`cargo xtask {command}` takes no arguments, not `{}`", arguments.join(" "))),
    }
}
