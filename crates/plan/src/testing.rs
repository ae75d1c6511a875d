//! Small worlds for the tests inside this crate. Whole fleets are in `sim.rs`.

use std::sync::Arc;

use atoll_model::cmdb::HostPhase;
use atoll_model::{Any, Host, Instance, Object, Snapshot};

/// A world of these objects.
pub fn world<const N: usize>(objects: [Any; N]) -> Snapshot {
    let mut world = Snapshot::default();
    for any in objects {
        crate::follow::apply(&mut world, &atoll_model::Write::Put(any));
    }
    world
}

/// A host that is ready.
pub fn host(name: &str) -> Any {
    let mut host = Object::new(name, Host::default());
    host.status.phase = HostPhase::Ready;
    Any::Host(Arc::new(host))
}

/// An instance its host has not spoken of.
pub fn instance(name: &str, host: &str) -> Any {
    let (deployment, ordinal) = name.rsplit_once('.').unwrap_or((name, "0"));
    let spec = Instance {
        deployment: deployment.to_owned(),
        ordinal: ordinal.parse().unwrap_or(0),
        release: "web-1".to_owned(),
        host: host.to_owned(),
        ports: Default::default(),
        resources: Default::default(),
        prefetch: None,
        runtime: atoll_model::delivery::Runtime::Process,
        replaces: None,
    };
    let mut object = Object::new(name, spec);
    object.meta.generation = 1;
    Any::Instance(Arc::new(object))
}
