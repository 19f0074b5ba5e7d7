//! The command line.

use std::{fmt, path::PathBuf, str::FromStr};
use taskq_core::worker::main::WorkerFlags;

/// Run tasks, list them, work on dead letters.
///
/// APP is the path of the function or static that gives your app, such as `my_app::broker`. It is public, in a library
/// crate of this workspace.
#[derive(Debug, clap::Parser)]
#[command(name = "taskq", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Build and run the worker of an app
    ///
    /// Runs in the directory of its crate, with what `.env` there says. A first SIGTERM or Ctrl-C lets running tasks
    /// finish, a second one stops at once. Exit codes: 0 stopped as asked, 1 wrong set-up or failure, 2 wrong command
    /// line, 3 running tasks were given back.
    Worker {
        /// What gives the app, such as `my_app::broker`
        app: AppPath,
        #[command(flatten)]
        flags: WorkerFlags,
        /// Build and start again whenever a source file changes; the old worker goes on until the build succeeds
        #[arg(long)]
        reload: bool,
        #[command(flatten)]
        build: BuildFlags,
    },
    /// List the tasks of an app
    Tasks {
        /// What gives the app, such as `my_app::broker`
        app: AppPath,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        build: BuildFlags,
    },
    /// Build the worker of an app as one program file, optimised unless `--profile` says otherwise
    Build {
        /// What gives the app, such as `my_app::broker`
        app: AppPath,
        /// Where to put the program
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        #[command(flatten)]
        build: BuildFlags,
    },
    /// List, show and replay tasks that were given up on
    #[command(subcommand)]
    Dead(Dead),
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Dead {
    /// List them, oldest first
    List {
        /// What gives the app, such as `my_app::broker`
        app: AppPath,
        /// Only those of this queue [default: of every queue of the app]
        #[arg(long)]
        queue: Option<String>,
        /// At most so many of each queue [default: 50]
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        build: BuildFlags,
    },
    /// Show one: arguments, error, attempts, times
    Show {
        /// The task's id
        id: String,
        /// What gives the app, such as `my_app::broker`; it may come first
        app: String,
        /// Look only there
        #[arg(long)]
        queue: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        build: BuildFlags,
    },
    /// Put some back into their queues, to be run again from the first attempt
    Replay {
        /// The ids of the tasks
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
        /// What gives the app, such as `my_app::broker`; it may come first
        #[arg(required = true)]
        app: String,
        /// Look only there
        #[arg(long)]
        queue: Option<String>,
        #[command(flatten)]
        build: BuildFlags,
    },
}

impl Dead {
    /// The app, how to build it, and what its worker program is asked.
    ///
    /// # Errors
    /// What is wrong with the app's path.
    pub(crate) fn to_args(&self) -> Result<(AppPath, &BuildFlags, Vec<String>), String> {
        let (app, build, verb, words, queue) = match self {
            Dead::List { app, build, queue, limit, json } => {
                let limit = limit.map(|limit| format!("--limit={limit}"));
                (app.clone(), build, "list", limit.into_iter().chain(flag(*json)).collect(), queue)
            }
            Dead::Show { id, app, build, queue, json } => {
                let (ids, app) = ids_and_app(std::slice::from_ref(id), app)?;
                (app, build, "show", flag(*json).into_iter().chain(positional(ids)).collect(), queue)
            }
            Dead::Replay { ids, app, build, queue } => {
                let (ids, app) = ids_and_app(ids, app)?;
                (app, build, "replay", positional(ids).collect::<Vec<_>>(), queue)
            }
        };
        let queue = queue.iter().map(|queue| format!("--queue={queue}"));
        let arguments = ["dead", verb].into_iter().map(str::to_owned).chain(queue).chain(words);
        Ok((app, build, arguments.collect()))
    }
}

/// The app is the last word, or else the first, as it is with the other commands. An id may look like an app too.
fn ids_and_app(ids: &[String], last: &str) -> Result<(Vec<String>, AppPath), String> {
    let wrong = match last.parse() {
        Ok(app) => return Ok((ids.to_vec(), app)),
        Err(wrong) => wrong,
    };
    match ids.split_first().map(|(first, others)| (first.parse(), others)) {
        Some((Ok(app), others)) => Ok((others.iter().cloned().chain([last.to_owned()]).collect(), app)),
        _ => Err(wrong),
    }
}

fn flag(json: bool) -> Option<String> {
    json.then(|| "--json".to_owned())
}

/// Ids are the callers' own: one may begin with a dash.
fn positional(ids: Vec<String>) -> impl Iterator<Item = String> {
    std::iter::once("--".to_owned()).chain(ids)
}

/// How cargo is to build.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Build")]
pub(crate) struct BuildFlags {
    /// Features of the crate
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub(crate) features: Vec<String>,
    /// All features of the crate
    #[arg(long)]
    pub(crate) all_features: bool,
    /// Without the crate's default features
    #[arg(long)]
    pub(crate) no_default_features: bool,
    /// Optimised
    #[arg(long, conflicts_with = "profile")]
    pub(crate) release: bool,
    /// With this profile of the workspace
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// The crate's or the workspace's Cargo.toml, if not found from here
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest_path: Option<PathBuf>,
}

impl BuildFlags {
    /// The profile's name.
    pub(crate) fn profile(&self) -> &str {
        match &self.profile {
            Some(profile) => profile,
            None if self.release => "release",
            None => "dev",
        }
    }

    /// The same, optimised unless a profile is named.
    pub(crate) fn or_release(mut self) -> Self {
        self.release = self.profile.is_none();
        self
    }
}

/// `my_app::broker`: a crate, and the path of a function or static in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AppPath(String);

impl AppPath {
    /// The crate's name as Rust code writes it.
    pub(crate) fn krate(&self) -> &str {
        self.0.split("::").next().unwrap_or_default()
    }
}

impl FromStr for AppPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split("::").collect();
        if let Some(word) = words.iter().find(|word| !is_identifier(word)) {
            let written = text.replace('-', "_");
            return Err(match written != text && written.parse::<AppPath>().is_ok() {
                true => format!("`{word}` is not a name: Rust code writes `{written}`"),
                false => format!("`{word}` is not a name; write a path such as `my_app::broker`"),
            });
        }
        match words.as_slice() {
            [krate] => Err(format!("`{krate}` names a crate; add the function that gives the app: `{krate}::broker`")),
            _ => Ok(AppPath(text.to_owned())),
        }
    }
}

impl fmt::Display for AppPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_identifier(word: &str) -> bool {
    let mut characters = word.chars();
    characters.next().is_some_and(|c| c.is_alphabetic() || c == '_')
        && characters.all(|c| c.is_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory, Parser};

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn only_a_path_of_names_is_taken_for_an_app() {
        assert_eq!("my_app::setup::broker".parse::<AppPath>().unwrap().krate(), "my_app");
        for bad in ["", "my_app", "my-app::broker", "my_app::", "my_app::broker()", "a::b; c", "::a::b", "1a::b"] {
            assert!(bad.parse::<AppPath>().is_err(), "{bad}");
        }
        let error = "my-app::broker".parse::<AppPath>().unwrap_err();
        assert_eq!(error, "`my-app` is not a name: Rust code writes `my_app::broker`");
    }

    #[test]
    fn the_last_word_of_a_replay_is_the_app() {
        let line = ["taskq", "dead", "replay", "--queue", "mail", "a::1", "b", "my_app::broker"];
        let Command::Dead(dead) = Cli::try_parse_from(line).unwrap().command else { panic!("not dead") };
        let (app, _, arguments) = dead.to_args().unwrap();
        assert_eq!(app.to_string(), "my_app::broker");
        assert_eq!(arguments, ["dead", "replay", "--queue=mail", "--", "a::1", "b"]);
    }

    fn dead(line: &str) -> Result<(String, Vec<String>), String> {
        let words = ["taskq", "dead"].into_iter().chain(line.split_whitespace());
        let Command::Dead(dead) = Cli::try_parse_from(words).unwrap().command else { panic!("not dead") };
        dead.to_args().map(|(app, _, arguments)| (app.to_string(), arguments))
    }

    #[test]
    fn the_app_may_come_first_as_it_does_elsewhere() {
        assert_eq!(dead("show my_app::broker 01a2"), dead("show 01a2 my_app::broker"));
        assert_eq!(dead("replay my_app::broker 01a2 b"), dead("replay 01a2 b my_app::broker"));
        // Where both could be meant, the last word is the app.
        assert_eq!(dead("show a::b my_app::broker").unwrap().0, "my_app::broker");
        let error = dead("show 01a2 b").unwrap_err();
        assert!(error.contains("`b` names a crate") && error.contains("`b::broker`"), "{error}");
    }
}
