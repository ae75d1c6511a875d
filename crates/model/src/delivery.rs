//! What is delivered: packages, releases and the environments they pass through. Not how a
//! release is rolled out, which is `deployment.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Kind;
use crate::cmdb::explained;
use crate::image;
use crate::name::{self, Invalid};
use crate::object::{Explained, Object, Reason, Spec};
use crate::promotion::{PromotionMode, Require};
use crate::provenance::{Built, Envelope};
use crate::run::Run;
use crate::selector::Selector;
use crate::time::{Span, Timestamp};

/// A place applications are deployed to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Environment {
    /// The environment a release must have proved itself in first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The hosts it may use, by their labels; all, if absent.
    #[serde(default)]
    pub hosts: Selector,
    /// How instances run.
    #[serde(default)]
    pub runtime: Runtime,
    /// What drives them.
    #[serde(default)]
    pub engine: Engine,
    /// Who must approve a release before it enters, if anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalRule>,
    /// What else is asked of a release before it enters.
    #[serde(default, skip_serializing_if = "Require::is_empty")]
    pub require: Require,
    /// Whether a release that may enter does so by itself.
    #[serde(default, skip_serializing_if = "PromotionMode::is_usual")]
    pub promotion: PromotionMode,
    /// It is a pattern, of which an environment is made for each branch that has a release; it
    /// takes no deployments itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
    /// It was made for a branch, and goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ephemeral: Option<Ephemeral>,
}

impl Environment {
    /// Whether a release must be let in, and does not just follow.
    pub fn has_rules(&self) -> bool {
        !self.require.is_empty() || self.approval.is_some() || !self.promotion.is_usual()
    }
}

/// For which branches an environment is made, and for how long.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Template {
    /// Branches, each a name or a pattern with one `*`; all but the pipeline's own, if empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<String>,
    /// It goes so long after the last release of its branch.
    #[serde(default = "Template::usual_ttl")]
    pub ttl: Span,
}

impl Template {
    fn usual_ttl() -> Span {
        Span::seconds(2 * 86_400)
    }

    /// Whether a branch is meant.
    pub fn takes(&self, branch: &str) -> bool {
        self.branches.is_empty()
            || self.branches.iter().any(|pattern| match pattern.split_once('*') {
                Some((start, end)) => {
                    branch.len() >= start.len() + end.len()
                        && branch.starts_with(start)
                        && branch.ends_with(end)
                }
                None => pattern == branch,
            })
    }
}

/// What an environment was made for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ephemeral {
    /// The environment that is its pattern.
    pub of: String,
    /// The only application it holds.
    pub application: String,
    /// The branch whose newest release runs there.
    pub branch: String,
    /// When it goes.
    pub until: Timestamp,
}

/// How instances run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Runtime {
    /// Processes under the agent's own supervision.
    #[default]
    Process,
    /// Containers through the Docker API.
    Docker,
}

impl Runtime {
    /// Whether instances are processes.
    pub fn is_process(&self) -> bool {
        *self == Runtime::Process
    }
}

/// What drives the instances of an environment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// Hosts with our agent.
    #[default]
    Fleet,
}

/// Who must approve a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApprovalRule {
    /// Any of these roles.
    pub roles: Vec<String>,
    /// So many people.
    pub count: u32,
}

/// Environments have no status.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EnvironmentStatus {}

impl Explained for EnvironmentStatus {}

impl Spec for Environment {
    const KIND: Kind = Kind::Environment;
    type Status = EnvironmentStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        if let Some(after) = &self.after {
            invalid.nest("after", name::check_simple(after));
        }
        invalid.nest("require", self.require.validate());
        let lacks = self.require.soak.0 > 0 || self.require.objectives;
        invalid.add_if(
            lacks && self.after.is_none(),
            "require",
            "asks for what the environment before shows, and `after` names none",
        );
        if let Some(rule) = &self.approval {
            invalid.add_if(rule.count == 0, "approval.count", "is 0; leave approval out");
        }
        invalid.into_result()
    }
}

/// The files of one version of a program. Its object is named `NAME.VERSION-IN-LOWER-CASE`… see
/// [`Package::object_name`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Package {
    /// The name of the program.
    pub name: String,
    /// The version, as its maker writes it.
    pub version: String,
    /// What it is addressed by: BLAKE3 of the package's index, in hex; of an image, `sha256:…` of
    /// its manifest.
    pub digest: String,
    /// Bytes of all its files together.
    #[serde(default)]
    pub size: u64,
    /// Number of entries.
    #[serde(default)]
    pub entries: u64,
    /// It is a container image, kept in this repository of a registry: `registry:5000/shop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How it was made, where a pipeline made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub built: Option<Built>,
}

impl Package {
    /// What a release names it by.
    pub fn reference(&self) -> PackageRef {
        PackageRef {
            name: self.name.clone(),
            version: self.version.clone(),
            digest: self.digest.clone(),
        }
    }

    /// The image by its content, where it is one: `registry:5000/shop@sha256:…`.
    pub fn image_reference(&self) -> Option<String> {
        self.image.as_ref().map(|repository| format!("{repository}@{}", self.digest))
    }

    /// The name of the object that holds a version: versions may hold what names may not, which
    /// is written as `-`, followed by the start of the BLAKE3-free checksum of the version.
    pub fn object_name(name: &str, version: &str) -> String {
        let plain: String = version
            .chars()
            .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' })
            .collect();
        let plain = plain.trim_matches('-');
        if plain == version {
            format!("{name}.{plain}")
        } else {
            let sum = version.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
                (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
            let joined = format!("{plain}-{:08x}", sum >> 32);
            format!("{name}.{}", joined.trim_start_matches('-'))
        }
    }
}

/// What is known of a package.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageStatus {
    /// What the server attests of it, signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Envelope>,
    /// It has been offered to its application: that is done once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub offered: bool,
    /// What stands in its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

impl Spec for Package {
    const KIND: Kind = Kind::Package;
    type Status = PackageStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("name", name::check_simple(&self.name));
        invalid.nest("version", name::check_version(&self.version));
        match self.image {
            None => {
                invalid.add_if(!is_digest(&self.digest), "digest", "is not 64 hexadecimal digits");
            }
            Some(_) => invalid.add_if(
                !is_image_digest(&self.digest),
                "digest",
                "is not sha256: and 64 hexadecimal digits, as the digest of an image is",
            ),
        }
        invalid.into_result()
    }

    fn validate_name(name: &str, spec: &Package) -> Result<(), Invalid> {
        let right = Package::object_name(&spec.name, &spec.version);
        if name == right {
            name::check_derived(name)
        } else {
            Err(Invalid::one(
                "",
                format!("the package {}:{} is named {right}", spec.name, spec.version),
            ))
        }
    }
}

/// Whether the text is a BLAKE3 digest in lower-case hex.
pub fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

/// Whether the text is the digest of an image.
pub fn is_image_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(is_digest)
}

/// Checks `NAME:VERSION`.
///
/// # Errors
/// What is wrong with it.
pub fn check_package_name(text: &str) -> Result<(), Invalid> {
    let Some((package, version)) = text.split_once(':') else {
        return Err(Invalid::one("", format!("{text:?}: write it as NAME:VERSION")));
    };
    name::check_simple(package)?;
    name::check_version(version)
}

/// The index of a package: everything needed to unpack it, itself stored under its own digest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackageIndex {
    /// Files, directories and links, sorted by path.
    pub entries: Vec<PackageEntry>,
}

/// One entry of a package.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PackageEntry {
    /// Relative, with `/`, without `.` and `..`.
    pub path: String,
    /// What it is.
    #[serde(flatten)]
    pub content: EntryContent,
}

/// What an entry of a package is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", tag = "type")]
pub enum EntryContent {
    /// A directory.
    Directory,
    /// A symbolic link that stays inside the package.
    Link {
        /// Where it leads, relative to the entry's directory.
        target: String,
    },
    /// A file.
    File {
        /// Whether it may be executed.
        executable: bool,
        /// Bytes.
        size: u64,
        /// The pieces it is made of, in order.
        chunks: Vec<Chunk>,
    },
}

/// A piece of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chunk {
    /// BLAKE3 in hex.
    pub digest: String,
    /// Bytes.
    pub size: u32,
}

/// One immutable combination of application, package and static configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    /// The application it is of.
    pub application: String,
    /// Counts the releases of the application, from 1.
    #[serde(default)]
    pub number: u64,
    /// Its files; without, it runs what the host has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<PackageRef>,
    /// The image its containers are made of, as its team writes it; see [`ReleaseStatus::image`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// How its instances run.
    pub run: Run,
    /// Static configuration: environment variables of every instance.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub config: BTreeMap<String, String>,
    /// What of it is otherwise in an environment, by the environment's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, BTreeMap<String, String>>,
    /// The branch it is of, where that is not the one releases for environments come from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// It is to run nowhere any more. The only part of a release that may be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub veto: Option<Veto>,
    /// Free text: what it brings.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
}

/// That a release is to run nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Veto {
    /// Why.
    pub reason: String,
    /// Where it runs already it is taken back; otherwise it stays there until another comes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
}

impl Release {
    /// The same release without what may be changed of it.
    #[must_use]
    pub fn unchanging(&self) -> Release {
        Release { veto: None, ..self.clone() }
    }

    /// What of the static configuration is otherwise in an environment.
    pub fn overrides_in(&self, environment: &str) -> BTreeMap<String, String> {
        self.overrides.get(environment).cloned().unwrap_or_default()
    }

    /// Whether two releases would run alike; number, notes and veto do not count.
    pub fn same_content(&self, other: &Release) -> bool {
        self.application == other.application
            && self.package.as_ref().map(|p| &p.digest) == other.package.as_ref().map(|p| &p.digest)
            && self.image == other.image
            && self.run == other.run
            && self.config == other.config
            && self.overrides == other.overrides
            && self.branch == other.branch
    }
}

/// A package by name and by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PackageRef {
    /// The name of the program.
    pub name: String,
    /// The version.
    pub version: String,
    /// BLAKE3 of the package's index, in hex; of an image, `sha256:…` of its manifest.
    pub digest: String,
}

impl PackageRef {
    /// Whether it is of files, and not an image.
    pub fn is_files(&self) -> bool {
        is_digest(&self.digest)
    }
}

/// What is known of a release.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseStatus {
    /// The image by its content, from the host that looked it up first. It never changes: what is
    /// pushed under the same tag later is another release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Why it cannot be used, if so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

explained!(ReleaseStatus, PackageStatus);

impl Object<Release> {
    /// The image by its content, once that is known.
    pub fn pinned_image(&self) -> Option<&str> {
        let named = self.spec.image.as_deref().filter(|image| image::is_pinned(image));
        named.or(self.status.image.as_deref())
    }
}

impl Spec for Release {
    const KIND: Kind = Kind::Release;
    type Status = ReleaseStatus;

    fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.nest("application", name::check_simple(&self.application));
        invalid.nest("run", self.run.validate(&self.config));
        if let Some(package) = &self.package {
            invalid.nest("package.name", name::check_simple(&package.name));
            invalid.nest("package.version", name::check_version(&package.version));
            let known = is_digest(&package.digest) || is_image_digest(&package.digest);
            invalid.add_if(!known, "package.digest", "is no digest of files or of an image");
        }
        check_program(&mut invalid, &self.run, self.image.as_deref());
        let silent = self.veto.as_ref().is_some_and(|veto| veto.reason.trim().is_empty());
        invalid.add_if(silent, "veto.reason", "is empty; say why it is to run nowhere");
        invalid.into_result()
    }
}

/// Checks that there is something to run: a command, or an image that brings its own.
pub(crate) fn check_program(invalid: &mut Invalid, run: &Run, image: Option<&str>) {
    match image {
        Some(image) => invalid.nest("image", image::Image::parse(image).map(drop)),
        None => invalid.add_if(
            run.command.is_empty(),
            "run.command",
            "is empty; give the program and its arguments as a list",
        ),
    }
    let only = "goes with an image only";
    invalid.add_if(image.is_none() && !run.volumes.is_empty(), "run.volumes", only);
    invalid.add_if(image.is_none() && !run.container_ports.is_empty(), "run.containerPorts", only);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_object_has_one_name_per_version() {
        assert_eq!(Package::object_name("shop", "12"), "shop.12");
        let names: Vec<String> = ["1.0", "1-0", "1_0", "1.0.", "A", "..."]
            .map(|v| Package::object_name("shop", v))
            .into();
        for (i, name) in names.iter().enumerate() {
            assert!(name::check_derived(name).is_ok(), "{name}");
            assert!(!names[..i].contains(name), "{name} twice");
        }
    }
}
