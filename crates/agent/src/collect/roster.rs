//! Which instances are here and how they are, read from their directories as keepers and shims
//! leave them. Nothing is asked of a keeper, so that metrics never stand in its way.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::keeper::Record;
use crate::runtime::orders::{Phase, State};
use crate::runtime::place::Place;
use crate::runtime::process::Process;

/// One instance.
#[derive(Debug)]
pub struct Seen {
    /// Where it lies.
    pub place: Place,
    /// What was last started.
    pub record: Record,
    /// What its shim says; none before it has said anything, or since the machine was started.
    pub state: Option<State>,
    /// The process that is ready.
    ready: Option<Process>,
    stamps: [Stamp; 3],
}

/// Changes whenever a file does, as all are replaced and never changed.
type Stamp = Option<(u64, i64, i64)>;

impl Seen {
    /// The process of its application, while there is one.
    pub fn app(&self) -> Option<Process> {
        self.state.as_ref().filter(|s| s.phase == Phase::Running).and_then(|s| s.app)
    }

    /// Whether it is ready.
    pub fn is_up(&self) -> bool {
        self.app().is_some() && self.ready == self.app()
    }

    /// The release that runs, or that was last to be started.
    pub fn release(&self) -> &str {
        let running = self.state.as_ref().map(|s| s.release.as_str());
        running.unwrap_or(&self.record.order.instance.release)
    }
}

/// All instances by name.
pub struct Roster {
    dir: PathBuf,
    boot: String,
    /// Those there are now.
    pub instances: BTreeMap<String, Seen>,
}

impl Roster {
    /// Of the agent's directory, in this boot.
    pub fn new(data: &Path, boot: &str) -> Roster {
        let dir = data.join("instances");
        Roster { dir, boot: boot.to_owned(), instances: BTreeMap::new() }
    }

    /// Looks again. Only files that have changed are read.
    pub fn refresh(&mut self) {
        let mut known = std::mem::take(&mut self.instances);
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            let place = Place::at(&entry.path());
            let stamps = [place.record(), place.state(), place.ready()].map(|path| stamp(&path));
            let seen = match known.remove(&name) {
                Some(seen) if seen.stamps == stamps => Some(seen),
                _ => self.read(place, stamps),
            };
            if let Some(seen) = seen.filter(|s| s.record.order.instance.name == name) {
                self.instances.insert(name, seen);
            }
        }
    }

    fn read(&self, place: Place, stamps: [Stamp; 3]) -> Option<Seen> {
        let record = disk::read(&place.record())?;
        let state = disk::read(&place.state()).filter(|state: &State| state.boot == self.boot);
        let ready = disk::read(&place.ready());
        Some(Seen { place, record, state, ready, stamps })
    }
}

fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    Some((meta.ino(), meta.mtime(), meta.mtime_nsec()))
}
