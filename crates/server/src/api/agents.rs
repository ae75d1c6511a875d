//! What agents ask and report. A host's token speaks for that host only; the guard sees to it.

use std::convert::Infallible;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use atoll_model::agent::{Ask, Assignment, Join, Joined, Report};
use atoll_model::cmdb::facts::{FactsReport, FactsWanted};
use atoll_model::deployment::Instance;
use atoll_model::{Any, Host, Level, Object, Reason, Run, Span, Task, Timestamp, Token, Write};
use atoll_plan::{Context, Plan, cmdb, edit, pool, report};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use hyper::upgrade::OnUpgrade;
use schemars::JsonSchema;
use serde::Deserialize;
use std::sync::Arc;

use super::error::{Answer, ApiError};
use super::onward;
use crate::listen::PeerAddress;
use crate::own::restarts::Restarts;
use crate::{App, auth};

/// A poll waits at most this part of the time after which a host counts as lost, so that two may
/// go astray before it does.
const POLLS_PER_TIMEOUT: u64 = 3;
/// Whether somebody may still follow a log or run a command is asked again this often.
const ASKED_AGAIN: Duration = Duration::from_secs(5);

/// Parameters of an assignment poll.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PollQuery {
    /// The revision the agent has acted on.
    #[serde(default)]
    pub after: u64,
    /// How long to wait for news; never longer than a third of the time after which a host
    /// counts as lost, which is what holds if absent.
    #[serde(default)]
    pub wait: Option<Span>,
    /// What the host's clock says.
    #[serde(default)]
    pub now: Option<Timestamp>,
}

/// `POST /v1/agents/join`.
pub async fn join(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Json(join): Json<Join>,
) -> Answer<Json<Joined>> {
    let secret = auth::secret();
    let name = join.name.clone();
    let token = host_token(&secret, &name);
    let shown = actor.token.clone();
    // The guard has seen to it that the token may join hosts; making host and token is the
    // server's own doing, in the name of whoever joins.
    let server = Actor { level: Level::Admin, ..actor };
    app.commit(&server, None, |cx| {
        may_join(cx, shown.as_deref(), &name)?;
        let mut host = Object::new(name.clone(), Host::default());
        host.meta.labels = join.labels.clone();
        if let Some(known) = cx.world.get::<Host>(&name) {
            // A host that joins again keeps what operators set; its agent's labels are the base.
            host = (**known).clone();
            host.meta.revision = 0;
            host.meta.labels.extend(join.labels.clone());
        }
        // What its pool says of a machine is not the machine's to say.
        host.meta.labels.extend(pool::labels(cx.world, &name));
        let mut plan = edit::apply(cx, vec![Any::Host(Arc::new(host))])?;
        plan.writes.push(Write::Put(stamped(cx, token)));
        let others = cx.world.all::<Token>().filter(|t| t.spec.host.as_deref() == Some(&name));
        // Who joins anew replaces whoever spoke for the host before.
        plan.writes.extend(others.map(|t| Write::Delete {
            kind: atoll_model::Kind::Token,
            name: t.meta.name.clone(),
            revision: t.meta.revision,
        }));
        plan.reasons.push(Reason::new("joined", format!("host {name} joined")));
        Ok(plan)
    })
    .await?;
    app.measure.heard(&join.name, app.clock.now());
    let facts = Report { facts: Some(join.facts), ..Report::default() };
    app.reports.send(Actor::host(&join.name), facts).await?;
    Ok(Json(Joined { host: join.name, token: secret, servers: app.addresses() }))
}

/// A token that was made for one machine joins that one, once, while its pool waits for it.
fn may_join(cx: &Context, shown: Option<&str>, name: &str) -> Result<(), Vec<Reason>> {
    let token = shown.and_then(|token| cx.world.get::<Token>(token));
    let Some(only) = token.and_then(|token| token.spec.host.as_deref()) else { return Ok(()) };
    if only != name {
        let message = format!("this token is for {only} and not for {name}");
        return Err(vec![Reason::new("denied", message).hint(format!("join as {only}: --name"))]);
    }
    if !pool::awaits(cx.world, name) {
        let message = format!("no pool waits for {name} any more");
        return Err(vec![Reason::new("denied", message)]);
    }
    Ok(())
}

fn host_token(secret: &str, host: &str) -> Object<Token> {
    let mut token = auth::token(secret, Level::Host, None, None);
    token.spec.host = Some(host.to_owned());
    token
}

fn stamped(cx: &Context, mut token: Object<Token>) -> Any {
    token.meta.created_at = Some(cx.now);
    token.meta.generation = 1;
    Any::Token(Arc::new(token))
}

/// `GET /v1/agents/{name}/assignment`.
pub async fn assignment(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<PollQuery>,
) -> Answer<Response> {
    let now = app.clock.now();
    if app.cache.world().get::<Host>(&name).is_none() {
        let title = format!("host {name} is not known here; join again with a join token");
        return Err(ApiError::new(StatusCode::GONE, "gone", title));
    }
    if app.measure.heard(&name, now) {
        app.host_returned(&name);
    }
    if app.measure.polled(&name, now) {
        app.tell_others();
    }
    if let Some(at) = query.now {
        note_clock(&app, &name, at.0.saturating_sub(now.0)).await;
    }
    let longest = Span(app.measure.read().host_timeout.0 / POLLS_PER_TIMEOUT);
    let wait = query.wait.unwrap_or(longest).min(longest);
    let slot = app.cache.host(&name);
    let news = async {
        loop {
            let woken = slot.changed.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            if slot.revision.load(Ordering::SeqCst) > query.after || app.relay.has_news(&name) {
                return;
            }
            woken.await;
        }
    };
    let found = tokio::time::timeout(wait.std(), news).await;
    app.measure.polled(&name, app.clock.now());
    app.measure.heard(&name, app.clock.now());
    if found.is_err() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let world = app.cache.world();
    let mut assignment: Assignment = report::assignment(&world, &name);
    for task in &mut assignment.tasks {
        let run = world.get::<Task>(&task.name).map(|task| task.spec.run.clone());
        let run = run.and_then(|run| world.get::<Run>(&run));
        let pipeline = run.map(|run| run.spec.pipeline.clone()).unwrap_or_default();
        for (variable, secret) in &task.work.secrets {
            // One that was deleted meanwhile is missed by the task itself.
            let value = app.secret_text(&world, &pipeline, secret).await;
            task.secrets.extend(value.map(|value| (variable.clone(), value)));
        }
    }
    assignment.sessions = app.relay.tell(&name);
    assignment.servers = app.addresses();
    Ok(Json(assignment).into_response())
}

/// Has it written down that a host's clock is off, or is no more.
async fn note_clock(app: &App, name: &str, ahead: i64) {
    let believed = app.measure.clock(name, ahead);
    let host = app.cache.world().get::<Host>(name).cloned();
    let news = believed.zip(host).and_then(|(ahead, host)| cmdb::clock::news(&host, ahead));
    let Some(report) = news else { return };
    if let Err(error) = app.reports.send(Actor::host(name), report).await {
        // It is news still when the host asks again.
        let why = error.0.title;
        tracing::warn!(host = name, why, "could not note how far off its clock is");
    }
}

/// `POST /v1/agents/{name}/report`.
pub async fn report_in(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Json(report): Json<Report>,
) -> Answer<StatusCode> {
    if app.measure.heard(&name, app.clock.now()) {
        app.host_returned(&name);
    }
    app.reports.send(Actor { host: Some(name), ..actor }, report).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `POST /v1/agents/{name}/facts`: takes what has changed, and says what is wanted besides.
pub async fn facts_in(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Json(told): Json<FactsReport>,
) -> Answer<Json<FactsWanted>> {
    if !told.parts.is_empty() {
        let report = Report { found: told.parts.clone(), ..Report::default() };
        app.reports.send(Actor { host: Some(name.clone()), ..actor }, report).await?;
    }
    Ok(Json(cmdb::facts::wanted(&app.cache.world(), &name, &told)))
}

/// `GET /v1/agents/{name}/sessions/{id}`: the agent's end of a session.
pub async fn answer_session(
    State(app): State<App>,
    Path((name, id)): Path<(String, String)>,
    upgrade: WebSocketUpgrade,
) -> Answer<Response> {
    if !app.relay.expects(&name, &id) {
        return Err(ApiError::not_found("session; whoever asked has gone"));
    }
    let relay = app.relay.clone();
    Ok(upgrade.on_upgrade(move |socket| async move {
        // If the person has gone meanwhile, dropping the socket tells the agent.
        relay.answer(&id, socket);
    }))
}

/// Parameters of a session.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SessionQuery {
    /// An [`Ask`](atoll_model::agent::Ask) as JSON.
    pub ask: String,
}

/// `GET /v1/instances/{name}/session`: a person's end of a session.
pub async fn open_session(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Query(query): Query<SessionQuery>,
    ConnectInfo(PeerAddress(peer)): ConnectInfo<PeerAddress>,
    shown: Shown,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let ask = asked(&query)?;
    let is_exec = matches!(ask, Ask::Exec { .. });
    let verb = if is_exec { Verb::Exec } else { Verb::Logs };
    let instance = app.sight(&actor).get::<Instance>(verb, &name)?;
    let host = instance.spec.host.clone();
    let from = peer.ip().to_string();
    let wish = Wish { actor, verb, any: Any::Instance(instance), host, from };
    announce(&app, wish, ask, shown, upgrade).await
}

/// `GET /v1/tasks/{name}/session`: the log of a task that is not over, as it grows.
pub async fn open_task_session(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(name): Path<String>,
    Query(query): Query<SessionQuery>,
    ConnectInfo(PeerAddress(peer)): ConnectInfo<PeerAddress>,
    shown: Shown,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    let ask = asked(&query)?;
    if matches!(ask, Ask::Exec { .. }) {
        let title = "a task does its own work only; its log may be followed";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "denied", title));
    }
    let task = app.sight(&actor).get::<Task>(Verb::Logs, &name)?;
    let Some(host) = task.spec.host.clone().filter(|_| !task.status.phase.is_over()) else {
        let why = match task.status.phase.is_over() {
            true => "it is over; its whole log is at /v1/tasks/NAME/log",
            false => "it has no host yet; see atoll why task/NAME",
        };
        return Err(ApiError::conflict(format!("task/{name}: {}", why.replace("NAME", &name))));
    };
    let from = peer.ip().to_string();
    let wish = Wish { actor, verb: Verb::Logs, any: Any::Task(task), host, from };
    announce(&app, wish, ask, shown, upgrade).await
}

fn asked(query: &SessionQuery) -> Answer<Ask> {
    serde_json::from_str(&query.ask).map_err(|e| ApiError::invalid(format!("ask: {e}"), Vec::new()))
}

/// What came with the question for a session, apart from what it asks.
#[derive(Debug)]
pub struct Shown {
    uri: Uri,
    headers: HeaderMap,
    near: Option<OnUpgrade>,
}

impl<S: Sync> FromRequestParts<S> for Shown {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Shown, Infallible> {
        Ok(Shown {
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            near: parts.extensions.get::<OnUpgrade>().cloned(),
        })
    }
}

/// Who wants a session with what, and by what right.
pub(super) struct Wish {
    actor: Actor,
    verb: Verb,
    any: Any,
    host: String,
    from: String,
}

impl Wish {
    /// Ends when the right is taken away, or what was shown for it is no longer good, and says
    /// which.
    pub(super) async fn taken_away(&self, app: &App) -> String {
        loop {
            tokio::time::sleep(ASKED_AGAIN).await;
            let sight = app.sight(&self.actor);
            let known = auth::still_good(&sight.world, &self.actor, app.clock.now());
            if !known {
                let why = "what you signed in with is not good any more; see `atoll login`";
                return format!("access ended: {why}");
            }
            if !sight.may.allows(&sight.world, self.verb, &self.any) {
                let (who, verb) = (&self.actor.name, self.verb.name());
                return format!("access ended: {who} may not {verb} {} any more", self.any.id());
            }
        }
    }
}

/// Tells a host's agent of a session, at the replica it polls.
async fn announce(
    app: &App,
    wish: Wish,
    ask: Ask,
    shown: Shown,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Answer<Response> {
    app.exchange().await;
    let name = wish.any.name().to_owned();
    let passed_on = app.passed_on(&shown.headers).is_some();
    if let Some(address) = app.measure.polled_at(&wish.host) {
        // The agent is told of sessions by the replica it polls.
        let Some(near) = shown.near.filter(|_| !passed_on) else {
            let title = format!("host {} has moved to another replica; ask again", wish.host);
            return Err(ApiError::conflict(title));
        };
        let _proper = upgrade.map_err(|e| ApiError::invalid(e.to_string(), Vec::new()))?;
        let path = shown.uri.path_and_query().map_or("", |path| path.as_str());
        app.record_exec(&wish.actor, &name, &ask, Some(wish.from.clone())).await?;
        let who = &wish.actor.name;
        let opened = onward::open(app, &address, path, &shown.headers, who).await?;
        return Ok(onward::join(app, wish, near, opened));
    }
    let upgrade = upgrade.map_err(|e| ApiError::invalid(e.to_string(), Vec::new()))?;
    if !passed_on {
        app.record_exec(&wish.actor, &name, &ask, Some(wish.from.clone())).await?;
    }
    let (id, agent) = app.relay.announce(&wish.host, &name, ask);
    app.cache.host(&wish.host).changed.notify_waiters();
    let app = app.clone();
    Ok(upgrade.on_upgrade(async move |person| {
        let (relay, host) = (app.relay.clone(), wish.host.clone());
        let ended = wish.taken_away(&app);
        crate::relay::serve(relay, id, host, (person, agent), ended).await;
    }))
}

/// Reports on their way to the store: those that come together are committed together.
#[derive(Debug)]
pub struct Reports {
    queue: tokio::sync::mpsc::Sender<Reported>,
}

type Done = tokio::sync::oneshot::Sender<Answer<()>>;
type Reported = (Actor, Report, Done);

impl Reports {
    /// The queue and its far end.
    pub fn new() -> (Reports, tokio::sync::mpsc::Receiver<Reported>) {
        let (queue, receiver) = tokio::sync::mpsc::channel(4_096);
        (Reports { queue }, receiver)
    }

    /// Hands in a report and waits until it is committed.
    ///
    /// # Errors
    /// Why it was not committed.
    pub async fn send(&self, actor: Actor, report: Report) -> Answer<()> {
        let (done, outcome) = tokio::sync::oneshot::channel();
        let gone = || {
            let title = "the server is going away; report again to another";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", title)
        };
        self.queue.send((actor, report, done)).await.map_err(|_| gone())?;
        outcome.await.map_err(|_| gone())?
    }
}

/// Commits reports in batches until the queue is closed.
pub async fn take_reports(app: App, mut queue: tokio::sync::mpsc::Receiver<Reported>) {
    let mut batch: Vec<Reported> = Vec::new();
    loop {
        batch.clear();
        if queue.recv_many(&mut batch, 512).await == 0 {
            return;
        }
        while !batch.is_empty() {
            // A host's second report must see what its first has changed.
            let mut hosts = std::collections::HashSet::new();
            let (now, later): (Vec<Reported>, Vec<Reported>) =
                batch.drain(..).partition(|(actor, _, _)| hosts.insert(actor.host.clone()));
            batch = later;
            let mut restarts = Vec::new();
            let outcomes = app
                .commit_each(|cx| {
                    let plan = |(actor, report, _): &Reported| plan_report(cx, actor, report);
                    let plans: Vec<(Actor, Plan)> = now.iter().map(plan).collect();
                    restarts.extend(plans.iter().map(|(_, plan)| Restarts::told(cx.world, plan)));
                    plans
                })
                .await;
            for (((_, _, done), outcome), restarts) in now.into_iter().zip(outcomes).zip(restarts) {
                if outcome.is_ok() {
                    restarts.count(&app.figures);
                }
                // A reporter that has gone reports again in full when it is back.
                let _ = done.send(outcome.map(|_| ()).map_err(ApiError::from));
            }
        }
        // Lets more reports gather where many come: one transaction costs little more than a write.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn plan_report(cx: &Context, actor: &Actor, report: &Report) -> (Actor, Plan) {
    let host = actor.host.as_deref().unwrap_or_default();
    (actor.clone(), report::report(cx, host, report))
}
