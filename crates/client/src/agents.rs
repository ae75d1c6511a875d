//! What an agent asks and tells, and the sessions of people with instances.

use std::time::Duration;

use atoll_model::agent::{Ask as SessionAsk, Assignment, Join, Joined, Report};
use atoll_model::cmdb::facts::{FactsReport, FactsWanted};
use atoll_model::{Span, Timestamp};
use reqwest::{Method, StatusCode};

use crate::error::ClientError;
use crate::pages::{escape, with_query};
use crate::socket::Socket;
use crate::transport::{Ask, Client};

impl Client {
    /// Asks for this machine to be a host.
    ///
    /// # Errors
    /// `Refused`, if the token does not allow it.
    pub async fn join(&self, join: &Join) -> Result<Joined, ClientError> {
        self.read(Ask::of(Method::POST, "/v1/agents/join".to_owned()).json(join)).await
    }

    /// What is to be on a host, once that has changed after revision `after`; nothing, if it has
    /// not within `wait`. `now` is what the host's clock says, so that it is told if that is off.
    ///
    /// # Errors
    /// When no server is reached; `NotFound` or a problem with status 410, if there is no such
    /// host any more.
    pub async fn assignment(
        &self,
        host: &str,
        after: u64,
        wait: Span,
        now: Timestamp,
    ) -> Result<Option<Assignment>, ClientError> {
        let path = with_query(
            &format!("/v1/agents/{}/assignment", escape(host)),
            &[
                ("after", Some(after.to_string())),
                ("wait", Some(wait.to_string())),
                ("now", Some(now.to_string())),
            ],
        );
        let timeout = wait.std() + Duration::from_secs(10);
        let reply = self.send(Ask::get(path).timeout(Some(timeout))).await?;
        if reply.status == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        reply.read().map(Some)
    }

    /// Tells how a host and its instances are.
    ///
    /// # Errors
    /// As [`Client::assignment`].
    pub async fn report(&self, host: &str, report: &Report) -> Result<(), ClientError> {
        let path = format!("/v1/agents/{}/report", escape(host));
        // Told twice, a report changes nothing.
        let ask = Ask::of(Method::POST, path).json(report).repeatable();
        self.send(ask.timeout(Some(Duration::from_secs(10)))).await.map(drop)
    }

    /// Hands in parts of a host's facts that have changed, and the digests of all; returns those
    /// that are wanted.
    ///
    /// # Errors
    /// As [`Client::assignment`].
    pub async fn facts(
        &self,
        host: &str,
        report: &FactsReport,
    ) -> Result<FactsWanted, ClientError> {
        let path = format!("/v1/agents/{}/facts", escape(host));
        self.read(Ask::of(Method::POST, path).json(report).repeatable()).await
    }

    /// Opens a session of a person with an instance.
    ///
    /// # Errors
    /// `NotFound`; `Refused`, if one may not; when its host does not answer.
    pub async fn open_session(
        &self,
        instance: &str,
        ask: &SessionAsk,
    ) -> Result<Socket, ClientError> {
        let text = serde_json::to_string(ask).expect("an ask has string keys only");
        let path = format!("/v1/instances/{}/session", escape(instance));
        Socket::open(self, with_query(&path, &[("ask", Some(text))])).await
    }

    /// Opens a session of a person with a task that is not over.
    ///
    /// # Errors
    /// As [`Client::open_session`].
    pub async fn open_task_session(
        &self,
        task: &str,
        ask: &SessionAsk,
    ) -> Result<Socket, ClientError> {
        let text = serde_json::to_string(ask).expect("an ask has string keys only");
        let path = format!("/v1/tasks/{}/session", escape(task));
        Socket::open(self, with_query(&path, &[("ask", Some(text))])).await
    }

    /// Opens the agent's end of a session.
    ///
    /// # Errors
    /// `NotFound`, if the person has gone.
    pub async fn answer_session(&self, host: &str, id: &str) -> Result<Socket, ClientError> {
        let path = format!("/v1/agents/{}/sessions/{}", escape(host), escape(id));
        Socket::open(self, path).await
    }
}
