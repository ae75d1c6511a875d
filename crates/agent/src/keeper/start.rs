//! Starting an instance: its files, its user, its orders, its shim.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::sync::Arc;

use atoll_model::delivery::Runtime;
use atoll_model::deployment::InstancePhase;
use atoll_model::template::{Names, render};
use atoll_model::{Reason, Timestamp};

use super::{Keeper, Record, container, package_reason, sweep};
use crate::configs::{self, deliver};
use crate::disk;
use crate::facts;
use crate::machine::Machine;
use crate::reconcile::Order;
use crate::runtime::container::{CONFIG_DIR, DATA_DIR, PACKAGE_DIR};
use crate::runtime::launch::{DATA_VARIABLE, Launch, PATH};
use crate::runtime::orders::{Orders, Phase, State};
use crate::runtime::place::Place;

impl Keeper {
    /// Starts what is wanted, or says why that cannot be and waits.
    pub(super) async fn start(&mut self, order: &Arc<Order>) {
        // A shim that did not answer in time before is there all the same.
        self.attach().await;
        if self.link.is_some() {
            return;
        }
        self.post(order, InstancePhase::Starting);
        match self.try_start(order).await {
            Ok(()) => self.out_of_trouble(),
            Err(reason) => self.in_trouble(order, reason).await,
        }
    }

    async fn try_start(&mut self, order: &Arc<Order>) -> Result<(), Reason> {
        let before = self.record.clone();
        // The same again goes on counting its restarts; the shim sees to that.
        let again = before.as_ref().is_some_and(|r| r.order.runs_as(order));
        let contained = order.instance.runtime == Runtime::Docker;
        let user = match &order.release.pinned {
            // The image says who its programs run as.
            Some(image) if contained => self.machine.images.user(image).await,
            _ => self.machine.user(&self.name, before.and_then(|r| r.user)),
        };
        let orders = match contained {
            true => container::draft(&self.machine, &self.place, order)?,
            false => draft(&self.machine, &self.place, order, user)?,
        };
        let record = Record { order: Order::clone(order), user: user.filter(|_| !contained) };
        let place = self.place.clone();
        let written = record.clone();
        blocking("make its directory", move || {
            place.make(user)?;
            disk::write(&place.record(), &written, true)
        })
        .await?;
        self.record = Some(record);
        let placed = deliver::place(&self.machine, &self.place, user).await;
        placed.map_err(|e| reason("write its configuration", &e))?;
        self.activate(order, user.is_some() && !contained).await?;
        sweep(&orders).await;
        let contained = orders.container.is_some().then(|| orders.clone());
        let (place, ports) = (self.place.clone(), order.instance.ports.clone());
        let resources = order.instance.resources;
        tokio::task::spawn_blocking(move || {
            check_ports(&ports)?;
            orders.group.make(&resources, None).map_err(|e| reason("make its cgroup", &e))?;
            let stopped = |s: &State| s.phase == Phase::Stopped;
            if !again || disk::read::<State>(&place.state()).is_some_and(|s| stopped(&s)) {
                let _ = fs::remove_file(place.state());
            }
            let _ = fs::remove_file(place.ready());
            disk::write(&place.orders(), &orders, false).map_err(|e| reason("write orders", &e))
        })
        .await
        .map_err(|e| reason("prepare it", &io::Error::other(e)))??;
        if let Some(orders) = contained {
            self.leash(orders).await;
            return Ok(());
        }
        // That a supervisor was killed, or cannot be started, is no fault of the release.
        let lost = |e: io::Error| Reason::new(container::LOST, format!("cannot supervise it: {e}"));
        let link = self.new_shim().await.map_err(lost)?;
        self.greet(link).await;
        Ok(())
    }

    /// Puts the files of the release where the application starts.
    async fn activate(&self, order: &Order, link: bool) -> Result<(), Reason> {
        let (release, mark) = (self.place.release(), self.place.activated());
        let wanted = order.digest().map(str::to_owned);
        let there = release.is_dir() && disk::read::<Option<String>>(&mark) == Some(wanted.clone());
        if there {
            return Ok(());
        }
        let _ = fs::remove_file(&mark);
        match &wanted {
            Some(digest) => self
                .machine
                .packages
                .activate(digest, &release, link)
                .await
                .map_err(|e| package_reason(order, &e))?,
            None => {
                let release = release.clone();
                blocking("make its directory", move || {
                    let _ = fs::remove_dir_all(&release);
                    fs::create_dir(&release)
                })
                .await?;
            }
        }
        blocking("mark its files", move || disk::write(&mark, &wanted, false)).await
    }
}

/// The orders of the shim, all templates filled in.
fn draft(
    machine: &Machine,
    place: &Place,
    order: &Order,
    user: Option<u32>,
) -> Result<Orders, Reason> {
    let names = names(machine, place, order);
    let run = &order.release.run;
    let fill = |text: &String| fill(text, &names);
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let variable = |name: &str, usual: &str| {
        let value = std::env::var(name).ok().filter(|v| !v.is_empty());
        (name.to_owned(), value.unwrap_or_else(|| usual.to_owned()))
    };
    env.extend([variable("PATH", PATH), variable("LANG", "C.UTF-8")]);
    env.insert("HOME".to_owned(), text(&place.data()));
    for (key, value) in &run.env {
        env.insert(key.clone(), fill(value)?);
    }
    env.extend(told(machine, order));
    env.insert(DATA_VARIABLE.to_owned(), text(&place.data()));
    let instance = &order.instance;
    env.insert(configs::DIR_VARIABLE.to_owned(), text(&place.config()));
    env.insert(configs::URL_VARIABLE.to_owned(), machine.configs.url());
    env.insert(configs::TOKEN_VARIABLE.to_owned(), machine.configs.token(&instance.name));
    let group = machine.group(&instance.name);
    let launch = Launch {
        command: run.command.iter().map(fill).collect::<Result<_, _>>()?,
        env,
        dir: place.release(),
        user,
        groups: Vec::new(),
        cgroups: group.entrances(),
    };
    Ok(Orders {
        release: instance.release.clone(),
        launch,
        group,
        stop_signal: run.stop.signal.clone(),
        grace: run.stop.grace,
        backoff: run.restart.backoff.from,
        longest_backoff: run.restart.backoff.to,
        log_size: run.logs.size.0,
        log_files: run.logs.files,
        once: None,
        container: None,
    })
}

/// What every instance is told in its environment: its configuration, its ports, who it is.
pub(super) fn told(machine: &Machine, order: &Order) -> BTreeMap<String, String> {
    let instance = &order.instance;
    let mut env = config(order);
    for (name, port) in &instance.ports {
        let name = name.to_uppercase().replace('-', "_");
        env.insert(format!("PORT_{name}"), port.to_string());
    }
    let facts = [
        ("ATOLL_INSTANCE", instance.name.as_str()),
        ("ATOLL_APPLICATION", &instance.application),
        ("ATOLL_ENVIRONMENT", &instance.environment),
        ("ATOLL_RELEASE", &instance.release),
        ("ATOLL_HOST", &machine.host),
    ];
    env.extend(facts.map(|(k, v)| (k.to_owned(), v.to_owned())));
    env
}

/// The static configuration, as it is in the environment of the instance.
fn config(order: &Order) -> BTreeMap<String, String> {
    let mut config = order.release.config.clone();
    config.extend(order.instance.config.clone());
    config
}

/// What templates of this instance may name.
pub(super) fn names(machine: &Machine, place: &Place, order: &Order) -> Names {
    let instance = &order.instance;
    let pairs = |pairs: &[(&str, String)]| {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect()
    };
    Names {
        ports: instance.ports.clone(),
        config: config(order),
        instance: pairs(&[
            ("name", instance.name.clone()),
            ("ordinal", instance.ordinal.to_string()),
        ]),
        host: pairs(&[
            ("name", machine.host.clone()),
            ("address", machine.addresses.outer().to_string()),
            ("zone", machine.zone.clone()),
        ]),
        dirs: match instance.runtime {
            Runtime::Process => pairs(&[
                ("package", text(&place.release())),
                ("data", text(&place.data())),
                ("config", text(&place.config())),
            ]),
            Runtime::Docker => pairs(&[
                ("package", PACKAGE_DIR.to_owned()),
                ("data", DATA_DIR.to_owned()),
                ("config", CONFIG_DIR.to_owned()),
            ]),
        },
        application: instance.application.clone(),
        environment: instance.environment.clone(),
        release: instance.release.clone(),
    }
}

/// Fills in one template.
pub(super) fn fill(template: &str, names: &Names) -> Result<String, Reason> {
    render(template, names).map_err(|e| Reason::new("template", e).hint("correct run, and release"))
}

/// Whether somebody else listens on a port of the instance: probes would be answered by them.
pub(super) fn check_ports(ports: &BTreeMap<String, u16>) -> Result<(), Reason> {
    let listening = facts::listening();
    match ports.values().find(|p| listening.contains(p)) {
        None => Ok(()),
        Some(port) => {
            let message = format!("port {port} is taken by another process");
            let hint = format!("see who listens with ss -ltnp 'sport = :{port}'");
            Err(Reason::new("port-taken", message).hint(hint))
        }
    }
}

fn text(path: &std::path::Path) -> String {
    path.to_string_lossy().into_owned()
}

fn reason(what: &str, error: &io::Error) -> Reason {
    let code = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "disk-full",
        _ => "not-started",
    };
    Reason::new(code, format!("cannot {what}: {error}"))
}

async fn blocking(
    what: &'static str,
    work: impl FnOnce() -> io::Result<()> + Send + 'static,
) -> Result<(), Reason> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other);
    done.and_then(|done| done).map_err(|e| reason(what, &e))
}

/// When a process was started, for the age of one that was found running.
pub(super) fn age_at(state: &State, now: Timestamp) -> std::time::Duration {
    now.since(state.started_at.unwrap_or(now)).std()
}
