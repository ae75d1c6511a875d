//! Where a package comes from, and how that is attested: an in-toto statement with the predicate
//! of SLSA, in an envelope signed with ed25519. Everything here is pure: keys are arguments. Who
//! keeps the private key is the server's business, and whom to trust is its operator's.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, SigningKey, Verifier, VerifyingKey};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ci::run::{Cause, Commit};
use crate::ci::step::Suite;
use crate::ci::task::TestTotals;
use crate::delivery::Package;
use crate::object::Reason;

/// What the payload of an envelope is.
pub const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// What stands before an ed25519 key in the DER form of a public key.
const DER_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// How a package was made: written by the planner that makes packages of runs, and by nobody else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Built {
    /// The run that made it.
    pub run: String,
    /// The pipeline the run is of.
    pub pipeline: String,
    /// What began the run.
    pub cause: Cause,
    /// The address of the repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Commit>,
    /// How the tests of the run went.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tests: BTreeMap<Suite, TestTotals>,
    /// Its parts, as CycloneDX in a blob of this digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sbom: Option<String>,
}

/// A signed statement, as DSSE writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    /// What the payload is.
    pub payload_type: String,
    /// The statement, in base64.
    pub payload: String,
    /// Who signed it, and how.
    pub signatures: Vec<Signed>,
}

/// One signature of an envelope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Signed {
    /// The key, by its name; see [`key_id`].
    pub keyid: String,
    /// The signature, in base64.
    pub sig: String,
}

/// The key packages are signed with, as it is shown to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PublicKey {
    /// Names it in envelopes.
    pub keyid: String,
    /// `ed25519`.
    pub algorithm: String,
    /// The key, in hex.
    pub key: String,
    /// The key in PEM, for other programs.
    pub pem: String,
}

/// The public key that belongs to a secret one, in hex.
pub fn public_key(secret: &[u8; 32]) -> String {
    hex(SigningKey::from_bytes(secret).verifying_key().as_bytes())
}

/// How a public key is named in envelopes: by the start of itself.
pub fn key_id(key: &str) -> &str {
    key.get(..16).unwrap_or(key)
}

/// A public key in hex as it is shown.
pub fn shown(key: &str) -> PublicKey {
    let mut der = DER_PREFIX.to_vec();
    der.extend(unhex(key).unwrap_or_default());
    let pem = STANDARD.encode(der);
    PublicKey {
        keyid: key_id(key).to_owned(),
        algorithm: "ed25519".to_owned(),
        key: key.to_owned(),
        pem: format!("-----BEGIN PUBLIC KEY-----\n{pem}\n-----END PUBLIC KEY-----\n"),
    }
}

/// What is attested of a package: that this content came out of this run of this commit. It says
/// all the package says, so that a package which says anything else is not the one attested.
pub fn statement(package: &Package) -> Option<Value> {
    let built = package.built.as_ref()?;
    let (algorithm, digest) = match package.digest.split_once(':') {
        Some((algorithm, digest)) => (algorithm, digest),
        None => ("blake3", package.digest.as_str()),
    };
    let commit = built.commit.as_ref();
    let dependency =
        commit.map(|commit| json!({ "uri": built.source, "digest": { "gitCommit": commit.id } }));
    Some(without_nulls(json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{
            "name": format!("{}:{}", package.name, package.version),
            "uri": package.image_reference(),
            "digest": { algorithm: digest },
        }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:atoll:pipeline:v1",
                "externalParameters": { "pipeline": built.pipeline, "branch": built.branch },
                "internalParameters": { "built": built, "size": package.size },
                "resolvedDependencies": dependency.into_iter().collect::<Vec<_>>(),
            },
            "runDetails": {
                "builder": { "id": "urn:atoll:control-plane" },
                "metadata": { "invocationId": built.run },
            },
        },
    })))
}

/// What is not known is left out, not said to be nothing.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let said = fields.into_iter().filter(|(_, value)| !value.is_null());
            Value::Object(said.map(|(name, value)| (name, without_nulls(value))).collect())
        }
        Value::Array(all) => Value::Array(all.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

/// What an envelope says, whoever signed it; null, where it cannot be read.
pub fn said(envelope: &Envelope) -> Value {
    let payload = STANDARD.decode(&envelope.payload).unwrap_or_default();
    serde_json::from_slice(&payload).unwrap_or_default()
}

/// Signs what is to be attested of a package; nothing, where it was not built here.
pub fn sign(secret: &[u8; 32], package: &Package) -> Option<Envelope> {
    let payload = statement(package)?.to_string();
    let key = SigningKey::from_bytes(secret);
    let signature = key.sign(&encoded(PAYLOAD_TYPE, payload.as_bytes()));
    Some(Envelope {
        payload_type: PAYLOAD_TYPE.to_owned(),
        payload: STANDARD.encode(payload),
        signatures: vec![Signed {
            keyid: key_id(&hex(key.verifying_key().as_bytes())).to_owned(),
            sig: STANDARD.encode(signature.to_bytes()),
        }],
    })
}

/// Whether a package is signed by one of these keys, and is what was signed.
///
/// # Errors
/// Why it is not to be trusted: `unsigned`, `unknown-key` or `altered`.
pub fn verify(
    package: &Package,
    envelope: Option<&Envelope>,
    keys: &[String],
) -> Result<(), Reason> {
    let name = format!("{}:{}", package.name, package.version);
    let no = |code: &str, why: &str| Reason::new(code, format!("the package {name} {why}"));
    let Some(wanted) = statement(package) else {
        return Err(no("unsigned", "was not made by a pipeline here, so nobody vouches for it")
            .hint("release the commit through its pipeline instead of pushing a package"));
    };
    let envelope = envelope.ok_or_else(|| {
        no("unsigned", "is not signed yet").hint("the server that leads signs it within seconds")
    })?;
    let payload = STANDARD.decode(&envelope.payload).unwrap_or_default();
    let bytes = encoded(&envelope.payload_type, &payload);
    let known = envelope
        .signatures
        .iter()
        .find_map(|s| Some((s, keys.iter().find(|key| key_id(key) == s.keyid)?)));
    let Some((signature, key)) = known else {
        return Err(no("unknown-key", "is signed with a key that is not trusted here"));
    };
    if !holds(key, &bytes, &signature.sig) {
        return Err(no("altered", "has a signature that does not fit what it says"));
    }
    // Older versions signed what was not known as null.
    if envelope.payload_type != PAYLOAD_TYPE || without_nulls(said(envelope)) != wanted {
        return Err(no("altered", "is not what was signed: its content or its record was changed"));
    }
    Ok(())
}

fn holds(key: &str, bytes: &[u8], signature: &str) -> bool {
    let check = || {
        let key: [u8; 32] = unhex(key)?.try_into().ok()?;
        let key = VerifyingKey::from_bytes(&key).ok()?;
        let signature = Signature::from_slice(&STANDARD.decode(signature).ok()?).ok()?;
        key.verify(bytes, &signature).ok()
    };
    check().is_some()
}

/// What is signed: type and payload with their lengths, so that neither can pass for the other.
fn encoded(kind: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(pair, 16).ok()
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn package() -> Package {
        serde_json::from_value(json!({
            "name": "shop", "version": "1", "digest": "0".repeat(64), "size": 9, "entries": 1,
            "built": {
                "run": "shop.1", "pipeline": "shop", "cause": "push",
                "commit": { "id": "abc1234", "subject": "x", "author": "a", "at": "2026-01-01T00:00:00Z" },
                "tests": { "unit": { "passed": 3, "failed": 0, "skipped": 0, "millis": 5 } },
            },
        }))
        .unwrap()
    }

    fn code(package: &Package, envelope: Option<&Envelope>, keys: &[String]) -> String {
        verify(package, envelope, keys).map_or_else(|reason| reason.code, |()| "good".to_owned())
    }

    #[test]
    fn what_was_signed_is_told_from_what_was_not() {
        let (package, keys) = (package(), [public_key(&SECRET)]);
        let envelope = sign(&SECRET, &package).unwrap();
        assert_eq!(code(&package, Some(&envelope), &keys), "good");
        assert_eq!(code(&package, None, &keys), "unsigned");
        assert_eq!(code(&package, Some(&envelope), &[public_key(&[8; 32])]), "unknown-key");
        let by_hand = Package { built: None, ..package.clone() };
        assert_eq!(code(&by_hand, Some(&envelope), &keys), "unsigned");
        assert_eq!(sign(&SECRET, &by_hand), None);
    }

    #[test]
    fn what_is_not_known_is_not_said_and_older_statements_hold() {
        let (package, keys) = (package(), [public_key(&SECRET)]);
        let mut said = statement(&package).unwrap();
        assert!(!said.to_string().contains("null"), "{said}");
        said["subject"][0]["uri"] = Value::Null;
        said["predicate"]["buildDefinition"]["externalParameters"]["branch"] = Value::Null;
        let payload = said.to_string();
        let key = SigningKey::from_bytes(&SECRET);
        let signature = key.sign(&encoded(PAYLOAD_TYPE, payload.as_bytes()));
        let sig = STANDARD.encode(signature.to_bytes());
        let mut envelope = sign(&SECRET, &package).unwrap();
        (envelope.payload, envelope.signatures[0].sig) = (STANDARD.encode(payload), sig);
        assert_eq!(code(&package, Some(&envelope), &keys), "good");
    }

    #[test]
    fn nothing_can_be_changed_behind_a_signature() {
        let (good, keys) = (package(), [public_key(&SECRET)]);
        let envelope = sign(&SECRET, &good).unwrap();
        let mut content = good.clone();
        content.digest = "1".repeat(64);
        let mut version = good.clone();
        version.version = "2".to_owned();
        let mut tests = good.clone();
        tests.built.as_mut().unwrap().tests.clear();
        for changed in [content, version, tests] {
            assert_eq!(code(&changed, Some(&envelope), &keys), "altered", "{changed:?}");
        }
        // The statement of another package under this one's signature.
        let other = Package { version: "2".to_owned(), ..good.clone() };
        let payload = sign(&[9; 32], &other).unwrap().payload;
        let forged = Envelope { payload, ..envelope.clone() };
        assert_eq!(code(&other, Some(&forged), &keys), "altered");
        let mut kind = envelope.clone();
        kind.payload_type = "text/plain".to_owned();
        assert_eq!(code(&good, Some(&kind), &keys), "altered");
        let mut empty = envelope;
        empty.signatures[0].sig.clear();
        assert_eq!(code(&good, Some(&empty), &keys), "altered");
    }

    #[test]
    fn keys_are_shown_as_other_programs_read_them() {
        let shown = shown(&public_key(&SECRET));
        assert_eq!((shown.keyid.len(), shown.key.len()), (16, 64));
        assert!(shown.pem.starts_with("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA"), "{shown:?}");
        assert_eq!(unhex("zz"), None);
    }
}
