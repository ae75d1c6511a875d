//! The inventory: filters, things in full, relations, and records from elsewhere.

use atoll_model::Timestamp;
use atoll_model::api::Outcome;
use atoll_model::cmdb::view::{
    Found, Impact, InventoryFigures, NextFree, Records, Relations, ThingView, UseReport,
};
use atoll_model::{Any, Kind};
use reqwest::Method;
use serde_json::Value;

use crate::error::ClientError;
use crate::pages::{escape, object, with_query};
use crate::transport::{Ask, Client};

/// Which things are looked for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// A filter.
    pub filter: String,
    /// As they were at this time.
    pub at: Option<Timestamp>,
    /// At most so many in one page.
    pub limit: Option<usize>,
    /// The `continue` of the page before.
    pub after: Option<String>,
    /// Paths whose values are counted.
    pub facets: Vec<String>,
}

impl Client {
    /// One page of what a filter lets through.
    ///
    /// # Errors
    /// `Invalid`, if the filter is none.
    pub async fn find(&self, search: &Search) -> Result<Found, ClientError> {
        let facets = Some(search.facets.join(",")).filter(|text| !text.is_empty());
        let path = with_query(
            "/v1/inventory",
            &[
                ("filter", Some(search.filter.clone())),
                ("at", search.at.map(|at| at.to_string())),
                ("limit", search.limit.map(|limit| limit.to_string())),
                ("continue", search.after.clone()),
                ("facets", facets),
            ],
        );
        self.read(Ask::get(path)).await
    }

    /// Everything a filter lets through, page by page, and the revision of the first page.
    ///
    /// # Errors
    /// As [`Client::find`].
    pub async fn find_all(&self, search: &Search) -> Result<(Vec<Any>, u64), ClientError> {
        let mut search = Search { limit: Some(5_000), ..search.clone() };
        let first = self.find(&search).await?;
        let (mut items, revision, mut next) = (first.items, first.revision, first.next);
        while let Some(after) = next.take() {
            search.after = Some(after);
            let page = self.find(&search).await?;
            items.extend(page.items);
            next = page.next;
        }
        Ok((items, revision))
    }

    /// One thing in full.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn thing(&self, kind: Kind, name: &str) -> Result<ThingView, ClientError> {
        self.read(Ask::get(object("inventory/things/", kind, name)?)).await
    }

    /// Who suffers when something is lost.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn impact(&self, of: &str) -> Result<Impact, ClientError> {
        let path = with_query("/v1/inventory/impact", &[("of", Some(of.to_owned()))]);
        self.read(Ask::get(path)).await
    }

    /// The way from one thing to another.
    ///
    /// # Errors
    /// `NotFound`, if there is none.
    pub async fn path(&self, from: &str, to: &str) -> Result<Relations, ClientError> {
        let ends = [("from", Some(from.to_owned())), ("to", Some(to.to_owned()))];
        self.read(Ask::get(with_query("/v1/inventory/path", &ends))).await
    }

    /// How good the inventory is.
    ///
    /// # Errors
    /// When no server is reached.
    pub async fn inventory_figures(&self) -> Result<InventoryFigures, ClientError> {
        self.read(Ask::get("/v1/inventory/figures".to_owned())).await
    }

    /// The next free address of a network or, given a length, the next free prefix.
    ///
    /// # Errors
    /// `NotFound`; `Conflict`, if nothing is left.
    pub async fn next_free(
        &self,
        network: &str,
        length: Option<u8>,
    ) -> Result<NextFree, ClientError> {
        let path = format!("/v1/inventory/networks/{}/next", escape(network));
        self.read(Ask::get(with_query(&path, &[("length", length.map(|l| l.to_string()))]))).await
    }

    /// Hosts, as Ansible lists them.
    ///
    /// # Errors
    /// `Invalid`, if the filter is none.
    pub async fn ansible(&self, filter: Option<&str>) -> Result<Value, ClientError> {
        let filter = ("filter", filter.map(str::to_owned));
        self.read(Ask::get(with_query("/v1/inventory/ansible", &[filter]))).await
    }

    /// Hands in records of what should be.
    ///
    /// # Errors
    /// `Invalid` with every problem of every record; `Refused` by the gate.
    pub async fn import(&self, records: &Records, dry_run: bool) -> Result<Outcome, ClientError> {
        let path = with_query("/v1/inventory/import", &[dry(dry_run)]);
        // Imported twice, it is unchanged the second time.
        self.read(Ask::of(Method::POST, path).json(records).repeatable()).await
    }

    /// Hands in records of what was seen.
    ///
    /// # Errors
    /// As [`Client::import`].
    pub async fn observe(&self, records: &Records) -> Result<Outcome, ClientError> {
        let path = "/v1/inventory/observe".to_owned();
        self.read(Ask::of(Method::POST, path).json(records).repeatable()).await
    }

    /// Says what a consumer met who relied on a recorded value.
    ///
    /// # Errors
    /// `NotFound`, if there is no such subject.
    pub async fn evidence(&self, evidence: &UseReport) -> Result<Outcome, ClientError> {
        let path = "/v1/inventory/evidence".to_owned();
        self.read(Ask::of(Method::POST, path).json(evidence).repeatable()).await
    }

    /// Mends a finding: `accept` takes what is, `mend` has the world match.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`, if it cannot be mended so.
    pub async fn mend(&self, drift: &str, how: &str, dry: bool) -> Result<Outcome, ClientError> {
        let path = format!("{}/{how}", object("", Kind::Drift, drift)?);
        self.read(Ask::of(Method::POST, with_query(&path, &[self::dry(dry)]))).await
    }

    /// Merges an item into another.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`, if they are of different classes.
    pub async fn merge(&self, item: &str, into: &str, dry: bool) -> Result<Outcome, ClientError> {
        let path = format!("{}/merge", object("", Kind::Item, item)?);
        let into = ("into", Some(into.to_owned()));
        self.read(Ask::of(Method::POST, with_query(&path, &[into, self::dry(dry)]))).await
    }

    /// Undoes a merge.
    ///
    /// # Errors
    /// `NotFound`; `Invalid`, if it was not merged.
    pub async fn split(&self, item: &str, dry: bool) -> Result<Outcome, ClientError> {
        let path = format!("{}/split", object("", Kind::Item, item)?);
        self.read(Ask::of(Method::POST, with_query(&path, &[self::dry(dry)]))).await
    }
}

fn dry(dry_run: bool) -> (&'static str, Option<String>) {
    ("dryRun", dry_run.then(|| "true".to_owned()))
}
