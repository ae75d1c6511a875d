//! Repositories that are served here, at `/git/NAME.git`, by git's own program for it. A push
//! begins runs by way of the worker of sources, which finds what is new, so that none is lost.

use std::path::Path as FilePath;
use std::process::Stdio;

use atoll_model::Pipeline;
use atoll_model::access::Actor;
use atoll_model::access::role::Verb;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::error::{Answer, ApiError};
use crate::source::fetch::prepare;
use crate::{App, Server};

/// The longest head a program may answer with, in bytes.
const LONGEST_HEAD: usize = 16 << 10;

/// `/git/{repository}/info/refs`: what a client asks first.
pub async fn refs(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(repository): Path<String>,
    request: Request,
) -> Answer<Response> {
    let pushes = request.uri().query().is_some_and(|query| query.contains("git-receive-pack"));
    let verb = if pushes { Verb::Write } else { Verb::Read };
    serve(&app, &actor, (&repository, verb), "info/refs", request).await
}

/// `/git/{repository}/git-upload-pack`: a client fetches.
pub async fn upload(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(repository): Path<String>,
    request: Request,
) -> Answer<Response> {
    serve(&app, &actor, (&repository, Verb::Read), "git-upload-pack", request).await
}

/// `/git/{repository}/git-receive-pack`: a client pushes.
pub async fn receive(
    State(app): State<App>,
    Extension(actor): Extension<Actor>,
    Path(repository): Path<String>,
    request: Request,
) -> Answer<Response> {
    serve(&app, &actor, (&repository, Verb::Write), "git-receive-pack", request).await
}

/// The directory of a repository that a pipeline declares.
async fn directory(
    app: &Server,
    actor: &Actor,
    (repository, verb): (&str, Verb),
) -> Answer<std::path::PathBuf> {
    let unknown = || {
        let hint = "a Pipeline with a source and without spec.source.git has one";
        ApiError::not_found(format!("repository {repository} here: {hint}"))
    };
    let name = repository.strip_suffix(".git").ok_or_else(unknown)?;
    let sight = app.sight(actor);
    sight.world.get::<Pipeline>(name).ok_or_else(unknown)?;
    let pipeline = sight.get::<Pipeline>(verb, name)?;
    let source = pipeline.spec.source.as_ref().filter(|source| source.git.is_none());
    let source = source.ok_or_else(unknown)?;
    let served = app.places.served.as_ref().ok_or_else(unknown)?;
    let dir = served.join(repository);
    let made = prepare(&dir, &source.branch).await;
    made.map_err(|not| {
        let why: Vec<String> = not.reasons.into_iter().map(|reason| reason.message).collect();
        ApiError::internal(why.join("; "))
    })?;
    Ok(dir)
}

async fn serve(
    app: &App,
    actor: &Actor,
    repository: (&str, Verb),
    what: &str,
    request: Request,
) -> Answer<Response> {
    let dir = directory(app, actor, repository).await?;
    let mut child = command(&dir, actor, what, &request)
        .spawn()
        .map_err(|e| ApiError::internal(format!("running git: {e}; install git here")))?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(ApiError::internal("git has no input and output"));
    };
    tokio::spawn(feed(input, request.into_body()));
    let mut output = BufReader::new(output);
    let (status, headers) = head(&mut output).await?;
    let pushed = (what == "git-receive-pack").then(|| app.clone());
    Ok((status, headers, body(output, child, pushed)).into_response())
}

fn command(dir: &FilePath, actor: &Actor, what: &str, request: &Request) -> Command {
    let header = |name| {
        let value = request.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().to_owned()
    };
    let name = dir.file_name().unwrap_or_default().to_string_lossy();
    let mut command = Command::new("git");
    command.arg("http-backend").env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", "/nonexistent").env("LC_ALL", "C");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.env("GIT_CONFIG_COUNT", "3");
    let settings =
        [("core.hooksPath", "/dev/null"), ("receive.fsckObjects", "true"), ("safe.directory", "*")];
    for (i, (key, value)) in settings.into_iter().enumerate() {
        command.env(format!("GIT_CONFIG_KEY_{i}"), key);
        command.env(format!("GIT_CONFIG_VALUE_{i}"), value);
    }
    command.env("GIT_PROJECT_ROOT", dir.parent().unwrap_or(dir)).env("GIT_HTTP_EXPORT_ALL", "1");
    command.env("PATH_INFO", format!("/{name}/{what}"));
    command.env("QUERY_STRING", request.uri().query().unwrap_or_default());
    command.env("REQUEST_METHOD", request.method().as_str());
    command.env("CONTENT_TYPE", header(CONTENT_TYPE.as_str()));
    command.env("HTTP_CONTENT_ENCODING", header(CONTENT_ENCODING.as_str()));
    command.env("GIT_PROTOCOL", header("git-protocol"));
    command.env("REMOTE_USER", &actor.name).env("REMOTE_ADDR", "127.0.0.1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.kill_on_drop(true);
    command
}

async fn feed(mut input: ChildStdin, body: Body) {
    let mut parts = body.into_data_stream();
    while let Some(Ok(part)) = parts.next().await {
        if input.write_all(&part).await.is_err() {
            return;
        }
    }
    // Closing it tells git that this was all.
    drop(input);
}

/// Reads the head that the program answers with, as a CGI program does.
async fn head(output: &mut BufReader<ChildStdout>) -> Answer<(StatusCode, HeaderMap)> {
    let (mut status, mut headers, mut length) = (StatusCode::OK, HeaderMap::new(), 0);
    loop {
        let mut line = String::new();
        let read = (&mut *output).take(LONGEST_HEAD as u64).read_line(&mut line).await;
        length += read.map_err(ApiError::internal)?;
        let line = line.trim_end();
        if line.is_empty() || length > LONGEST_HEAD {
            return Ok((status, headers));
        }
        let Some((name, value)) = line.split_once(':') else { continue };
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().and_then(|code| code.parse().ok());
            status = code.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        } else if let (Ok(name), Ok(value)) =
            (name.parse::<axum::http::HeaderName>(), value.parse())
        {
            headers.insert(name, value);
        }
    }
}

/// Hands the rest on. The worker is told of a push when git has done it.
fn body(output: BufReader<ChildStdout>, child: Child, pushed: Option<App>) -> Body {
    let state = (output, child, pushed);
    let parts = futures::stream::unfold(Some(state), |state| async move {
        let (mut output, mut child, pushed) = state?;
        let mut part = vec![0; 32 << 10];
        match output.read(&mut part).await {
            Ok(0) => {
                // Its exit code tells nothing that its output has not told.
                let _ = child.wait().await;
                if let Some(app) = pushed {
                    app.pushed.notify_one();
                }
                None
            }
            Ok(length) => {
                part.truncate(length);
                Some((Ok(bytes::Bytes::from(part)), Some((output, child, pushed))))
            }
            Err(error) => Some((Err(error), None)),
        }
    });
    // Whoever sends it may ask again after its end.
    Body::from_stream(parts.fuse())
}
