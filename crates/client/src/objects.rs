//! Objects: reading, writing, their history and why they are as they are; and who we are.

use std::collections::BTreeMap;

use atoll_model::api::{Apply, Explanation, History, List, Outcome};
use atoll_model::budget::report::CostReport;
use atoll_model::capacity::CapacityReport;
use atoll_model::capacity::size::SizeReport;
use atoll_model::centre::wire::{DecisionReplay, DecisionReplayRequest};
use atoll_model::decision::OVERRIDES;
use atoll_model::figures::{DeliveryFigures, Journey};
use atoll_model::migration::MigrationForecast;
use atoll_model::policy::{Replay, ReplayRequest, Scores};
use atoll_model::provenance::PublicKey;
use atoll_model::rehearsal::Scenario;
use atoll_model::rehearsal::report::RehearsalReport;
use atoll_model::{Any, Kind, Migration, Span};
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue, IF_MATCH};
use serde_json::Value;

use crate::error::ClientError;
use crate::pages::{object, with_query};
use crate::transport::{Ask, Client};

/// A rehearsal takes at most ten minutes, after the past was read.
const REHEARSED: std::time::Duration = std::time::Duration::from_secs(660);

/// Which objects of a kind are listed.
#[derive(Clone, Debug, Default)]
pub struct ListQuery {
    /// Only those whose labels it selects.
    pub selector: Option<String>,
    /// At most so many in one page.
    pub limit: Option<u32>,
    /// The `continue` of the page before.
    pub after: Option<String>,
}

impl Client {
    /// One page of the objects of a kind.
    ///
    /// # Errors
    /// When no server is reached, or the selector is not valid.
    pub async fn list(&self, kind: Kind, query: &ListQuery) -> Result<List, ClientError> {
        let path = with_query(
            &format!("/v1/{}", kind.plural()),
            &[
                ("selector", query.selector.clone()),
                ("limit", query.limit.map(|l| l.to_string())),
                ("continue", query.after.clone()),
            ],
        );
        self.read(Ask::get(path)).await
    }

    /// All objects of a kind, page by page. The revision is that of the first page.
    ///
    /// # Errors
    /// As [`Client::list`].
    pub async fn list_all(&self, kind: Kind, selector: Option<&str>) -> Result<List, ClientError> {
        let selector = selector.map(str::to_owned);
        let mut query = ListQuery { selector, ..ListQuery::default() };
        let mut all = self.list(kind, &query).await?;
        while let Some(next) = all.next.take() {
            query.after = Some(next);
            let page = self.list(kind, &query).await?;
            all.items.extend(page.items);
            all.next = page.next;
        }
        Ok(all)
    }

    /// One object.
    ///
    /// # Errors
    /// `NotFound`, if there is none; when no server is reached.
    pub async fn get(&self, kind: Kind, name: &str) -> Result<Any, ClientError> {
        self.read(Ask::get(object("", kind, name)?)).await
    }

    /// Applies several manifests at once, all or none.
    ///
    /// # Errors
    /// `Invalid` with every problem of every manifest; `Refused` by the gate.
    pub async fn apply(&self, objects: Vec<Value>, dry_run: bool) -> Result<Outcome, ClientError> {
        let path = with_query("/v1/apply", &[dry(dry_run)]);
        let ask = Ask::of(Method::POST, path).json(&Apply { objects });
        // Applied twice, it is unchanged the second time.
        self.read(ask.repeatable()).await
    }

    /// Stores one object. If its `revision` is not 0, only over that revision.
    ///
    /// # Errors
    /// `Conflict`, if it has been changed since; `Invalid`; `Refused` by the gate.
    pub async fn put(&self, any: &Any, dry_run: bool) -> Result<Outcome, ClientError> {
        let path = with_query(&object("", any.kind(), any.name())?, &[dry(dry_run)]);
        let mut ask = Ask::of(Method::PUT, path).json(any);
        if any.meta().revision > 0 {
            ask.headers.insert(IF_MATCH, HeaderValue::from(any.meta().revision));
            ask.again = false;
        }
        self.read(ask).await
    }

    /// Changes parts of an object by a JSON merge patch.
    ///
    /// # Errors
    /// `Conflict`, if `revision` is given and no longer the object's; `Invalid`; `Refused`.
    pub async fn patch(
        &self,
        kind: Kind,
        name: &str,
        patch: Value,
        revision: Option<u64>,
        dry_run: bool,
    ) -> Result<Outcome, ClientError> {
        let path = with_query(&object("", kind, name)?, &[dry(dry_run)]);
        let mut ask = Ask::of(Method::PATCH, path).json(&patch);
        let merge = HeaderValue::from_static("application/merge-patch+json");
        ask.headers.insert(CONTENT_TYPE, merge);
        // A merge patch has the same result however often it is done.
        ask.again = revision.is_none();
        if let Some(revision) = revision {
            ask.headers.insert(IF_MATCH, HeaderValue::from(revision));
        }
        self.read(ask).await
    }

    /// Deletes an object, or asks for its deletion where other things must go first.
    ///
    /// # Errors
    /// `NotFound`; `Refused` by the gate.
    pub async fn delete(
        &self,
        kind: Kind,
        name: &str,
        dry_run: bool,
    ) -> Result<Outcome, ClientError> {
        let path = with_query(&object("", kind, name)?, &[dry(dry_run)]);
        // Done again after a lost answer it would say that there is no such object.
        let mut ask = Ask::of(Method::DELETE, path);
        ask.again = false;
        self.read(ask).await
    }

    /// The last writes of an object, newest first.
    ///
    /// # Errors
    /// `NotFound`, if there never was such an object.
    pub async fn history(
        &self,
        kind: Kind,
        name: &str,
        limit: Option<u32>,
    ) -> Result<History, ClientError> {
        let path = object("history/", kind, name)?;
        self.read(Ask::get(with_query(&path, &[("limit", limit.map(|l| l.to_string()))]))).await
    }

    /// An object as it was after that revision.
    ///
    /// # Errors
    /// `NotFound`, if it was not there then.
    pub async fn at_revision(
        &self,
        kind: Kind,
        name: &str,
        revision: u64,
    ) -> Result<Any, ClientError> {
        let path = object("", kind, name)?;
        let path = with_query(&path, &[("revision", Some(revision.to_string()))]);
        self.read(Ask::get(path)).await
    }

    /// Takes an object back to a revision, or to the target before the present one; `said` are
    /// annotations that say why this is done in spite of what would hold it.
    ///
    /// # Errors
    /// `NotFound`; `Refused` by the gate.
    pub async fn rollback(
        &self,
        kind: Kind,
        name: &str,
        to: Option<u64>,
        said: &BTreeMap<&str, String>,
        dry_run: bool,
    ) -> Result<Outcome, ClientError> {
        let path = object("rollback/", kind, name)?;
        let given = |(parameter, annotation): (&'static str, &str)| {
            (parameter, said.get(annotation).cloned())
        };
        let mut query = vec![("to", to.map(|r| r.to_string())), dry(dry_run)];
        query.extend(OVERRIDES.map(given));
        self.read(Ask::of(Method::POST, with_query(&path, &query))).await
    }

    /// Why an object is as it is, what is waited for, and what happens next.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn why(&self, kind: Kind, name: &str) -> Result<Explanation, ClientError> {
        self.read(Ask::get(object("why/", kind, name)?)).await
    }

    /// Where a release has been, where it is and what it waits for.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn journey(&self, release: &str) -> Result<Journey, ClientError> {
        let path = object("", Kind::Release, release)?;
        self.read(Ask::get(format!("{path}/journey"))).await
    }

    /// The figures of delivery, by application or by team.
    ///
    /// # Errors
    /// When no server is reached, or the window is too long.
    pub async fn delivery(&self, window: Span, by: &str) -> Result<DeliveryFigures, ClientError> {
        let (window, by) = (Some(window.to_string()), Some(by.to_owned()));
        let path = with_query("/v1/figures/delivery", &[("window", window), ("by", by)]);
        self.read(Ask::get(path)).await
    }

    /// How well the standards are kept, by application, by team or of the fleet.
    ///
    /// # Errors
    /// When no server is reached.
    pub async fn scores(&self, by: &str, days: u32) -> Result<Scores, ClientError> {
        let (by, days) = (Some(by.to_owned()), Some(days.to_string()));
        let path = with_query("/v1/figures/standards", &[("by", by), ("days", days)]);
        self.read(Ask::get(path)).await
    }

    /// Which past changes a standard would have stopped.
    ///
    /// # Errors
    /// `Invalid`, where the standard is not valid.
    pub async fn replay_standard(&self, request: &ReplayRequest) -> Result<Replay, ClientError> {
        let ask = Ask::of(Method::POST, "/v1/replay/standards".to_owned()).json(request);
        self.read(ask.repeatable()).await
    }

    /// Decides again what was decided, with other policies.
    ///
    /// # Errors
    /// `Invalid`, where a policy is not valid.
    pub async fn replay_decisions(
        &self,
        request: &DecisionReplayRequest,
    ) -> Result<DecisionReplay, ClientError> {
        let ask = Ask::of(Method::POST, "/v1/replay/decisions".to_owned()).json(request);
        self.read(ask.repeatable()).await
    }

    /// What the fleet costs an hour, by the parameters of `GET /v1/costs`.
    ///
    /// # Errors
    /// `Invalid`, where it is to be put together by nothing there is.
    pub async fn costs(
        &self,
        by: &str,
        currency: Option<String>,
    ) -> Result<CostReport, ClientError> {
        let asked = [("by", Some(by.to_owned())), ("currency", currency)];
        self.read(Ask::get(with_query("/v1/costs", &asked))).await
    }

    /// What the fleet can carry, as it is or as it is supposed to be by the parameters of
    /// `GET /v1/capacity`.
    ///
    /// # Errors
    /// `Invalid`, where what is supposed makes no sense.
    pub async fn capacity(
        &self,
        asked: &[(&str, Option<String>)],
    ) -> Result<CapacityReport, ClientError> {
        self.read(Ask::get(with_query("/v1/capacity", asked))).await
    }

    /// What instances ask for beside what they use, by the parameters of `GET /v1/capacity/sizes`.
    ///
    /// # Errors
    /// `NotFound`, where nothing has the name; what the server says where it takes too long.
    pub async fn sizes(&self, asked: &[(&str, Option<String>)]) -> Result<SizeReport, ClientError> {
        self.read(Ask::get(with_query("/v1/capacity/sizes", asked))).await
    }

    /// What would come of a scenario.
    ///
    /// # Errors
    /// `Invalid`, where it names what is not there, or takes too long.
    pub async fn rehearse(&self, scenario: &Scenario) -> Result<RehearsalReport, ClientError> {
        let ask = Ask::of(Method::POST, "/v1/rehearse".to_owned()).json(scenario);
        self.read(ask.timeout(Some(REHEARSED))).await
    }

    /// What would come of one object, by its kind and name.
    ///
    /// # Errors
    /// As of a scenario.
    pub async fn rehearse_object(
        &self,
        kind: Kind,
        name: &str,
    ) -> Result<RehearsalReport, ClientError> {
        let ask = Ask::of(Method::POST, object("rehearse/", kind, name)?);
        self.read(ask.timeout(Some(REHEARSED))).await
    }

    /// What a migration would do.
    ///
    /// # Errors
    /// `Invalid`, where it is none.
    pub async fn migration_forecast(
        &self,
        spec: &Migration,
    ) -> Result<MigrationForecast, ClientError> {
        let ask = Ask::of(Method::POST, "/v1/forecast/migrations".to_owned()).json(spec);
        self.read(ask.repeatable()).await
    }

    /// The key the server signs packages with.
    ///
    /// # Errors
    /// When no server is reached.
    pub async fn provenance_key(&self) -> Result<PublicKey, ClientError> {
        self.read(Ask::get("/v1/provenance/key".to_owned())).await
    }
}

fn dry(dry_run: bool) -> (&'static str, Option<String>) {
    ("dryRun", dry_run.then(|| "true".to_owned()))
}
