//! Fetches what runs are of, looks for new commits, and tells the place they come from how they
//! did. It works on the replica that leads. Which run wants what, and what follows from it, is the
//! planners' business.

pub mod address;
pub mod fetch;
pub mod git;
pub mod heads;
pub mod pattern;
pub mod read;
pub mod tell;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::{Pipeline, Reason, Timestamp};
use atoll_plan::ci::sourced;
use atoll_plan::{Context, Plan};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::{App, Keep, Server};

/// So many jobs of each sort at a time: repositories that hang hold up neither each other's runs
/// nor what was pushed here.
const AT_A_TIME: usize = 4;
/// What is due is looked for at least this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What is written within this time is looked at together.
const GATHER: Duration = Duration::from_millis(20);
/// Repositories served here are looked at this often, besides after each push.
const SERVED_EVERY: Duration = Duration::from_secs(30);
/// What failed is tried again after this time, then after twice that, and so on.
const FIRST_PAUSE_MS: i64 = 2_000;
const LONGEST_PAUSE_MS: i64 = 60_000;

/// Where sources are kept on this machine.
#[derive(Clone, Debug)]
pub struct Places {
    /// Copies of repositories elsewhere; they may be thrown away.
    pub copies: PathBuf,
    /// Repositories served here; none, where replicas share a database and no disk.
    pub served: Option<PathBuf>,
    /// Where repositories of this machine may be fetched from.
    pub local: Vec<PathBuf>,
}

impl Places {
    /// The places that go with where state is kept.
    pub fn of(keep: &Keep, port: u16, local: &[PathBuf]) -> Places {
        let (copies, served) = match keep {
            Keep::Directory(dir) => (dir.join("sources"), Some(dir.join("git"))),
            Keep::Postgres(_) => (std::env::temp_dir().join(format!("atoll-sources-{port}")), None),
        };
        Places { copies, served, local: local.to_vec() }
    }
}

/// What is being done.
#[derive(Debug, Hash, PartialEq, Eq, Clone)]
enum Job {
    /// The source of a run.
    Source(String),
    /// New commits of a pipeline whose repository is elsewhere.
    Heads(String),
    /// New commits of a pipeline whose repository is served here.
    Pushed(String),
    /// The state of the commit of a run.
    Tell(String),
}

/// Jobs on their way, and those that failed, with when to try them again.
#[derive(Debug, Default)]
struct Work {
    busy: HashSet<Job>,
    failed: HashMap<Job, (u32, Timestamp)>,
}

impl Work {
    fn may_begin(&mut self, job: &Job, now: Timestamp) -> bool {
        let waits = self.failed.get(job).is_some_and(|(_, until)| *until > now);
        !waits && self.busy.insert(job.clone())
    }

    fn ended(&mut self, job: &Job, done: bool, now: Timestamp) {
        self.busy.remove(job);
        if done {
            self.failed.remove(job);
            return;
        }
        let (times, until) = self.failed.entry(job.clone()).or_insert((0, now));
        let pause = (FIRST_PAUSE_MS << (*times).min(10)).min(LONGEST_PAUSE_MS);
        (*times, *until) = (*times + 1, Timestamp(now.0 + pause));
    }
}

/// Places for jobs, by what may hold them up.
struct Lanes {
    /// What runs wait for, and what is told about them.
    runs: Arc<Semaphore>,
    /// Looking for commits elsewhere.
    polls: Arc<Semaphore>,
    /// Looking into repositories served here.
    served: Arc<Semaphore>,
}

impl Default for Lanes {
    fn default() -> Lanes {
        let lane = || Arc::new(Semaphore::new(AT_A_TIME));
        Lanes { runs: lane(), polls: lane(), served: lane() }
    }
}

impl Lanes {
    fn of(&self, job: &Job) -> Arc<Semaphore> {
        let lane = match job {
            Job::Source(_) | Job::Tell(_) => &self.runs,
            Job::Heads(_) => &self.polls,
            Job::Pushed(_) => &self.served,
        };
        Arc::clone(lane)
    }
}

/// Works until the server stops.
pub async fn run(app: App) {
    let teller = match tell::Teller::new() {
        Ok(teller) => Arc::new(teller),
        Err(error) => return tracing::error!("sources cannot be fetched: {error}"),
    };
    let work = Arc::new(Mutex::new(Work::default()));
    let places = Lanes::default();
    let mut served = tokio::time::interval(SERVED_EVERY);
    let mut follow = app.cache.follow();
    let mut tasks = JoinSet::new();
    let mut look_at_served = true;
    loop {
        tokio::select! {
            _ = follow.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            _ = served.tick() => look_at_served = true,
            () = app.pushed.notified() => look_at_served = true,
            Some(_) = tasks.join_next() => {}
        }
        // Lets more gather where much is written at once.
        tokio::time::sleep(GATHER).await;
        if app.epoch().is_none() {
            // Whoever leads now does it; what is on its way here ends without a word.
            tasks.abort_all();
            *work.lock().unwrap_or_else(PoisonError::into_inner) = Work::default();
            look_at_served = true;
            continue;
        }
        for job in due(&app, std::mem::take(&mut look_at_served)) {
            let Ok(place) = places.of(&job).try_acquire_owned() else {
                look_at_served |= matches!(job, Job::Pushed(_));
                continue;
            };
            let now = app.clock.now();
            if !work.lock().unwrap_or_else(PoisonError::into_inner).may_begin(&job, now) {
                continue;
            }
            let (app, work, teller) = (app.clone(), work.clone(), teller.clone());
            tasks.spawn(async move {
                let done = app.work_on(&job, &teller).await;
                let now = app.clock.now();
                work.lock().unwrap_or_else(PoisonError::into_inner).ended(&job, done, now);
                drop(place);
            });
        }
    }
}

/// What is to be done, the most urgent first.
fn due(app: &Server, served: bool) -> Vec<Job> {
    let (world, now) = (app.cache.world(), app.clock.now());
    let mut jobs: Vec<Job> = sourced::wanted(&world).into_iter().map(Job::Source).collect();
    let told = sourced::to_tell(&world).into_iter().map(|(run, _)| run);
    jobs.extend(told.filter(|run| tell::can_be(&world, run)).map(Job::Tell));
    jobs.extend(sourced::to_poll(&world, now).into_iter().map(Job::Heads));
    if served {
        let here = world.all::<Pipeline>().filter(|pipeline| {
            pipeline.spec.source.as_ref().is_some_and(|source| source.git.is_none())
        });
        jobs.extend(here.map(|pipeline| Job::Pushed(pipeline.meta.name.clone())));
    }
    jobs
}

impl Server {
    /// Does one job; false, if it is to be tried again.
    async fn work_on(&self, job: &Job, teller: &tell::Teller) -> bool {
        match job {
            Job::Source(run) => self.fetch_source(run).await,
            Job::Heads(pipeline) | Job::Pushed(pipeline) => self.look_for_commits(pipeline).await,
            Job::Tell(run) => self.tell_state(teller, run).await,
        }
    }

    /// Commits what was found, under the lease.
    async fn note_source(&self, make: impl FnOnce(&Context) -> Plan) -> bool {
        let Some(epoch) = self.epoch() else { return false };
        let actor = Actor::controller("source");
        let make = |cx: &Context| Ok::<_, Vec<Reason>>(make(cx));
        match self.commit(&actor, Some(epoch), make).await {
            Ok(_) => true,
            Err(error) => {
                tracing::warn!("could not note what a repository holds: {error}");
                false
            }
        }
    }
}
