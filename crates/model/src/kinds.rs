//! The macro behind the one list of kinds. It writes what must be total over kinds: the `Kind`
//! enum, the `Any` object, and the tables of a `Snapshot`. It holds no kind itself.

macro_rules! kinds {
    ($( #[doc = $doc:literal] $kind:ident $plural:literal [$($alias:literal),*], )+) => {
        /// The kinds of object.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $( #[doc = $doc] $kind, )+ }

        /// One object of any kind, shared and cheap to clone.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Any { $( #[doc = $doc] $kind(std::sync::Arc<Object<$kind>>), )+ }

        impl Kind {
            /// Every kind, in the order manifests are applied in.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),+];

            /// The name as written in a manifest.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$kind => stringify!($kind)),+ }
            }
            /// The name in paths of the API.
            pub fn plural(self) -> &'static str {
                match self { $(Kind::$kind => $plural),+ }
            }
            /// Further spellings accepted on the command line.
            pub fn aliases(self) -> &'static [&'static str] {
                match self { $(Kind::$kind => &[$($alias),*]),+ }
            }
            /// One sentence on what the kind stands for.
            pub fn summary(self) -> &'static str {
                match self { $(Kind::$kind => $doc.trim_ascii()),+ }
            }
            /// The JSON Schema of a whole object of this kind.
            pub fn schema(self) -> schemars::Schema {
                match self { $(Kind::$kind => schemars::schema_for!(Object<$kind>)),+ }
            }
            /// The JSON Schema of an object of this kind, its parts collected by `generator`.
            pub fn subschema(self, generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                match self { $(Kind::$kind => generator.subschema_for::<Object<$kind>>()),+ }
            }
        }

        $( impl object::Stored for $kind {
            fn table(tables: &Tables) -> &snapshot::Table<$kind> { &tables.$kind }
            fn wrap(object: std::sync::Arc<Object<$kind>>) -> Any { Any::$kind(object) }
            fn unwrap(any: &Any) -> Option<&std::sync::Arc<Object<$kind>>> {
                match any { Any::$kind(object) => Some(object), _ => None }
            }
        } )+

        impl Any {
            /// The kind of the object held.
            pub fn kind(&self) -> Kind { match self { $(Any::$kind(_) => Kind::$kind),+ } }
            /// Name, labels and revision.
            pub fn meta(&self) -> &Meta { match self { $(Any::$kind(o) => &o.meta),+ } }
            /// The same, to be changed; clones the object if it is shared.
            pub fn meta_mut(&mut self) -> &mut Meta {
                match self { $(Any::$kind(o) => &mut std::sync::Arc::make_mut(o).meta),+ }
            }
            /// Checks name, labels and spec.
            ///
            /// # Errors
            /// Every problem found, each with the path of its field.
            pub fn validate(&self) -> Result<(), Invalid> {
                match self { $(Any::$kind(o) => o.validate()),+ }
            }
            /// Whether the targets are equal (`status` and `metadata` apart).
            pub fn same_spec(&self, other: &Any) -> bool {
                match (self, other) {
                    $( (Any::$kind(a), Any::$kind(b)) => a.spec == b.spec, )+
                    _ => false,
                }
            }
            /// The object with another's status: what a write of the target must not touch.
            pub fn with_status_of(&self, other: &Any) -> Any {
                match (self, other) {
                    $( (Any::$kind(a), Any::$kind(b)) => Any::$kind(std::sync::Arc::new(Object {
                        meta: a.meta.clone(), spec: a.spec.clone(), status: b.status.clone(),
                    })), )+
                    _ => self.clone(),
                }
            }
            /// The object with the status of one newly made.
            pub fn with_fresh_status(&self) -> Any {
                match self {
                    $( Any::$kind(a) => Any::$kind(std::sync::Arc::new(Object {
                        meta: a.meta.clone(), spec: a.spec.clone(), status: Default::default(),
                    })), )+
                }
            }
            /// The reasons in the status, where the kind keeps some.
            pub fn reasons(&self) -> &[Reason] {
                match self { $(Any::$kind(o) => object::Explained::reasons(&o.status)),+ }
            }
            /// Adds to the reasons in the status, where the kind keeps some.
            pub fn add_reasons(&mut self, reasons: &[Reason]) {
                match self { $(Any::$kind(o) => {
                    object::Explained::add(&mut std::sync::Arc::make_mut(o).status, reasons)
                }),+ }
            }
            /// Reads the JSON form, whose `kind` has been found to be `kind`.
            pub(crate) fn of_kind<'de, D: serde::Deserializer<'de>>(
                kind: Kind, from: D,
            ) -> Result<Any, D::Error> {
                match kind {
                    $( Kind::$kind => {
                        let object = <Object<$kind> as serde::Deserialize>::deserialize(from)?;
                        Ok(Any::$kind(std::sync::Arc::new(object)))
                    } )+
                }
            }
        }

        impl serde::Serialize for Any {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                match self { $(Any::$kind(o) => o.serialize(to)),+ }
            }
        }

        kinds::tables! { $($kind),+ }
    };
}

macro_rules! tables {
    ($($kind:ident),+) => {
        /// A table of objects by name for each kind.
        #[derive(Clone, Debug, Default)]
        #[allow(non_snake_case, reason = "a table is named as its kind")]
        pub struct Tables { $( pub(crate) $kind: snapshot::Table<$kind>, )+ }

        impl Tables {
            /// Puts an object into its table and returns what stood there.
            pub(crate) fn insert(&mut self, any: Any) -> Option<Any> {
                match any { $(Any::$kind(o) => {
                    let name = o.meta.name.clone();
                    self.$kind.insert(name, o).map(Any::$kind)
                }),+ }
            }
            /// Takes an object out of its table.
            pub(crate) fn remove(&mut self, kind: Kind, name: &str) -> Option<Any> {
                match kind { $(Kind::$kind => self.$kind.remove(name).map(Any::$kind)),+ }
            }
            /// The object of that kind and name.
            pub(crate) fn find(&self, kind: Kind, name: &str) -> Option<Any> {
                match kind { $(Kind::$kind => self.$kind.get(name).cloned().map(Any::$kind)),+ }
            }
            /// The objects of a kind whose names come after `after`, by name.
            pub(crate) fn after(
                &self, kind: Kind, after: &str,
            ) -> Box<dyn Iterator<Item = Any> + '_> {
                use std::ops::Bound::{Excluded, Unbounded};
                match kind { $(Kind::$kind => Box::new(
                    self.$kind
                        .range::<_, str>((Excluded(after), Unbounded))
                        .map(|(_, o)| Any::$kind(o.clone())),
                )),+ }
            }
            /// How many objects of a kind there are.
            pub(crate) fn count(&self, kind: Kind) -> usize {
                match kind { $(Kind::$kind => self.$kind.len()),+ }
            }
        }
    };
}

pub(crate) use kinds;
pub(crate) use tables;
