//! Who may do what, as people at the command line meet it: a user of a team signs in, is let do
//! what their role says and no more, and all of it is on record.

use crate::site::{Said, Site, eventually, sample};

const ROLE: &str = "
apiVersion: atoll/v1
kind: Role
metadata: { name: trade }
spec:
  to: [team/trade]
  rules:
    - { verbs: [read, logs], teams: [own] }
    - { verbs: [write], kinds: [Deployment], teams: [own], environments: [prod] }
";

/// The command line of somebody who has signed in, with a home of their own.
fn as_anna(site: &Site, args: &[&str], stdin: &str) -> Said {
    let home = site.path("anna");
    site.with_input(args, stdin, &[("XDG_CONFIG_HOME", &home.to_string_lossy())])
}

#[test]
fn a_member_of_a_team_does_what_their_role_says() {
    let site = Site::up();
    let ours = sample("shop", 1, "", "").replace("spec:\n", "spec:\n  owner: team/trade\n");
    let theirs = sample("pay", 1, "", "").replace("spec:\n", "spec:\n  owner: team/money\n");
    for (name, text) in [("ours.yaml", &ours), ("theirs.yaml", &theirs)] {
        site.atoll(&["apply", "-f", &site.write(name, text)]).ok();
    }
    site.atoll(&["apply", "-f", &site.write("role.yaml", ROLE)]).ok();
    site.atoll(&["user", "add", "anna", "--called", "Anna", "--team", "trade"]).ok();
    assert_eq!(site.atoll(&["user", "add", "anna"]).code, 2, "there is one already");
    let set = site.with_input(&["user", "password", "anna"], "a long password\n", &[]);
    set.ok();
    assert_eq!(site.with_input(&["user", "password", "anna"], "short\n", &[]).code, 2);

    let login = ["login", "--server", &site.url, "--user", "anna"];
    assert_ne!(as_anna(&site, &login, "wrong password\n").code, 0);
    as_anna(&site, &login, "a long password\n").ok();
    let who = as_anna(&site, &["whoami"], "");
    assert!(who.out.contains("user/anna (trade)"), "{}{}", who.out, who.err);
    assert!(who.err.contains("in team trade"), "{}", who.err);

    let mine = as_anna(&site, &["get", "deployments"], "").ok();
    assert!(mine.contains("shop.prod") && !mine.contains("pay.prod"), "{mine}");
    as_anna(&site, &["scale", "deployment/shop.prod", "2"], "").ok();
    let said = as_anna(&site, &["scale", "deployment/pay.prod", "2"], "");
    assert_eq!(said.code, 3, "{}{}", said.out, said.err);
    assert!(said.err.contains("it takes a role with read on Deployment"), "{}", said.err);
    assert!(said.err.contains("user/local may bind one"), "{}", said.err);
    for args in [
        &["get", "deployment/pay.prod"][..],
        &["history", "deployment/pay.prod"],
        &["logs", "deployment/pay.prod"],
        &["exec", "instance/shop.prod.0", "--", "true"],
        &["delete", "deployment/shop.prod"],
        &["token", "create", "--role", "admin"],
        &["audit", "verify"],
    ] {
        let said = as_anna(&site, args, "");
        assert_eq!(said.code, 3, "{args:?}: {}{}", said.out, said.err);
    }
    as_anna(&site, &["logout"], "").ok();
    assert_ne!(as_anna(&site, &["get", "deployments"], "").code, 0);

    eventually("the refusal is on record", || {
        let audit = site.atoll(&["audit", "--refused", "--actor", "user/anna"]).ok();
        audit.contains("pay.prod").then_some(())
    });
    let audit = site.atoll(&["audit", "--kind", "audit"]).ok();
    for word in ["login", "login-failed", "logout", "password"] {
        assert!(audit.contains(word), "{word}: {audit}");
    }
    let walked = site.atoll(&["audit", "verify"]);
    assert!(walked.err.contains("every record fits"), "{}{}", walked.out, walked.err);
    let head = walked.out.lines().find_map(|line| line.strip_prefix("head ")).expect("a head");
    site.atoll(&["audit", "verify", "--head", head]).ok();
    let other = format!("{}:{}", head.split(':').next().unwrap_or_default(), "0".repeat(64));
    assert_eq!(site.atoll(&["audit", "verify", "--head", &other]).code, 1);
    assert_eq!(site.atoll(&["audit", "verify", "--head", "nonsense"]).code, 2);

    site.atoll(&["user", "disable", "anna"]).ok();
    assert_ne!(as_anna(&site, &login, "a long password\n").code, 0);
}

#[test]
fn whoever_loses_their_access_is_told_why_their_session_ends() {
    let site = Site::up();
    let ours = sample("shop", 1, "", "").replace("spec:\n", "spec:\n  owner: team/trade\n");
    site.atoll(&["apply", "-f", &site.write("ours.yaml", &ours)]).ok();
    let role = ROLE.replace("[read, logs]", "[read, exec]");
    site.atoll(&["apply", "-f", &site.write("role.yaml", &role)]).ok();
    site.atoll(&["user", "add", "anna", "--team", "trade"]).ok();
    site.with_input(&["user", "password", "anna"], "a long password\n", &[]).ok();
    let login = ["login", "--server", &site.url, "--user", "anna"];
    as_anna(&site, &login, "a long password\n").ok();
    // Not always the first: one whose port another process took is made anew.
    let (name, _) = site.wait_ready("shop.prod", 1).remove(0);
    let instance = format!("instance/{name}");
    let command = ["exec", instance.as_str(), "--", "sleep", "300"];
    let said = std::thread::scope(|scope| {
        let session = scope.spawn(|| as_anna(&site, &command, ""));
        eventually("it is on record", || {
            let audit = site.atoll(&["audit", "--kind", "audit"]).ok();
            audit.lines().any(|line| line.contains("exec")).then_some(())
        });
        site.atoll(&["apply", "-f", &site.write("role.yaml", ROLE)]).ok();
        session.join().expect("it ends")
    });
    assert_ne!(said.code, 0);
    let why = format!("access ended: user/anna may not exec {instance} any more");
    assert!(said.err.contains(&why), "ended with {}: {}{}", said.code, said.out, said.err);
}
