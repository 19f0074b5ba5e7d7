//! The broker inside the process.

use crate::{
    amounts::CALLERS,
    contest::{Contender, Contest},
    findings::Findings,
    measure::{self, Part},
    protocol::{Kind, Role, Side},
    setting::Setting,
    targets::{
        Row,
        Wanted::{AtLeast, Nothing},
    },
};
use anyhow::Result;
use futures_util::FutureExt;

pub(crate) async fn measure(setting: &Setting) -> Result<Findings> {
    // Nothing is done there.
    let place = &setting.place(Kind::Quorum, 0);
    let contender = |name, side| {
        let role = Role::InMemory { side, callers: CALLERS as u64, tasks: setting.amounts.in_memory };
        Contender::new(name, move || measure::alone(&setting.servers, place, role, Part::Publisher).boxed())
    };
    let held = [contender("tokio", Side::Floor), contender("taskq", Side::Taskq)];
    let contest = Contest::hold("in-memory broker", setting.rounds, &held).await?;
    let row = |what, figure, wanted| Row::ratio(&contest, what, ("taskq", "tokio"), figure, wanted);
    let rows = [row("", "per second", AtLeast(0.4)), row("CPU per task", "publisher cpu", Nothing)];
    let mut findings = Findings::default();
    findings.put(contest, rows);
    Ok(findings)
}
