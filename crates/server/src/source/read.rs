//! The manifest of a commit: the pipeline and the application it declares. What is wrong with it is
//! told with file, line and field.

use atoll_model::ci::pipeline::Repository;
use atoll_model::{Any, Application, Pipeline, Reason, manifest};
use atoll_plan::ci::sourced::NotSourced;

use super::fetch::Repo;

/// What a commit declares.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub definition: Option<Box<Pipeline>>,
    pub application: Option<Box<Application>>,
}

/// Reads the manifest of a commit; one without a manifest declares nothing.
pub(super) async fn declared(
    repo: &Repo,
    commit: &str,
    source: &Repository,
    name: &str,
) -> Result<Declared, NotSourced> {
    match repo.file(commit, &source.file).await {
        Some(bytes) => read(&source.file, &bytes, name),
        None => Ok(Declared::default()),
    }
}

/// The pipeline of that name, or the only one, and the application its releases are of.
fn read(file: &str, bytes: &[u8], name: &str) -> Result<Declared, NotSourced> {
    let objects = manifest::read(file, bytes).map_err(|errors| {
        let reason = |e: &manifest::ManifestError| {
            Reason::new("definition-invalid", e.to_string()).hint("mend it and push again")
        };
        NotSourced { reasons: errors.iter().map(reason).collect(), permanent: true }
    })?;
    let pipelines: Vec<_> = objects.iter().filter_map(Any::of::<Pipeline>).collect();
    let named = pipelines.iter().find(|pipeline| pipeline.name() == name);
    let definition = match (named, &pipelines[..]) {
        (Some(pipeline), _) => Some(pipeline),
        (None, [only]) => Some(only),
        _ => None,
    };
    let wanted = definition
        .and_then(|pipeline| pipeline.spec.application.clone())
        .unwrap_or_else(|| name.to_owned());
    let applications = objects.iter().filter_map(Any::of::<Application>);
    let application = applications.into_iter().find(|application| application.name() == wanted);
    Ok(Declared {
        definition: definition.map(|pipeline| Box::new(pipeline.spec.clone())),
        application: application.map(|application| Box::new(application.spec.clone())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pipeline_of_its_name_is_taken_and_what_is_wrong_is_placed() {
        let text = "apiVersion: atoll/v1
kind: Pipeline
metadata: { name: other }
spec: { steps: [{ name: a, run: 'true' }] }
---
apiVersion: atoll/v1
kind: Pipeline
metadata: { name: shop }
spec:
  steps:
    - { name: b, run: 'true' }
";
        let found = read("atoll.yaml", text.as_bytes(), "shop").unwrap();
        assert_eq!(found.definition.unwrap().steps[0].name, "b");
        assert!(read("atoll.yaml", text.as_bytes(), "third").unwrap().definition.is_none());
        let wrong = text.replace("name: b, run", "name: b, needs: [c], run");
        let said = read("atoll.yaml", wrong.as_bytes(), "shop").unwrap_err();
        let message = &said.reasons[0].message;
        assert!(message.starts_with("atoll.yaml:"), "{message}");
        assert!(message.contains("steps[0].needs") && said.permanent, "{message}");
    }
}
