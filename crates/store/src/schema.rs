//! The tables and the statements, as text. One text serves both databases where it can.
//!
//! Nothing is run here.
//!
//! **Invariant:** the parameters of a statement appear in the order of their numbers, because
//! SQLite numbers them by their first appearance.

/// A statement as each database understands it.
#[derive(Clone, Copy)]
pub(crate) struct Sql {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

const fn both(text: &'static str) -> Sql {
    Sql { sqlite: text, postgres: text }
}

/// Milliseconds since 1970 by the database's clock. PostgreSQL is taught SQLite's function.
macro_rules! now {
    () => {
        "CAST(unixepoch('subsec') * 1000 AS bigint)"
    };
}

macro_rules! entry {
    () => {
        "revision, at, kind, name, deleted, actor, intent, reasons, body, hash"
    };
}

/// What brings an empty database to the newest schema, a step a version. Steps that were ever
/// released are not edited; a change of schema is one more.
pub(crate) const MIGRATIONS: &[Sql] = &[
    Sql { sqlite: SQLITE_1, postgres: POSTGRES_1 },
    Sql { sqlite: SQLITE_2, postgres: POSTGRES_2 },
];

const SQLITE_1: &str = "
    CREATE TABLE counter (
        one integer PRIMARY KEY CHECK (one = 1),
        revision integer NOT NULL,
        compacted integer NOT NULL
    );
    INSERT INTO counter VALUES (1, 0, 0);
    CREATE TABLE objects (
        kind text NOT NULL,
        name text NOT NULL,
        revision integer NOT NULL,
        body text NOT NULL,
        PRIMARY KEY (kind, name)
    );
    CREATE TABLE history (
        revision integer PRIMARY KEY,
        at integer NOT NULL,
        kind text NOT NULL,
        name text NOT NULL,
        deleted integer NOT NULL,
        actor text NOT NULL,
        intent text NOT NULL,
        reasons text NOT NULL,
        body text NOT NULL
    );
    CREATE INDEX history_object ON history (kind, name);
    CREATE INDEX history_at ON history (at);
    CREATE INDEX history_actor ON history (actor, at);
    CREATE TABLE leases (
        name text PRIMARY KEY,
        holder text NOT NULL,
        epoch integer NOT NULL,
        expires integer NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE replicas (
        id text PRIMARY KEY,
        address text NOT NULL,
        heard text NOT NULL,
        at integer NOT NULL
    );
    CREATE TABLE blobs (digest text PRIMARY KEY, bytes blob NOT NULL);
";

/// Names are compared byte by byte, as SQLite does, whatever the locale of the cluster.
const POSTGRES_1: &str = r#"
    CREATE OR REPLACE FUNCTION unixepoch(text) RETURNS double precision
        LANGUAGE sql VOLATILE AS 'SELECT extract(epoch FROM clock_timestamp())::double precision';
    CREATE TABLE counter (
        one integer PRIMARY KEY CHECK (one = 1),
        revision bigint NOT NULL,
        compacted bigint NOT NULL
    ) WITH (fillfactor = 10);
    INSERT INTO counter VALUES (1, 0, 0);
    CREATE TABLE objects (
        kind text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        revision bigint NOT NULL,
        body text NOT NULL,
        PRIMARY KEY (kind, name)
    );
    CREATE TABLE history (
        revision bigint PRIMARY KEY,
        at bigint NOT NULL,
        kind text COLLATE "C" NOT NULL,
        name text COLLATE "C" NOT NULL,
        deleted boolean NOT NULL,
        actor text COLLATE "C" NOT NULL,
        intent text NOT NULL,
        reasons text NOT NULL,
        body text NOT NULL
    );
    CREATE INDEX history_object ON history (kind, name, revision);
    CREATE INDEX history_at ON history (at, revision);
    CREATE INDEX history_actor ON history (actor, at, revision);
    CREATE TABLE leases (
        name text PRIMARY KEY,
        holder text NOT NULL,
        epoch bigint NOT NULL,
        expires bigint NOT NULL
    );
    CREATE TABLE replicas (
        id text COLLATE "C" PRIMARY KEY,
        address text NOT NULL,
        heard text NOT NULL,
        at bigint NOT NULL
    );
    CREATE TABLE blobs (digest text COLLATE "C" PRIMARY KEY, bytes bytea NOT NULL);
"#;

/// The chain of records: it begins after what was written before there was one.
const SQLITE_2: &str = "
    ALTER TABLE history ADD COLUMN hash text NOT NULL DEFAULT '';
    ALTER TABLE counter ADD COLUMN hash text NOT NULL DEFAULT '';
    ALTER TABLE counter ADD COLUMN chained integer NOT NULL DEFAULT 0;
    UPDATE counter SET chained = revision;
    CREATE TABLE gaps (
        from_revision integer PRIMARY KEY,
        to_revision integer NOT NULL,
        from_hash text NOT NULL,
        to_hash text NOT NULL
    );
";

const POSTGRES_2: &str = r#"
    ALTER TABLE history ADD COLUMN hash text COLLATE "C" NOT NULL DEFAULT '';
    ALTER TABLE counter ADD COLUMN hash text COLLATE "C" NOT NULL DEFAULT '';
    ALTER TABLE counter ADD COLUMN chained bigint NOT NULL DEFAULT 0;
    UPDATE counter SET chained = revision;
    CREATE TABLE gaps (
        from_revision bigint PRIMARY KEY,
        to_revision bigint NOT NULL,
        from_hash text COLLATE "C" NOT NULL,
        to_hash text COLLATE "C" NOT NULL
    );
"#;

// Objects.

/// One statement sees one moment, so the revision is that of the objects.
pub(crate) const SNAPSHOT: Sql = both(
    "SELECT counter.revision, objects.kind, objects.name, objects.revision, objects.body
     FROM counter LEFT JOIN objects ON true",
);

pub(crate) const GET: Sql =
    both("SELECT kind, name, revision, body FROM objects WHERE kind = $1 AND name = $2");

pub(crate) const LIST: Sql = both(
    "SELECT kind, name, revision, body FROM objects WHERE kind = $1 AND name > $2
     ORDER BY name LIMIT $3",
);

// History.

/// As with `SNAPSHOT`: the mark of the compaction and the entries are of one moment.
pub(crate) const SINCE: Sql = both(concat!(
    "SELECT counter.compacted, h.* FROM counter LEFT JOIN (SELECT ",
    entry!(),
    " FROM history WHERE revision > $1 ORDER BY revision LIMIT $2) h ON true ORDER BY h.revision"
));

pub(crate) const HISTORY: Sql = both(concat!(
    "SELECT ",
    entry!(),
    " FROM history WHERE kind = $1 AND name = $2 AND revision < $3
     ORDER BY revision DESC LIMIT $4"
));

pub(crate) const AUDIT: Sql = both(concat!(
    "SELECT ",
    entry!(),
    " FROM history WHERE at >= $1 ORDER BY at DESC, revision DESC LIMIT $2"
));

pub(crate) const AUDIT_ACTOR: Sql = both(concat!(
    "SELECT ",
    entry!(),
    " FROM history WHERE actor = $1 AND at >= $2 ORDER BY at DESC, revision DESC LIMIT $3"
));

pub(crate) const AUDIT_KIND: Sql = both(concat!(
    "SELECT ",
    entry!(),
    " FROM history WHERE kind = $1 AND at >= $2 ORDER BY revision DESC LIMIT $3"
));

/// What was there at a time: the last entry of each object until then, unless it deleted it. What
/// only was to be known (`RECORD`) is of no object.
pub(crate) const AS_OF: Sql = both(
    "SELECT h.kind, h.name, h.revision, h.body FROM history h
     JOIN (SELECT max(revision) AS revision FROM history
           WHERE at <= $1 AND kind <> 'Audit' GROUP BY kind, name) last
         ON last.revision = h.revision
     WHERE NOT h.deleted",
);

pub(crate) const REVISION: Sql = both("SELECT revision FROM counter");

pub(crate) const LAST_AT: Sql = both("SELECT at FROM history ORDER BY revision DESC LIMIT 1");

/// The count stops at the number it is compared with: an object may have a million entries.
/// Records of no object are kept by their own age.
pub(crate) const DOOMED: Sql = both(
    "SELECT h.revision FROM history h WHERE h.revision > $1 AND h.at < $2 AND (
         NOT EXISTS (SELECT 1 FROM objects o WHERE o.kind = h.kind AND o.name = h.name)
         OR (SELECT count(*) FROM (
             SELECT 1 FROM history n
             WHERE n.kind = h.kind AND n.name = h.name AND n.revision > h.revision LIMIT $3
         ) newer) >= $3
     ) AND (h.kind <> 'Audit' OR h.at < $4) ORDER BY h.revision LIMIT $5",
);

pub(crate) const RAISE_COMPACTED: Sql =
    both("UPDATE counter SET compacted = $1 WHERE compacted < $1");

/// The links of records that are about to go, each with that of the record before it.
pub(crate) const LINKS: Sql = Sql {
    sqlite: "SELECT h.revision, h.hash, coalesce(p.hash, '') FROM history h
             LEFT JOIN history p ON p.revision = h.revision - 1
             WHERE h.revision IN (SELECT value FROM json_each($1)) ORDER BY h.revision",
    postgres: "SELECT h.revision, h.hash, coalesce(p.hash, '') FROM history h
             LEFT JOIN history p ON p.revision = h.revision - 1
             WHERE h.revision = ANY($1) ORDER BY h.revision",
};

pub(crate) const GAPS: &str =
    "SELECT from_revision, to_revision, from_hash, to_hash FROM gaps ORDER BY from_revision";

pub(crate) const ADD_GAP: &str =
    "INSERT INTO gaps (from_revision, to_revision, from_hash, to_hash) VALUES ($1, $2, $3, $4)";

pub(crate) const REMOVE_GAP: &str = "DELETE FROM gaps WHERE from_revision = $1";

/// The head of the chain and all gaps in it, as they were at one moment.
pub(crate) const CHAIN: Sql = both(
    "SELECT counter.revision, counter.hash, counter.chained,
         gaps.from_revision, gaps.to_revision, gaps.from_hash, gaps.to_hash
     FROM counter LEFT JOIN gaps ON true ORDER BY gaps.from_revision",
);

pub(crate) const WALK: Sql = both(concat!(
    "SELECT ",
    entry!(),
    " FROM history WHERE revision > $1 AND revision <= $2 ORDER BY revision LIMIT $3"
));

/// An object that is not as its last record left it, or is not there though that left it.
pub(crate) const STRAY: Sql = both(
    "SELECT o.kind, o.name, o.revision FROM objects o
     LEFT JOIN history h ON h.revision = o.revision
     WHERE h.revision IS NULL OR h.kind <> o.kind OR h.name <> o.name OR h.deleted
         OR h.body <> o.body
     UNION ALL
     SELECT h.kind, h.name, h.revision FROM history h
     JOIN (SELECT max(revision) AS revision FROM history
           WHERE kind <> 'Audit' GROUP BY kind, name) last ON last.revision = h.revision
     LEFT JOIN objects o ON o.kind = h.kind AND o.name = h.name
     WHERE NOT h.deleted AND o.name IS NULL
     ORDER BY 3 LIMIT 1",
);

pub(crate) const REMOVE_ENTRIES: Sql = Sql {
    sqlite: "DELETE FROM history WHERE revision IN (SELECT value FROM json_each($1))",
    postgres: "DELETE FROM history WHERE revision = ANY($1)",
};

// Leases and replicas.

pub(crate) const ACQUIRE_LEASE: Sql = both(concat!(
    "INSERT INTO leases (name, holder, epoch, expires) VALUES ($1, $2, 1, ",
    now!(),
    " + $3) ON CONFLICT (name) DO UPDATE SET
         epoch = leases.epoch
             + CASE WHEN leases.holder = excluded.holder THEN 0 ELSE 1 END,
         holder = excluded.holder,
         expires = excluded.expires
     WHERE leases.holder = excluded.holder OR leases.expires <= ",
    now!(),
    " RETURNING epoch"
));

pub(crate) const LEASE: Sql =
    both(concat!("SELECT epoch, holder, expires - ", now!(), " FROM leases WHERE name = $1"));

pub(crate) const RELEASE_LEASE: Sql =
    both("UPDATE leases SET holder = '', expires = 0 WHERE name = $1 AND holder = $2");

pub(crate) const CHECK_IN: Sql = both(concat!(
    "INSERT INTO replicas (id, address, heard, at) VALUES ($1, $2, $3, ",
    now!(),
    ") ON CONFLICT (id) DO UPDATE SET
         address = excluded.address, heard = excluded.heard, at = excluded.at"
));

/// A day without a word is long enough to be forgotten.
pub(crate) const FORGET_REPLICAS: Sql =
    both(concat!("DELETE FROM replicas WHERE at < ", now!(), " - 86400000"));

pub(crate) const REPLICAS: Sql = both(concat!(
    "SELECT id, address, ",
    now!(),
    " - at, heard FROM replicas WHERE at >= ",
    now!(),
    " - $1 ORDER BY id"
));

// Blobs.

pub(crate) const PUT_BLOB: Sql =
    both("INSERT INTO blobs (digest, bytes) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING");

pub(crate) const GET_BLOB: Sql = both("SELECT bytes FROM blobs WHERE digest = $1");

pub(crate) const HAS_BLOBS: Sql = Sql {
    sqlite: "SELECT digest FROM blobs WHERE digest IN (SELECT value FROM json_each($1))",
    postgres: "SELECT digest FROM blobs WHERE digest = ANY($1)",
};

pub(crate) const DELETE_BLOBS: Sql = Sql {
    sqlite: "DELETE FROM blobs WHERE digest IN (SELECT value FROM json_each($1))",
    postgres: "DELETE FROM blobs WHERE digest = ANY($1)",
};

pub(crate) const LIST_BLOBS: Sql = both("SELECT digest FROM blobs ORDER BY digest");

// A commit. SQLite makes a write a statement, PostgreSQL a group of writes.

/// The lease a fence is about.
pub(crate) const FENCE: &str = "SELECT epoch FROM leases WHERE name = 'controllers'";

pub(crate) const HEAD: &str = "SELECT revision, hash FROM counter";

pub(crate) const SET_REVISION: &str = "UPDATE counter SET revision = $1, hash = $2";

pub(crate) const STORED_ONE: &str = "SELECT revision FROM objects WHERE kind = $1 AND name = $2";

pub(crate) const PUT_ONE: &str = "INSERT INTO objects (kind, name, revision, body)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (kind, name) DO UPDATE SET revision = excluded.revision, body = excluded.body";

pub(crate) const DELETE_ONE: &str =
    "DELETE FROM objects WHERE kind = $1 AND name = $2 RETURNING body";

pub(crate) const ENTER_ONE: &str = concat!(
    "INSERT INTO history (",
    entry!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
);

/// **Invariant:** whoever changes objects in PostgreSQL has locked this row first, so that
/// revisions become visible in their order.
pub(crate) const LOCK_COUNTER: &str = "SELECT revision, hash FROM counter FOR UPDATE";

/// Locked so that nobody takes the lease between the check and the commit.
pub(crate) const LOCK_FENCE: &str = "SELECT epoch FROM leases WHERE name = 'controllers' FOR SHARE";

/// Begins a commit. Its statements look up a few rows by their keys; a plan made and kept while
/// the tables were small must not read them whole once they have grown.
pub(crate) const BEGIN: &str = "BEGIN;
    SET LOCAL plan_cache_mode = force_generic_plan;
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_hashjoin = off;
    SET LOCAL enable_mergejoin = off";

pub(crate) const STORED_MANY: &str = "SELECT (
        SELECT o.revision FROM objects o WHERE o.kind = asked.kind AND o.name = asked.name
    ) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (kind, name, place)
    ORDER BY asked.place";

/// The bodies of objects that are about to be deleted: their records hold them once more.
pub(crate) const BODIES_MANY: &str = "SELECT (
        SELECT o.body FROM objects o WHERE o.kind = asked.kind AND o.name = asked.name
    ) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (kind, name, place)
    ORDER BY asked.place";

/// All its parts see the objects as they were before it, so an object may be named only once.
pub(crate) const WRITE_MANY: &str = concat!(
    "WITH written AS MATERIALIZED (
         SELECT * FROM unnest(
             $1::bigint[], $2::bigint[], $3::text[], $4::text[],
             $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[]
         ) AS w (revision, at, kind, name, actor, intent, reasons, body, hash, change)
     ), entered AS (
         INSERT INTO history (",
    entry!(),
    ") SELECT w.revision, w.at, w.kind, w.name, w.change = 'delete', w.actor, w.intent,
             w.reasons, coalesce(w.body, (
                 SELECT o.body FROM objects o WHERE o.kind = w.kind AND o.name = w.name
             )), w.hash
         FROM written w
     ), deleted AS (
         DELETE FROM objects o USING written w
         WHERE w.change = 'delete' AND o.kind = w.kind AND o.name = w.name
     )
     INSERT INTO objects (kind, name, revision, body)
         SELECT kind, name, revision, body FROM written WHERE change = 'put'
         ON CONFLICT (kind, name) DO UPDATE
             SET revision = excluded.revision, body = excluded.body"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_appear_in_the_order_of_their_numbers() {
        let shared = [
            SNAPSHOT,
            GET,
            LIST,
            SINCE,
            HISTORY,
            AUDIT,
            AUDIT_ACTOR,
            AUDIT_KIND,
            LINKS,
            CHAIN,
            WALK,
            STRAY,
            AS_OF,
            REVISION,
            LAST_AT,
            DOOMED,
            RAISE_COMPACTED,
            REMOVE_ENTRIES,
            ACQUIRE_LEASE,
            LEASE,
            RELEASE_LEASE,
            CHECK_IN,
            FORGET_REPLICAS,
            REPLICAS,
            PUT_BLOB,
            GET_BLOB,
            HAS_BLOBS,
            DELETE_BLOBS,
            LIST_BLOBS,
        ];
        let own = [
            FENCE,
            HEAD,
            SET_REVISION,
            STORED_ONE,
            PUT_ONE,
            DELETE_ONE,
            ENTER_ONE,
            GAPS,
            ADD_GAP,
            REMOVE_GAP,
        ];
        for text in shared.iter().map(|sql| sql.sqlite).chain(own) {
            let mut greatest = 0;
            for number in text.split('$').skip(1) {
                let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
                let number: usize = digits.parse().unwrap();
                assert!(number <= greatest + 1, "${number} comes too early in: {text}");
                greatest = greatest.max(number);
            }
        }
    }
}
