//! Asks the providers of pools for machines, on the replica that leads. What is asked, and what
//! follows from an answer, is the planners' business; nothing is asked before it is on record.

pub mod exec;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::pool::provider::Provider;
use atoll_model::pool::{Given, Pool};
use atoll_model::{Any, Level, Object, Reason, Span, Timestamp, Write};
use atoll_plan::pool::ask::{self, About, Listing, Question, Unanswered};
use atoll_plan::{Context, Plan};
use atoll_store::Epoch;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::commit::Refusal;
use crate::{App, Server, auth};

/// So many questions at a time, to all providers; each pool may have its list besides.
const AT_A_TIME: usize = 8;
/// What is due is looked for at least this often.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// What is written within this time is looked at together.
const GATHER: Duration = Duration::from_millis(20);
/// An answer that could not be committed is tried so often.
const ATTEMPTS: usize = 20;
/// With a pause between.
const PAUSE: Duration = Duration::from_millis(250);
/// A machine may join so much longer than it is waited for: its clock may be wrong.
const TOKEN_GRACE: Span = Span::seconds(300);

/// What providers need of this machine.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// This program, which speaks to container engines; without it no pool is of containers.
    pub program: Option<PathBuf>,
    /// Directories below which programs of pools may be: whoever may write a pool would otherwise
    /// run anything on this machine.
    pub programs: Vec<PathBuf>,
}

/// What is under way.
#[derive(Debug, Default)]
struct Work {
    /// Machines that are asked for, by pool and key.
    machines: HashSet<(String, String)>,
    /// Pools whose provider is making a list.
    lists: HashSet<String>,
    /// When each list was there last.
    listed: HashMap<String, Timestamp>,
}

impl Server {
    /// What is known on this machine to be wrong with pools that are written: programs that could
    /// not be run. Whoever leads may have others.
    pub(crate) fn pool_remarks<'a>(&self, written: impl Iterator<Item = &'a Any>) -> Vec<Reason> {
        let of = |any: &Any| -> Vec<Reason> {
            let Any::Pool(pool) = any else { return Vec::new() };
            let Provider::Exec(programs) = &pool.spec.provider else { return Vec::new() };
            if pool.meta.deleting() {
                return Vec::new();
            }
            let wrong = exec::unusable(&self.pool_places.programs, programs).into_iter();
            let told = wrong.map(|why| {
                let message = format!("pool/{}: spec.provider.exec.{why}", pool.name());
                Reason::new("no-program", message)
                    .hint("it is taken, and nothing is made until that is so; see atoll why")
            });
            told.collect()
        };
        written.flat_map(of).collect()
    }
}

/// Asks until the server stops.
pub async fn run(app: App) {
    let work = Arc::new(Mutex::new(Work::default()));
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut follow = app.cache.follow();
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            _ = follow.changed() => {}
            () = tokio::time::sleep(LOOK_EVERY) => {}
            Some(_) = tasks.join_next() => {}
        }
        tokio::time::sleep(GATHER).await;
        let Some(epoch) = app.epoch() else {
            // Whoever leads now asks; what came of a question that is dropped here, its list says.
            tasks.abort_all();
            *work.lock().unwrap_or_else(PoisonError::into_inner) = Work::default();
            continue;
        };
        let (world, now) = (app.cache.world(), app.clock.now());
        for pool in world.all::<Pool>() {
            let name = pool.meta.name.clone();
            if lock(&work).begin_list(pool, now) {
                let (app, work) = (app.clone(), work.clone());
                tasks.spawn(async move {
                    app.list_machines(epoch, &name).await;
                    let now = app.clock.now();
                    let mut work = lock(&work);
                    work.lists.remove(&name);
                    work.listed.insert(name, now);
                });
            }
        }
        for question in ask::due(&world, now) {
            let Ok(place) = places.clone().try_acquire_owned() else { break };
            let machine = machine_of(&question);
            if !lock(&work).machines.insert(machine.clone()) {
                continue;
            }
            let (app, work) = (app.clone(), work.clone());
            tasks.spawn(async move {
                app.ask_provider(epoch, &question).await;
                lock(&work).machines.remove(&machine);
                drop(place);
            });
        }
    }
}

fn lock(work: &Mutex<Work>) -> std::sync::MutexGuard<'_, Work> {
    work.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work {
    fn begin_list(&mut self, pool: &Object<Pool>, now: Timestamp) -> bool {
        let last = self.listed.get(pool.name()).copied().unwrap_or_default();
        let due = ask::list_at(pool, last).is_some_and(|at| at <= now);
        due && self.lists.insert(pool.meta.name.clone())
    }
}

fn machine_of(question: &Question) -> (String, String) {
    let machine = match &question.about {
        About::Create(key) | About::Delete(key) => key,
        About::Orphan(id) => id,
    };
    (question.pool.clone(), machine.clone())
}

impl Server {
    /// Asks one question: it is recorded, asked, and its answer recorded.
    async fn ask_provider(&self, epoch: Epoch, question: &Question) {
        let secret = auth::secret();
        let mut asked = None;
        let make = |cx: &Context| {
            let mut plan = ask::asking(cx, question);
            if !plan.writes.is_empty() {
                asked = Some(cx.now);
                plan.writes.extend(join_token(cx, question, &secret).map(Write::Put));
            }
            Ok::<_, Vec<Reason>>(plan)
        };
        let actor = Actor::controller("pool");
        if let Err(error) = self.commit(&actor, Some(epoch), make).await {
            return tracing::warn!("could not record what is asked for {}: {error}", question.pool);
        }
        let Some(asked) = asked else { return };
        let began = self.clock.elapsed();
        let answer = self.answer_of(question, &secret).await;
        let took = self.clock.elapsed().saturating_sub(began);
        let deed = match question.about {
            About::Create(_) => "create",
            About::Delete(_) | About::Orphan(_) => "delete",
        };
        self.figures.observe("atoll_pool_provider_duration_seconds", &[("action", deed)], took);
        let outcome = if answer.is_ok() { "done" } else { "failed" };
        let labels = [("action", deed), ("outcome", outcome)];
        self.figures.count("atoll_pool_provider_calls_total", &labels);
        self.note_answer(epoch, |cx| ask::answered(cx, question, asked, &answer)).await;
    }

    async fn answer_of(
        &self,
        question: &Question,
        secret: &str,
    ) -> Result<Option<Given>, Unanswered> {
        let world = self.cache.world();
        let pool = world.get::<Pool>(&question.pool);
        let pool = pool.ok_or_else(|| Unanswered::unasked("the pool is gone"))?;
        let request = self.request(pool, question, secret);
        let said = self.call(&pool.spec.provider, &request).await?;
        match &question.about {
            About::Create(key) => Ok(said.machines.into_iter().find(|given| given.key == *key)),
            About::Delete(_) | About::Orphan(_) => Ok(None),
        }
    }

    /// What a provider is told of a question.
    fn request(&self, pool: &Object<Pool>, question: &Question, secret: &str) -> exec::Request {
        let mut request = exec::Request::new(pool, "delete");
        match &question.about {
            About::Create(key) => {
                request.action = "create".to_owned();
                request.key = Some(key.clone());
                request.token = Some(match &self.authority {
                    Some(authority) => format!("{secret}.{}", authority.fingerprint()),
                    None => secret.to_owned(),
                });
                request.servers = self.addresses();
                request.labels = pool.spec.labels_of_hosts(pool.name());
                request.zone.clone_from(&pool.spec.zone);
            }
            About::Delete(key) => {
                request.key = Some(key.clone());
                request.id = pool.status.machines.get(key).and_then(|one| one.id.clone());
            }
            About::Orphan(id) => {
                request.key = pool.status.orphans.get(id).map(|orphan| orphan.key.clone());
                request.id = Some(id.clone());
            }
        }
        request
    }

    /// Asks which machines there are, and records what is said.
    async fn list_machines(&self, epoch: Epoch, name: &str) {
        let (world, began) = (self.cache.world(), self.clock.now());
        let Some(pool) = world.get::<Pool>(name) else { return };
        let request = exec::Request::new(pool, "list");
        let answer = self
            .call(&pool.spec.provider, &request)
            .await
            .map(|said| Listing { account: said.account, machines: said.machines })
            .map_err(|unanswered| unanswered.why);
        let outcome = if answer.is_ok() { "done" } else { "failed" };
        let labels = [("action", "list"), ("outcome", outcome)];
        self.figures.count("atoll_pool_provider_calls_total", &labels);
        self.note_answer(epoch, |cx| ask::listed(cx, name, began, &answer)).await;
    }

    async fn call(
        &self,
        provider: &Provider,
        request: &exec::Request,
    ) -> Result<exec::Said, Unanswered> {
        match provider {
            Provider::Static(_) => Ok(exec::Said::default()),
            Provider::Docker(containers) => {
                let program = self.pool_places.program.as_ref();
                let unstarted = "this server was not started with --pool-containers";
                let program = program.ok_or_else(|| Unanswered::unasked(unstarted))?;
                exec::containers(program, containers, request, provider.timeout()).await
            }
            Provider::Exec(programs) => {
                exec::programs(&self.pool_places.programs, programs, request).await
            }
        }
    }

    /// Commits what came of a question.
    async fn note_answer(&self, epoch: Epoch, make: impl Fn(&Context) -> Plan) {
        let actor = Actor::controller("pool");
        for _ in 0..ATTEMPTS {
            let make = |cx: &Context| Ok::<_, Vec<Reason>>(make(cx));
            match self.commit(&actor, Some(epoch), make).await {
                Ok(_) | Err(Refusal::Invalid(_)) => return,
                Err(Refusal::Store(atoll_store::CommitError::Fenced { .. })) => return,
                Err(error) => tracing::warn!("could not note what a provider said: {error}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// The token one machine joins with, once, and as no other.
fn join_token(cx: &Context, question: &Question, secret: &str) -> Option<Any> {
    let About::Create(key) = &question.about else { return None };
    let pool = cx.world.get::<Pool>(&question.pool)?;
    let ends = cx.now + pool.spec.join_within + pool.spec.provider.timeout() + TOKEN_GRACE;
    let mut token = auth::token(secret, Level::Join, None, Some(ends));
    token.spec.host = Some(key.clone());
    token.meta.created_at = Some(cx.now);
    token.meta.generation = 1;
    Some(Any::Token(Arc::new(token)))
}
