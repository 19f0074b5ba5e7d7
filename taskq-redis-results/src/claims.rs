//! Who runs a task that may be running elsewhere: one hash per task, changed by scripts, so that each change is whole.
//!
//! The times are the server's own, so that the clocks of workers do not matter.

use crate::{
    link::COMMAND_LIMIT,
    live::Shared,
    marks,
    operations::{decoded, millis},
    trouble::Trouble,
};
use redis::Pipeline;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use taskq_core::{
    Bid, BoxFuture, Claim, ClaimAnswer, Hold, ResultError, TaskId,
    defaults::{CLAIM_LEASE, CLAIM_TTL, SILENT_ENDS},
};
use tokio::{
    runtime::Handle,
    time::{MissedTickBehavior, interval_at},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// What is noted of a task's runs, as the scripts see it.
const NOTES: &str = "
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local kept = redis.call('HMGET', KEYS[1], 'round', 'attempt', 'owner', 'until', 'silent', 'carried', 'ended', 'contested',
  'begun')
local notes = {
  round = tonumber(kept[1] or 0), attempt = tonumber(kept[2] or 0), owner = kept[3] or '', held_until = tonumber(kept[4] or 0),
  silent = tonumber(kept[5] or 0), carried = tonumber(kept[6] or 0), ended = kept[7] == '1',
  contested = kept[8] == '1', begun = kept[9] == '1',
}
local function keep(ttl)
  redis.call('HSET', KEYS[1], 'round', notes.round, 'attempt', notes.attempt, 'owner', notes.owner, 'until', notes.held_until,
    'silent', notes.silent, 'carried', notes.carried, 'ended', notes.ended and '1' or '0',
    'contested', notes.contested and '1' or '0', 'begun', notes.begun and '1' or '0')
  redis.call('PEXPIRE', KEYS[1], ttl)
end
";

/// Keys: notes, record. Arguments: round, attempt, owner, lease, time to live, alone, check, most silent ends, look.
/// Answers with a word, a number, and the record if there is one.
const BID: &str = "
local round, attempt, owner = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
local record = redis.call('GET', KEYS[2])
if round < notes.round then return {'carried_out', 0, record} end
if round > notes.round or (ARGV[7] == '1' and notes.ended and not record) then
  notes = {round = round, attempt = 0, owner = '', held_until = 0, silent = 0, carried = 0, ended = false}
end
if notes.carried >= attempt or notes.attempt > attempt then return {'carried_out', 0, record} end
local is_anothers = notes.owner ~= '' and notes.owner ~= owner
-- Before any record is looked at: what follows the end is being done there.
if is_anothers and notes.held_until > now then return {'elsewhere', notes.held_until - now, record} end
-- Which round a record is of cannot be read here.
if round == 0 and record then return {'ended', 0, record} end
if is_anothers and not notes.contested then
  -- Nobody could renew while the server was away, and whoever asks first need not be its owner.
  notes.contested, notes.held_until = true, now + tonumber(ARGV[4])
  keep(ARGV[5])
  return {'elsewhere', notes.held_until - now, record}
end
if ARGV[9] == '1' then return {'free', 0, record} end
if is_anothers then
  -- The first such end makes it a suspect, be it to blame or not; a suspect is to blame for what it has begun.
  if notes.silent == 0 or notes.begun then notes.silent = notes.silent + 1 end
  notes.owner = ''
end
if notes.attempt < attempt then
  notes.attempt, notes.silent = attempt, 0
end
local answer = 'run'
if notes.silent >= tonumber(ARGV[8]) then
  answer = 'poison'
elseif notes.silent > 0 and ARGV[6] ~= '1' then
  answer = 'suspect'
else
  if notes.owner ~= owner then notes.begun = false end
  notes.owner, notes.held_until, notes.contested = owner, now + tonumber(ARGV[4]), false
end
keep(ARGV[5])
return {answer, notes.silent, record}
";

/// Keys: notes. Arguments: owner, lease, time to live, whether the run begins. Answers whether the claim is still the
/// owner's.
const RENEW: &str = "
if notes.owner ~= ARGV[1] then return 0 end
if ARGV[4] == '1' then notes.begun = true end
notes.held_until, notes.contested = now + tonumber(ARGV[2]), false
keep(ARGV[3])
return 1
";

/// Keys: notes. Arguments: owner, time to live.
const GIVE_BACK: &str = "
if notes.owner ~= ARGV[1] then return 0 end
notes.owner = ''
keep(ARGV[2])
return 1
";

/// Keys: notes. Arguments: round, attempt, owner, time to live, ended.
const CARRIED_OUT: &str = "
local round, attempt, owner = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
if notes.owner ~= '' and notes.owner ~= owner and notes.held_until > now then return 0 end
if notes.round > round or (notes.round == round and notes.attempt > attempt) then return 0 end
notes = {round = round, attempt = attempt, owner = '', held_until = 0, silent = 0, carried = attempt, ended = ARGV[5] == '1'}
keep(ARGV[4])
return 1
";

pub(crate) async fn claim(shared: Arc<Shared>, handle: Handle, bid: Bid) -> Result<ClaimAnswer, ResultError> {
    let asked = Instant::now();
    if !bid.look {
        // An end of this process counts from here on, also if it comes before the answer.
        tracing::debug!(task.id = %bid.run.task, "a run is about to be claimed");
    }
    let (word, number, record) = ask(&shared, &bid).await.map_err(|trouble| shared.error(trouble))?;
    match word.as_str() {
        "carried_out" => return Ok(ClaimAnswer::CarriedOut),
        "elsewhere" => return Ok(ClaimAnswer::Elsewhere { lease: Duration::from_millis(number) }),
        _ => {}
    }
    let claim = (word == "run").then(|| Held::claim(shared.clone(), handle, &bid, asked));
    let record = record.map(|bytes| decoded(&bid.run.task, &bytes)).transpose();
    match (record.map(|record| record.filter(|record| record.round >= bid.run.round)), claim) {
        (Ok(None), Some(claim)) => unless_marked(&shared, &bid, claim).await,
        (Ok(None), None) if word == "free" => Ok(ClaimAnswer::Free),
        (Ok(None), None) => {
            let silent = u32::try_from(number).unwrap_or(u32::MAX);
            Ok(if word == "suspect" { ClaimAnswer::Suspect { silent } } else { ClaimAnswer::Poison { silent } })
        }
        (ended, claim) => {
            if let Some(claim) = claim {
                claim.give_back().await?;
            }
            ended.map(|record| record.map_or(ClaimAnswer::CarriedOut, |record| ClaimAnswer::Ended(Box::new(record))))
        }
    }
}

/// A copy is not run while a run goes on that needs no claim.
async fn unless_marked(shared: &Shared, bid: &Bid, claim: Claim) -> Result<ClaimAnswer, ResultError> {
    if bid.original || !marks::is_marked(shared, &bid.run.task).await.map_err(|trouble| shared.error(trouble))? {
        return Ok(ClaimAnswer::Run(claim));
    }
    claim.give_back().await?;
    Ok(ClaimAnswer::Elsewhere { lease: CLAIM_LEASE })
}

async fn ask(shared: &Shared, bid: &Bid) -> Result<(String, u64, Option<Vec<u8>>), Trouble> {
    let run = &bid.run;
    let mut commands = redis::pipe();
    script(&mut commands, BID, &[shared.keys.claim(&run.task), shared.keys.record(&run.task)])
        .arg(run.round)
        .arg(run.attempt)
        .arg(&*bid.owner)
        .arg(millis(CLAIM_LEASE))
        .arg(millis(CLAIM_TTL))
        .arg(u8::from(bid.alone))
        .arg(u8::from(bid.check))
        .arg(SILENT_ENDS)
        .arg(u8::from(bid.look));
    let (answer,) = shared.link.ask(&commands, Some(COMMAND_LIMIT)).await?;
    Ok(answer)
}

pub(crate) async fn carried_out(shared: &Shared, bid: &Bid, ended: bool, ttl: Duration) -> Result<(), ResultError> {
    let run = &bid.run;
    let mut commands = redis::pipe();
    script(&mut commands, CARRIED_OUT, &[shared.keys.claim(&run.task)])
        .arg(run.round)
        .arg(run.attempt)
        .arg(&*bid.owner)
        .arg(millis(ttl))
        .arg(u8::from(ended))
        .ignore();
    shared.link.ask(&commands, Some(COMMAND_LIMIT)).await.map_err(|trouble| shared.error(trouble))
}

/// A claim that is held, and renewed on the backend's own runtime: no task can block that.
struct Held {
    lease: Arc<Lease>,
    handle: Handle,
    renewing: AbortOnDropHandle<()>,
}

impl Held {
    fn claim(shared: Arc<Shared>, handle: Handle, bid: &Bid, asked: Instant) -> Claim {
        let (task, owner, lost) = (bid.run.task.clone(), bid.owner.clone(), CancellationToken::new());
        let lease = Arc::new(Lease { shared, task, owner, since: Mutex::new(asked), lost: lost.clone() });
        let renewing = AbortOnDropHandle::new(handle.spawn(keep(lease.clone())));
        Claim::new(lost, Box::new(Held { lease, handle, renewing }))
    }
}

impl Held {
    async fn renew(&self, begins: bool) -> Result<bool, ResultError> {
        let lease = self.lease.clone();
        let asking = AbortOnDropHandle::new(self.handle.spawn(async move { lease.renew(begins).await }));
        let answer = asking.await.unwrap_or_else(|_| Err(Trouble::closed()));
        answer.map_err(|trouble| self.lease.shared.error(trouble))
    }
}

impl Hold for Held {
    fn is_held(&self) -> BoxFuture<'_, Result<bool, ResultError>> {
        Box::pin(async move { if self.lease.age() < CLAIM_LEASE { Ok(true) } else { self.renew(false).await } })
    }

    fn begin(&self) -> BoxFuture<'_, Result<bool, ResultError>> {
        // From here on an end without a word counts, also if it comes before the answer.
        tracing::debug!(task.id = %self.lease.task, "a suspect is about to begin");
        Box::pin(self.renew(true))
    }

    fn give_back(self: Box<Self>) -> BoxFuture<'static, Result<(), ResultError>> {
        Box::pin(async move {
            self.renewing.abort();
            let (shared, task, owner) = (self.lease.shared.clone(), self.lease.task.clone(), self.lease.owner.clone());
            giving_back(self.handle, shared, task, owner).await
        })
    }
}

/// What of a claim is renewed.
struct Lease {
    shared: Arc<Shared>,
    task: TaskId,
    owner: Arc<str>,
    /// When the server was asked for what it last granted.
    since: Mutex<Instant>,
    lost: CancellationToken,
}

impl Lease {
    fn age(&self) -> Duration {
        self.since.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    /// Whether it still is the owner's.
    async fn renew(&self, begins: bool) -> Result<bool, Trouble> {
        let asked = Instant::now();
        let mut commands = redis::pipe();
        script(&mut commands, RENEW, &[self.shared.keys.claim(&self.task)])
            .arg(&*self.owner)
            .arg(millis(CLAIM_LEASE))
            .arg(millis(CLAIM_TTL))
            .arg(u8::from(begins));
        let (is_held,): (bool,) = self.shared.link.ask(&commands, Some(CLAIM_LEASE)).await?;
        if is_held {
            *self.since.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        } else {
            self.lost.cancel();
        }
        Ok(is_held)
    }
}

/// Renews until another worker has the run. A server that is away takes nothing: nobody else can claim there meanwhile.
async fn keep(lease: Arc<Lease>) {
    let period = CLAIM_LEASE / 3;
    let mut turns = interval_at((Instant::now() + period).into(), period);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        match lease.renew(false).await {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => {
                tracing::debug!(task.id = %lease.task, %error, "a claim could not be renewed; trying again");
            }
        }
    }
}

async fn give_back(shared: &Shared, task: &TaskId, owner: &str) -> Result<(), ResultError> {
    let mut commands = redis::pipe();
    script(&mut commands, GIVE_BACK, &[shared.keys.claim(task)]).arg(owner).arg(millis(CLAIM_TTL)).ignore();
    shared.link.ask(&commands, Some(COMMAND_LIMIT)).await.map_err(|trouble| shared.error(trouble))
}

/// The same on the backend's own runtime; it goes on when the future is dropped.
async fn giving_back(handle: Handle, shared: Arc<Shared>, task: TaskId, owner: Arc<str>) -> Result<(), ResultError> {
    let backend = shared.clone();
    let giving_back = handle.spawn(async move { give_back(&shared, &task, &owner).await });
    giving_back.await.unwrap_or_else(|_| Err(backend.error(Trouble::closed())))
}

/// Adds one of the scripts above, with its keys; its arguments follow.
fn script<'a>(commands: &'a mut Pipeline, script: &str, keys: &[String]) -> &'a mut Pipeline {
    commands.cmd("EVAL").arg(format!("{NOTES}{script}")).arg(keys.len()).arg(keys)
}
