//! One step of a pipeline: what is done, with what, and what it leaves. Not the order of steps,
//! which is the pipeline's.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{self, Invalid};
use crate::quantity::Memory;
use crate::run::{Health, Resources};
use crate::selector::Selector;
use crate::template::Names;
use crate::time::Span;

/// One step, done once for each cell of its matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Step {
    /// Unique in the pipeline.
    pub name: String,
    /// Steps that must have succeeded, or been left out, before. Steps that need nothing of each
    /// other run at the same time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<String>,
    /// It is left out unless this expression is true, over the names of templates:
    /// `branch == "main" and matrix.os != "old"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// It is done although steps before failed or the run is ended early: to clean up, or to tell
    /// somebody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always: bool,
    /// Its failure is told and does not fail the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_fail: bool,
    /// Values it is done with, each combination once.
    #[serde(default, skip_serializing_if = "Matrix::is_empty")]
    pub matrix: Matrix,
    /// The hosts it may run on, by their labels.
    #[serde(default, skip_serializing_if = "is_everything")]
    pub on: Selector,
    /// The script, given to the shell; `{{…}}` is filled in.
    #[serde(default)]
    pub run: String,
    /// The shell and its arguments; the script is appended.
    #[serde(default = "Step::usual_shell")]
    pub shell: Vec<String>,
    /// The directory in the workspace it starts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dir: Option<String>,
    /// The container image it runs in; a sandbox on the host, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Environment variables; `{{…}}` is filled in.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Environment variables filled from secrets, by the secrets' names. Masked in logs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
    /// What runs beside it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Beside>,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// How often it is tried again, by what went wrong.
    #[serde(default)]
    pub retry: Retry,
    /// Directories brought along from runs before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caches: Vec<Cached>,
    /// Artefacts of steps before that are put into the workspace, by name. The steps are in
    /// `needs`, directly or through others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// What it leaves for others and for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<Artifact>,
    /// Reports of tests it writes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestReport>,
    /// What it leaves is a release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseRule>,
}

impl Step {
    /// The longest name of a step, which is a part of the names of its tasks.
    pub const LONGEST_NAME: usize = 48;

    fn usual_shell() -> Vec<String> {
        ["/bin/sh", "-e", "-c"].map(str::to_owned).into()
    }
}

/// Values a step is done with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Matrix {
    /// Values by name; `{{matrix.NAME}}` in templates.
    #[serde(default)]
    pub axes: BTreeMap<String, Vec<String>>,
    /// Combinations that hold all of one of these are left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<BTreeMap<String, String>>,
    /// So many cells at a time; all, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<u32>,
    /// The first cell that fails ends the others.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fail_fast: bool,
}

impl Matrix {
    /// The most cells a step may have.
    pub const MOST_CELLS: usize = 256;

    /// Whether there is one cell, without values.
    pub fn is_empty(&self) -> bool {
        *self == Matrix::default()
    }

    /// How many combinations there are before any is left out.
    pub fn combinations(&self) -> usize {
        self.axes.values().fold(1, |count: usize, axis| count.saturating_mul(axis.len()))
    }

    /// Every cell, in the order of names and values.
    pub fn cells(&self) -> Vec<BTreeMap<String, String>> {
        let mut cells = vec![BTreeMap::new()];
        if self.combinations() > Matrix::MOST_CELLS {
            return Vec::new();
        }
        for (name, values) in &self.axes {
            let with = |cell: &BTreeMap<String, String>, value: &String| {
                let mut cell = cell.clone();
                cell.insert(name.clone(), value.clone());
                cell
            };
            cells = cells.iter().flat_map(|cell| values.iter().map(|v| with(cell, v))).collect();
        }
        let left_out = |cell: &BTreeMap<String, String>| {
            let holds =
                |all: &BTreeMap<String, String>| all.iter().all(|(k, v)| cell.get(k) == Some(v));
            self.exclude.iter().any(|all| !all.is_empty() && holds(all))
        };
        cells.retain(|cell| !left_out(cell));
        cells
    }
}

/// Something that runs beside a step: a database, say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Beside {
    /// Unique in the step. In a container it is the host's name; `NAME_HOST` and, for each port,
    /// `NAME_PORT_PORTNAME` tell the step where it is.
    pub name: String,
    /// Its container image; a process in a sandbox of its own, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Program and arguments; the image's own, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// Ports by name: what it listens on in its container; for a process 0 picks a free one, told
    /// in `$PORT_NAME`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, u16>,
    /// The step begins once it is well; without, once it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
}

/// What a step may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limits {
    /// Processor time and memory.
    #[serde(default = "Limits::usual_resources")]
    pub resources: Resources,
    /// It may take so long; then it is asked to end.
    #[serde(default = "Limits::usual_timeout")]
    pub timeout: Span,
    /// It has so long to end when it is asked; then it is killed.
    #[serde(default = "Limits::usual_grace")]
    pub grace: Span,
    /// Its workspace may hold so much.
    #[serde(default = "Limits::usual_disk")]
    pub disk: Memory,
    /// So many processes and threads at the same time.
    #[serde(default = "Limits::usual_processes")]
    pub processes: u32,
    /// So much of its log is kept; what comes after is counted and thrown away.
    #[serde(default = "Limits::usual_log")]
    pub log: Memory,
}

impl Limits {
    fn usual_resources() -> Resources {
        Resources { cpu: crate::Cpu(1_000), memory: Memory(1 << 30) }
    }
    fn usual_timeout() -> Span {
        Span::seconds(1_800)
    }
    fn usual_grace() -> Span {
        Span::seconds(10)
    }
    fn usual_disk() -> Memory {
        Memory(10 << 30)
    }
    fn usual_processes() -> u32 {
        1_024
    }
    fn usual_log() -> Memory {
        Memory(16 << 20)
    }
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            resources: Limits::usual_resources(),
            timeout: Limits::usual_timeout(),
            grace: Limits::usual_grace(),
            disk: Limits::usual_disk(),
            processes: Limits::usual_processes(),
            log: Limits::usual_log(),
        }
    }
}

/// How often a step is tried again, by what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Retry {
    /// Its host was lost, or the work could not be begun there.
    #[serde(default = "Retry::usual_lost")]
    pub lost: u32,
    /// Its script failed. A failed test is a finding, so this is 0 unless somebody says so.
    #[serde(default)]
    pub failed: u32,
}

impl Retry {
    fn usual_lost() -> u32 {
        2
    }
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { lost: Retry::usual_lost(), failed: 0 }
    }
}

/// Directories brought along from runs before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cached {
    /// What it is kept under; `{{hash("Cargo.lock")}}` is the content of files in the workspace.
    /// What was kept under a key never changes.
    pub key: String,
    /// Keys whose beginning is one of these are taken, newest first, where there is nothing under
    /// `key`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub or: Vec<String>,
    /// Paths in the workspace.
    pub paths: Vec<String>,
}

/// What a step leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Artifact {
    /// Unique in the pipeline.
    pub name: String,
    /// Paths in the workspace, files or directories, or patterns with `*`.
    pub paths: Vec<String>,
    /// It is kept so long; as long as its run, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Span>,
    /// It is kept where the step failed too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub always: bool,
}

/// Reports of tests a step writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestReport {
    /// JUnit's XML in the workspace, as a pattern with `*` and `**`.
    pub junit: String,
    /// What kind of tests they are.
    #[serde(default)]
    pub suite: Suite,
}

/// What kind of tests: kept apart, since they promise different things.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Suite {
    /// Of parts, by themselves.
    #[default]
    Unit,
    /// Of parts together.
    Integration,
    /// Of the whole.
    System,
}

impl std::fmt::Display for Suite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Suite::Unit => "unit",
            Suite::Integration => "integration",
            Suite::System => "system",
        })
    }
}

/// How a release is made of what a step leaves. Exactly one of `package` and `image` is given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseRule {
    /// A file or directory in the workspace that becomes a package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// A container image that is built and pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<ImageRule>,
    /// Its version; `{{…}}` is filled in. The run's number, if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// How a container image is built.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageRule {
    /// The directory in the workspace that is sent to the engine.
    #[serde(default = "ImageRule::usual_context")]
    pub context: String,
    /// The file that says how, below the context.
    #[serde(default = "ImageRule::usual_file")]
    pub dockerfile: String,
    /// Where it is pushed: `registry:5000/shop`, without a tag.
    pub repository: String,
}

impl ImageRule {
    fn usual_context() -> String {
        ".".to_owned()
    }
    fn usual_file() -> String {
        "Dockerfile".to_owned()
    }
}

impl Step {
    /// Checks the step by itself, and that the steps it needs are among those `known`.
    ///
    /// # Errors
    /// Every problem found, each with the path of its field.
    pub(super) fn validate(&self, known: &BTreeSet<&str>) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("name", name::check_simple(&self.name));
        invalid.add_if(
            self.name.len() > Step::LONGEST_NAME,
            "name",
            format!("is longer than {} characters", Step::LONGEST_NAME),
        );
        for need in &self.needs {
            if !known.contains(need.as_str()) {
                let near = name::nearest(need, known.iter().copied());
                let hint = near.map(|n| format!("; did you mean {n:?}?")).unwrap_or_default();
                invalid.add("needs", format!("there is no step {need:?}{hint}"));
            }
        }
        let cells = self.matrix.combinations();
        invalid.add_if(
            cells > Matrix::MOST_CELLS,
            "matrix",
            format!("has {cells} cells; {} are the most", Matrix::MOST_CELLS),
        );
        invalid.add_if(
            self.matrix.axes.values().any(Vec::is_empty),
            "matrix.axes",
            "an axis without values leaves no cell",
        );
        invalid.add_if(
            self.run.trim().is_empty() && self.release.is_none(),
            "run",
            "is empty; write what is to be done",
        );
        invalid.add_if(self.shell.is_empty(), "shell", "names no program");
        invalid.add_if(self.limits.timeout.0 == 0, "limits.timeout", "is 0; nothing is that fast");
        invalid.add_if(self.limits.processes == 0, "limits.processes", "is 0; a script is one");
        if let Some(release) = &self.release {
            invalid.add_if(
                release.package.is_some() == release.image.is_some(),
                "release",
                "give exactly one of package and image",
            );
            invalid.add_if(!self.matrix.is_empty(), "matrix", "a release is made once");
        }
        self.check_paths(&mut invalid);
        self.check_services(&mut invalid);
        invalid.into_result()
    }

    /// What runs beside it has names of its own, and something to run.
    fn check_services(&self, invalid: &mut Invalid) {
        let mut names = BTreeSet::new();
        for (i, beside) in self.services.iter().enumerate() {
            let at = |field: &str| format!("services[{i}].{field}");
            invalid.nest(&at("name"), name::check_simple(&beside.name));
            let twice = !names.insert(&beside.name);
            invalid.add_if(twice, &at("name"), "is that of another service too");
            for port in beside.ports.keys() {
                invalid.nest(&at("ports"), name::check_simple(port));
            }
            let nothing = beside.image.is_none() && beside.command.is_empty();
            invalid.add_if(nothing, &at("command"), "is empty; name a program, or an image");
            let apart = self.image.is_some() && beside.image.is_none();
            let message = "is absent; a step in a container reaches only other containers";
            invalid.add_if(apart, &at("image"), message);
            if let Some(health) = &beside.health {
                let names = Names { ports: beside.ports.clone(), ..Names::default() };
                invalid.nest(&at("health"), health.validate(&beside.ports, &names));
            }
        }
    }

    /// Paths stay in the workspace.
    fn check_paths(&self, invalid: &mut Invalid) {
        let mut check = |path: &str, text: &str| {
            let leaves = text.starts_with('/') || text.split('/').any(|part| part == "..");
            invalid.add_if(text.is_empty(), path, "is empty");
            invalid.add_if(leaves, path, format!("{text:?} leads out of the workspace"));
        };
        self.dir.iter().for_each(|dir| check("dir", dir));
        self.caches.iter().flat_map(|c| &c.paths).for_each(|p| check("caches", p));
        self.artifacts.iter().flat_map(|a| &a.paths).for_each(|p| check("artifacts", p));
        self.tests.iter().for_each(|report| check("tests", &report.junit));
        if let Some(release) = &self.release {
            release.package.iter().for_each(|path| check("release.package", path));
            if let Some(image) = &release.image {
                check("release.image.context", &image.context);
                check("release.image.dockerfile", &image.dockerfile);
            }
        }
    }
}

fn is_everything(selector: &Selector) -> bool {
    selector.0.is_empty()
}
