//! Pools of a real server whose provider is a real program: what it is told, that nothing is made
//! twice when it does not answer in time, and what a machine's token is good for. What is asked
//! when is tested with the planner.

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use atoll_model::Level;
use serde_json::{Value, json};
use support::{Caller, TestServer, serve_with, until};

/// A cloud in a directory: a file for each machine, and a line for each time one was made.
const CLOUD: &str = r#"#!/bin/sh
cd "$CLOUD" || exit 1
case $ATOLL_ACTION in
create)
    cat > "asked-$ATOLL_KEY"
    if [ -e refuses ]; then echo "no quota left" >&2; exit 1; fi
    if [ ! -e "machines/$ATOLL_KEY" ]; then
        echo "$ATOLL_KEY" >> made
        touch "machines/$ATOLL_KEY"
    fi
    if [ -e hangs ]; then rm hangs; sleep 600; fi
    echo "{\"machines\":[{\"key\":\"$ATOLL_KEY\",\"id\":\"i-$ATOLL_KEY\"}]}"
    ;;
list)
    if [ -e away ]; then echo "the cloud is away" >&2; exit 1; fi
    printf '{"account":"%s","machines":[' "$(cat account 2>/dev/null)"
    comma=
    for key in $(ls machines); do
        printf '%s{"key":"%s","id":"i-%s"}' "$comma" "$key" "$key"
        comma=,
    done
    echo ']}'
    ;;
delete) rm -f "machines/$ATOLL_KEY" ;;
esac
"#;

struct Cloud {
    server: TestServer,
    admin: Caller,
    dir: PathBuf,
    _dir: tempfile::TempDir,
}

impl Cloud {
    async fn new() -> Cloud {
        let dir = tempfile::tempdir().expect("a directory");
        let programs = dir.path().join("programs");
        std::fs::create_dir_all(dir.path().join("machines")).expect("a directory");
        std::fs::create_dir(&programs).expect("a directory");
        std::fs::write(programs.join("cloud"), CLOUD).expect("a file");
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(programs.join("cloud"), mode).expect("it is ours");
        let server = serve_with(|options| options.pools.programs = vec![programs]).await;
        let admin = server.caller_with(Level::Admin).await;
        Cloud { server, admin, dir: dir.path().to_owned(), _dir: dir }
    }

    fn has(&self, name: &str) -> bool {
        self.dir.join(name).exists()
    }

    fn put(&self, name: &str, text: &str) {
        std::fs::write(self.dir.join(name), text).expect("a file");
    }

    fn lines(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn machines(&self) -> Vec<String> {
        let all = std::fs::read_dir(self.dir.join("machines")).expect("a directory");
        all.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into()).collect()
    }

    async fn pool(&self, count: u32) {
        let pool = json!({
            "apiVersion": "atoll/v1", "kind": "Pool", "metadata": { "name": "web" },
            "spec": {
                "count": count, "max": 4, "zone": "a", "labels": { "disk": "fast" },
                "provider": { "exec": {
                    "create": ["cloud"], "list": ["cloud"], "delete": ["cloud"],
                    "env": { "CLOUD": self.dir }, "timeout": "2s",
                } },
            },
        });
        let ask = json!({ "objects": [pool] });
        let (status, said) = self.admin.call("POST", "/v1/apply", Some(&ask)).await;
        assert_eq!(status, 200, "{said}");
    }

    async fn status(&self) -> Value {
        self.admin.call("GET", "/v1/pools/web", None).await.1["status"].clone()
    }

    /// Waits until the machines are so far.
    async fn phases(&self, wanted: &[&str]) -> Vec<String> {
        until(async || {
            let status = self.status().await;
            let machines = status["machines"].as_object().cloned().unwrap_or_default();
            let mut phases: Vec<&str> =
                machines.values().map(|one| one["phase"].as_str().unwrap_or_default()).collect();
            phases.sort_unstable();
            (phases == wanted).then(|| machines.keys().cloned().collect())
        })
        .await
    }

    /// What a machine was told when it was made.
    fn told(&self, key: &str) -> Value {
        let text = std::fs::read_to_string(self.dir.join(format!("asked-{key}")));
        serde_json::from_str(&text.expect("it was asked for")).expect("JSON")
    }

    async fn join(&self, key: &str, token: &Value) -> (u16, Value) {
        let machine = self.server.caller(token.as_str().map(str::to_owned));
        let facts = json!({
            "capacity": { "cpu": "2", "memory": "1Gi", "instances": 0 },
            "address": "127.0.0.1", "agent": {},
        });
        let ask = json!({ "name": key, "labels": { "pool": "mine", "rack": "7" }, "facts": facts });
        machine.call("POST", "/v1/agents/join", Some(&ask)).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_made_join_once_and_go_again() {
    let cloud = Cloud::new().await;
    cloud.pool(1).await;
    let key = cloud.phases(&["joining"]).await.remove(0);
    let told = cloud.told(&key);
    assert_eq!((&told["action"], &told["version"]), (&json!("create"), &json!(1)));
    assert_eq!(told["labels"], json!({ "disk": "fast", "pool": "web", "zone": "a" }));
    assert!(told["servers"][0].as_str().is_some_and(|url| url.starts_with("http://127")), "{told}");
    // Its token lets no other machine in, and nothing else be done.
    let (status, said) = cloud.join("another", &told["token"]).await;
    assert!(status == 422 && said.to_string().contains(&key), "{status} {said}");
    let token = told["token"].as_str().map(str::to_owned);
    assert_eq!(cloud.server.caller(token).call("GET", "/v1/hosts", None).await.0, 403);
    assert_eq!(cloud.join(&key, &told["token"]).await.0, 200);
    assert_eq!(cloud.join(&key, &told["token"]).await.0, 401, "it is good once");
    cloud.phases(&["ready"]).await;
    let (_, host) = cloud.admin.call("GET", &format!("/v1/hosts/{key}"), None).await;
    let labels = json!({ "disk": "fast", "pool": "web", "zone": "a", "rack": "7" });
    assert_eq!(host["metadata"]["labels"], labels);
    cloud.pool(0).await;
    cloud.phases(&[]).await;
    assert!(cloud.machines().is_empty());
    assert_eq!(cloud.admin.call("GET", &format!("/v1/hosts/{key}"), None).await.0, 404);
    assert_eq!(cloud.lines("made"), [key]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_was_made_without_a_word_is_not_made_twice() {
    let cloud = Cloud::new().await;
    cloud.put("hangs", "");
    cloud.pool(2).await;
    let keys = cloud.phases(&["joining", "joining"]).await;
    until(async || {
        let status = cloud.status().await;
        status["machines"].to_string().contains("no answer").then_some(()).or_else(|| {
            // The list may have been faster than the time that was given.
            (!cloud.has("hangs")).then_some(())
        })
    })
    .await;
    let mut made = cloud.lines("made");
    made.sort_unstable();
    assert_eq!(made, keys);
    // A refusal is told, and asked again once it may be.
    cloud.put("refuses", "");
    cloud.pool(3).await;
    until(async || {
        let status = cloud.status().await;
        status["reasons"].to_string().contains("no quota left").then_some(())
    })
    .await;
    std::fs::remove_file(cloud.dir.join("refuses")).expect("it is there");
    cloud.phases(&["joining", "joining", "joining"]).await;
    assert_eq!(cloud.lines("made").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_in_the_way_is_told() {
    let cloud = Cloud::new().await;
    cloud.put("away", "");
    cloud.pool(1).await;
    let says = async |word: &str| {
        until(async || cloud.status().await["reasons"].to_string().contains(word).then_some(()))
            .await;
    };
    says("the cloud is away").await;
    std::fs::remove_file(cloud.dir.join("away")).expect("it is there");
    cloud.phases(&["joining"]).await;
    // A program elsewhere is not run at all, whoever asks for it.
    let (status, said) = cloud.admin.call("DELETE", "/v1/pools/web", None).await;
    assert_eq!(status, 200, "{said}");
    until(async || {
        let (status, _) = cloud.admin.call("GET", "/v1/pools/web", None).await;
        (status == 404).then_some(())
    })
    .await;
    assert!(cloud.machines().is_empty());
    let line = ["/bin/touch".to_owned(), cloud.dir.join("touched").display().to_string()];
    let pool = json!({
        "apiVersion": "atoll/v1", "kind": "Pool", "metadata": { "name": "web" },
        "spec": { "count": 1, "max": 1, "provider": { "exec": {
            "create": line, "list": line, "delete": line,
        } } },
    });
    let ask = json!({ "objects": [pool] });
    assert_eq!(cloud.admin.call("POST", "/v1/apply", Some(&ask)).await.0, 200);
    says("--pool-programs").await;
    assert!(!cloud.has("touched"));
    assert!(Path::new(&line[0]).exists());
}
