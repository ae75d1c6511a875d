//! What goes wrong in a rehearsal, what people do in it, and what must hold. Times are counted from
//! its beginning.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{NO_AMOUNT, is_amount};
use crate::name::Invalid;
use crate::time::Span;

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "fault", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[serde(deny_unknown_fields)]
pub enum Fault {
    /// Hosts go off.
    Loss {
        /// When.
        at: Span,
        /// `zone/NAME` or `host/NAME`.
        of: String,
        /// They are back after this time; never, if absent.
        #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
        lasts: Option<Span>,
    },
    /// Instances take longer to serve.
    Slow {
        /// When that begins.
        at: Span,
        /// The application; all, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// So much longer.
        by: Span,
        /// It ends after this time; never, if absent.
        #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
        lasts: Option<Span>,
    },
    /// A new release comes, and is bad.
    Release {
        /// When.
        at: Span,
        /// The application.
        of: String,
        /// In which way.
        #[serde(default)]
        how: Bad,
    },
    /// There is more load than was thought.
    Load {
        /// When that begins.
        at: Span,
        /// The application or deployment; all, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// So many times.
        times: f64,
        /// It ends after this time; never, if absent.
        #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
        lasts: Option<Span>,
    },
    /// Who makes the hosts of a pool answers nothing.
    Provider {
        /// When that begins.
        at: Span,
        /// The pool.
        of: String,
        /// It ends after this time; never, if absent.
        #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
        lasts: Option<Span>,
    },
}

/// In which way a release is bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Bad {
    /// Its processes end as soon as they are started.
    #[default]
    Dies,
    /// Its processes run and never become ready.
    Deaf,
    /// It becomes ready, and one request in five fails.
    Fails,
    /// It becomes ready, and carries half of what the release before carries.
    Weak,
}

/// Something people do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "change", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[serde(deny_unknown_fields)]
pub enum Change {
    /// A release is deployed.
    Deploy {
        /// When.
        at: Span,
        /// The deployment, or the application where a new release is made.
        of: String,
        /// The release; a new one that is good, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        release: Option<String>,
    },
    /// A number is set.
    Scale {
        /// When.
        at: Span,
        /// `deployment/NAME` or `pool/NAME`.
        of: String,
        /// To so many.
        to: u32,
    },
    /// What runs on some hosts is moved to others.
    Migrate {
        /// When.
        at: Span,
        /// A filter of hosts, as `atoll find` takes it.
        off: String,
        /// So many instances at a time; a tenth, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wave: Option<crate::Portion>,
    },
    /// An object is edited.
    Edit {
        /// When.
        at: Span,
        /// `KIND/NAME`.
        of: String,
        /// What of it becomes different, as a merge patch of the whole object.
        patch: Value,
    },
    /// Manifests are applied.
    Apply {
        /// When.
        at: Span,
        /// They.
        objects: Vec<Value>,
    },
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "check", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[serde(deny_unknown_fields)]
pub enum Check {
    /// All load is served, in so many of the minutes.
    Served {
        /// The application or deployment; each, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// The share of the minutes, as `99.5%`.
        at_least: String,
    },
    /// The hosts cost no more in all.
    Cost {
        /// In the currency there are prices of.
        at_most: f64,
    },
    /// So many instances are ready all the time.
    Instances {
        /// The application or deployment.
        of: String,
        /// No fewer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least: Option<u32>,
        /// No more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_most: Option<u32>,
    },
    /// There are so many hosts all the time.
    Hosts {
        /// No fewer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least: Option<u32>,
        /// No more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_most: Option<u32>,
    },
    /// At the end this release runs, and no other.
    Runs {
        /// The application or deployment.
        of: String,
        /// The release.
        release: String,
    },
    /// At the end nothing is under way.
    Settled {
        /// The application or deployment; each, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
    },
    /// A migration is over, all moved.
    Moved {
        /// The migration; each, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
        /// Within this time after it began.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        within: Option<Span>,
    },
    /// The gate refuses a change. Without this, none may be refused.
    Refused {
        /// As the change says what it is of; any, if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<String>,
    },
}

impl Check {
    /// The application or deployment it is about, if it is about one.
    pub fn of(&self) -> Option<&str> {
        match self {
            Check::Served { of, .. } | Check::Settled { of } => of.as_deref(),
            Check::Instances { of, .. } | Check::Runs { of, .. } => Some(of),
            Check::Cost { .. }
            | Check::Hosts { .. }
            | Check::Moved { .. }
            | Check::Refused { .. } => None,
        }
    }
}

impl Fault {
    /// When it begins.
    pub fn at(&self) -> Span {
        match self {
            Fault::Loss { at, .. }
            | Fault::Slow { at, .. }
            | Fault::Release { at, .. }
            | Fault::Load { at, .. }
            | Fault::Provider { at, .. } => *at,
        }
    }

    /// How long it lasts, if it says so.
    fn lasts(&self) -> Option<Span> {
        match self {
            Fault::Loss { lasts, .. }
            | Fault::Slow { lasts, .. }
            | Fault::Load { lasts, .. }
            | Fault::Provider { lasts, .. } => *lasts,
            Fault::Release { .. } => None,
        }
    }

    pub(super) fn validate(&self, lasts: Span) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(self.at() >= lasts, "at", "is after the end");
        let never = self.lasts().is_some_and(|lasts| lasts.0 == 0);
        invalid.add_if(never, "for", "is no time at all");
        match self {
            Fault::Loss { of, .. } => {
                let known = matches!(of.split_once('/'), Some(("zone" | "host", _)));
                invalid.add_if(!known, "of", format!("{of:?} is not zone/NAME or host/NAME"));
            }
            Fault::Load { times, .. } => {
                invalid.add_if(!is_amount(*times), "times", NO_AMOUNT);
            }
            Fault::Slow { by, .. } => invalid.add_if(by.0 == 0, "by", "is no time at all"),
            _ => {}
        }
        invalid.into_result()
    }
}

impl Change {
    /// When it is done.
    pub fn at(&self) -> Span {
        match self {
            Change::Deploy { at, .. }
            | Change::Scale { at, .. }
            | Change::Migrate { at, .. }
            | Change::Edit { at, .. }
            | Change::Apply { at, .. } => *at,
        }
    }

    /// What it is of, as it says: of a move the hosts, of manifests nothing.
    pub fn of(&self) -> Option<&str> {
        match self {
            Change::Deploy { of, .. } | Change::Scale { of, .. } | Change::Edit { of, .. } => {
                Some(of)
            }
            Change::Migrate { off, .. } => Some(off),
            Change::Apply { .. } => None,
        }
    }

    pub(super) fn validate(&self, lasts: Span) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        invalid.add_if(self.at() >= lasts, "at", "is after the end");
        match self {
            Change::Scale { of, .. } => {
                let known = matches!(of.split_once('/'), Some(("deployment" | "pool", _)));
                let message = format!("{of:?} is not deployment/NAME or pool/NAME");
                invalid.add_if(!known, "of", message);
            }
            Change::Edit { of, .. } => {
                let kind = of.split_once('/').map(|(kind, _)| kind.parse::<crate::Kind>());
                let wrong = match kind {
                    None => Some(format!("{of:?} is not KIND/NAME")),
                    Some(kind) => kind.err().map(|unknown| format!("{of:?}: {unknown}")),
                };
                wrong.into_iter().for_each(|wrong| invalid.add("of", wrong));
            }
            _ => {}
        }
        invalid.into_result()
    }
}

impl Check {
    pub(super) fn validate(&self) -> Result<(), Invalid> {
        let mut invalid = Invalid::default();
        match self {
            Check::Served { at_least, .. } => {
                let wrong = share(at_least).is_none();
                invalid.add_if(wrong, "atLeast", format!("{at_least:?} is not a share like 99.5%"));
            }
            Check::Cost { at_most } => {
                invalid.add_if(!is_amount(*at_most), "atMost", NO_AMOUNT);
            }
            Check::Instances { at_least, at_most, .. } | Check::Hosts { at_least, at_most } => {
                let none = at_least.is_none() && at_most.is_none();
                invalid.add_if(none, "", "needs atLeast or atMost");
                let never = at_least.zip(*at_most).is_some_and(|(least, most)| least > most);
                invalid.add_if(never, "atLeast", "is more than atMost");
            }
            Check::Runs { .. }
            | Check::Settled { .. }
            | Check::Moved { .. }
            | Check::Refused { .. } => {}
        }
        invalid.into_result()
    }
}

/// A share written as `99.5%` or `0.995`.
pub fn share(text: &str) -> Option<f64> {
    let share = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok()? / 100.0,
        None => text.trim().parse().ok()?,
    };
    (0.0..=1.0).contains(&share).then_some(share)
}
