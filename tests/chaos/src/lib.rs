//! taskq under faults, with a ledger of what was lost and what ran twice.
//!
//! [`run`] starts private servers, publisher processes and worker processes, spoils them by a seeded plan, lets all heal
//! and drain, and checks what every process wrote down. `cargo xtask chaos` runs it.
//!
//! ```text
//!  publisher processes ──> RabbitMQ, Redis (private) ──> worker processes      run: phases, nemesis, drain
//!          │                                                   │                         │
//!          └──────────────> ledgers: one JSONL file per process <────────────────────────┘
//!                                        │
//!                    history ──> check (pure) ──> verdict: table, verdict.json, timelines
//! ```

mod bugs;
mod cast;
mod check;
mod clock;
mod history;
mod journal;
mod ledger;
mod plan;
mod publisher;
mod run;
mod tasks;
mod verdict;
mod worker;

pub use publisher::main as publish;
pub use run::main as run;
pub use worker::{app as worker_app, prepare as prepare_worker};
