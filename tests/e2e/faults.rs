//! Kill -9 of server and agent, of shims and of instances, in a seeded order, under a rollout: in
//! the end everything is as it was asked for, and nothing runs that should not.

use serde_json::json;

use crate::site::{Site, alive, eventually, kill_hard, sample};

/// A small generator with a seed: Knuth's constants for a linear congruence.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

#[test]
fn killing_anything_under_a_rollout_loses_nothing() {
    let seed = std::env::var("ATOLL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(7);
    eprintln!("replay with ATOLL_SEED={seed}");
    let mut random = Seeded(seed);
    let mut site = Site::up();
    let quick = "healthyFor: 200ms, deadline: 60s, maxUnavailable: 1";
    let file = site.write("shop.yaml", &sample("shop", 4, "GREETING: r0", quick));
    site.atoll(&["apply", "-f", &file, "--wait"]).ok();
    let mut seen: Vec<i64> = Vec::new();
    for round in 1..=4 {
        let text = sample("shop", 4, &format!("GREETING: r{round}"), quick);
        let file = site.write("shop.yaml", &text);
        site.atoll(&["apply", "-f", &file]).ok();
        for _ in 0..3 {
            let ready = site.ready("shop.prod");
            seen.extend(ready.iter().map(|(_, pid)| *pid));
            match random.below(3) {
                0 => {
                    site.kill_up();
                    site.start_up();
                }
                1 if !ready.is_empty() => {
                    let pid = ready[random.below(ready.len())].1;
                    if alive(pid) {
                        kill_hard(pid);
                    }
                }
                _ => kill_a_shim(&site, &mut random),
            }
        }
        let release = json!(format!("shop-{}", round + 1));
        eventually("the release is everywhere", || {
            let status = site.field("deployment/shop.prod", "/status");
            let done = status["phase"] == "settled" && status["release"] == release;
            (done && site.ready("shop.prod").len() == 4).then_some(())
        });
    }
    let now: Vec<i64> = site.ready("shop.prod").iter().map(|(_, pid)| *pid).collect();
    eventually("nothing old runs on", || {
        let old = seen.iter().filter(|pid| !now.contains(pid) && alive(**pid)).count();
        (old == 0).then_some(())
    });
}

/// Kills the shim of some instance, if one is found.
fn kill_a_shim(site: &Site, random: &mut Seeded) {
    let marker = site.dir.path().to_string_lossy().into_owned();
    let mut shims = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("it is there").flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i64>() else { continue };
        let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        if command.contains(" shim ") && command.contains(&marker) {
            shims.push(pid);
        }
    }
    shims.sort_unstable();
    if !shims.is_empty() {
        let pid = shims[random.below(shims.len())];
        if alive(pid) {
            kill_hard(pid);
        }
    }
}
