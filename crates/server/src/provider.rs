//! An identity provider, spoken to as OpenID Connect has it: authorization code with PKCE, a nonce,
//! and an ID token whose signature, issuer, audience and end are checked. It decides nothing of
//! users and teams.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use atoll_model::{Span, Timestamp};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The provider answers within this time.
const PATIENCE: Duration = Duration::from_secs(10);
/// What it says of itself is asked again after this time, and its keys not more often than this.
const FRESH: Span = Span::seconds(3_600);
const KEYS_EVERY: Span = Span::seconds(60);
/// The largest answer that is read.
const LARGEST: usize = 1 << 20;
/// Whoever is sent there is expected back within this time.
pub const PATIENCE_OF_PEOPLE: Span = Span::seconds(600);
/// Signatures that are accepted.
const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::RS256, Algorithm::ES256, Algorithm::PS256, Algorithm::RS512];

/// How an identity provider is reached.
#[derive(Clone, Debug)]
pub struct ProviderOptions {
    /// Its address, as it writes it itself.
    pub issuer: String,
    /// What it knows this server by.
    pub client_id: String,
    /// A file with the secret it gave; none, for a public client.
    pub secret_file: Option<PathBuf>,
    /// The claim that lists groups.
    pub groups_claim: String,
    /// What is asked for.
    pub scopes: String,
    /// The address of this server as browsers reach it; the one they use, if absent.
    pub base: Option<String>,
}

/// An identity provider.
#[derive(Debug)]
pub struct Provider {
    options: ProviderOptions,
    secret: Option<String>,
    client: reqwest::Client,
    known: Mutex<Option<Known>>,
}

#[derive(Clone, Debug)]
struct Known {
    about: About,
    keys: JwkSet,
    at: Timestamp,
}

/// What a provider says of itself.
#[derive(Clone, Debug, Deserialize)]
struct About {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
}

/// What has to be remembered while somebody is away at the provider. It goes with them, sealed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Errand {
    /// Comes back unchanged.
    pub state: String,
    /// Stands in the ID token.
    pub nonce: String,
    /// Shows that whoever asks for the token is who began.
    pub verifier: String,
    /// The address they come back to.
    pub back: String,
    /// When this is of no use any more.
    pub until: Timestamp,
}

/// Who somebody is, as the provider says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The provider's address, `#`, and what it calls them.
    pub subject: String,
    /// The name they go by.
    pub name: String,
    /// Their full name.
    pub display_name: String,
    /// Their address, if the provider has verified it.
    pub email: String,
    /// The groups they are in.
    pub groups: Vec<String>,
}

impl Provider {
    /// A provider; it is asked nothing yet.
    ///
    /// # Errors
    /// The address is none, or the secret cannot be read.
    pub fn new(options: ProviderOptions) -> Result<Provider, String> {
        check_address(&options.issuer)?;
        let read = |file: &PathBuf| {
            let text = std::fs::read_to_string(file);
            text.map_err(|e| format!("reading the client secret {}: {e}", file.display()))
        };
        let secret = options.secret_file.as_ref().map(read).transpose()?;
        let client = reqwest::Client::builder()
            .timeout(PATIENCE)
            .user_agent("atoll")
            // A secret goes to the host it was meant for, and to no other.
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|e| e.to_string())?;
        let secret = secret.map(|text| text.trim().to_owned());
        Ok(Provider { options, secret, client, known: Mutex::default() })
    }

    /// Its host, for people.
    pub fn name(&self) -> String {
        let url = reqwest::Url::parse(&self.options.issuer).ok();
        let host = url.as_ref().and_then(|url| url.host_str());
        host.unwrap_or(&self.options.issuer).to_owned()
    }

    /// The address of this server as browsers reach it, where it was given.
    pub fn base(&self) -> Option<&str> {
        self.options.base.as_deref()
    }

    /// Where somebody is sent to.
    ///
    /// # Errors
    /// The provider does not answer, or says what it must not.
    pub async fn address(&self, errand: &Errand, now: Timestamp) -> Result<String, String> {
        let known = self.known(now).await?;
        let mut url = reqwest::Url::parse(&known.about.authorization_endpoint)
            .map_err(|e| format!("the address of the identity provider: {e}"))?;
        let challenge = digest::digest(&digest::SHA256, errand.verifier.as_bytes());
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.options.client_id)
            .append_pair("redirect_uri", &errand.back)
            .append_pair("scope", &self.options.scopes)
            .append_pair("state", &errand.state)
            .append_pair("nonce", &errand.nonce)
            .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
            .append_pair("code_challenge_method", "S256");
        Ok(url.to_string())
    }

    /// Trades a code for who came back with it.
    ///
    /// # Errors
    /// The provider refuses it, or what it says does not hold.
    pub async fn person(
        &self,
        code: &str,
        errand: &Errand,
        now: Timestamp,
    ) -> Result<Person, String> {
        #[derive(Deserialize)]
        struct Given {
            id_token: String,
        }
        let known = self.known(now).await?;
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &errand.back),
            ("code_verifier", &errand.verifier),
            ("client_id", &self.options.client_id),
        ];
        let mut ask = self.client.post(&known.about.token_endpoint);
        if let Some(secret) = &self.secret {
            let ways = &known.about.token_endpoint_auth_methods_supported;
            let basic = ways.is_empty() || ways.iter().any(|way| way == "client_secret_basic");
            if basic {
                ask = ask.header(reqwest::header::AUTHORIZATION, self.basic(secret));
            } else {
                form.push(("client_secret", secret));
            }
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let kind = "application/x-www-form-urlencoded";
        let ask = ask.header(reqwest::header::CONTENT_TYPE, kind).body(body);
        let given: Given = self.read(ask, "trading the code").await?;
        let claims = self.claims(&given.id_token, known, now).await?;
        if claims["nonce"].as_str() != Some(&errand.nonce) {
            return Err("the ID token was made for another sign-in".to_owned());
        }
        self.person_of(&claims)
    }

    /// As RFC 6749 has it: both parts are encoded as in a form first.
    fn basic(&self, secret: &str) -> String {
        let encoded =
            |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        let pair = format!("{}:{}", encoded(&self.options.client_id), encoded(secret));
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
    }

    fn person_of(&self, claims: &Value) -> Result<Person, String> {
        let text = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
        let subject = text("sub");
        if subject.is_empty() {
            return Err("the ID token names nobody".to_owned());
        }
        let verified = claims["email_verified"].as_bool().unwrap_or(true);
        let email = if verified { text("email") } else { String::new() };
        let names = [text("preferred_username"), text("nickname"), email.clone(), subject.clone()];
        let name = names.into_iter().find(|name| !name.is_empty()).unwrap_or_default();
        let groups = match &claims[self.options.groups_claim.as_str()] {
            Value::String(one) => vec![one.clone()],
            Value::Array(all) => {
                all.iter().filter_map(|group| group.as_str().map(str::to_owned)).collect()
            }
            _ => Vec::new(),
        };
        Ok(Person {
            subject: format!("{}#{subject}", self.options.issuer),
            name,
            display_name: text("name"),
            email,
            groups,
        })
    }

    /// The claims of an ID token whose signature, issuer, audience and end hold.
    async fn claims(&self, token: &str, known: Known, now: Timestamp) -> Result<Value, String> {
        let wrong = |e: jsonwebtoken::errors::Error| format!("the ID token does not hold: {e}");
        let header = jsonwebtoken::decode_header(token).map_err(wrong)?;
        if !ALGORITHMS.contains(&header.alg) {
            return Err(format!(
                "the ID token is signed with {:?}, which is not taken",
                header.alg
            ));
        }
        let find = |keys: &JwkSet| {
            let named = header.kid.as_deref().and_then(|kid| keys.find(kid).cloned());
            let only = (header.kid.is_none() && keys.keys.len() == 1).then(|| keys.keys[0].clone());
            named.or(only)
        };
        let mut key = find(&known.keys);
        if key.is_none() && now.since(known.at) >= KEYS_EVERY {
            // It may have changed its keys since.
            key = find(&self.ask(now).await?.keys);
        }
        let key = key.ok_or("the ID token is signed with a key the provider does not show")?;
        let key = DecodingKey::from_jwk(&key).map_err(wrong)?;
        let mut validation = Validation::new(header.alg);
        validation.set_audience(&[&self.options.client_id]);
        validation.set_issuer(&[&known.about.issuer]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let data = jsonwebtoken::decode::<Value>(token, &key, &validation).map_err(wrong)?;
        Ok(data.claims)
    }

    async fn known(&self, now: Timestamp) -> Result<Known, String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known.filter(|known| now.since(known.at) < FRESH) {
            Some(known) => Ok(known),
            None => self.ask(now).await,
        }
    }

    async fn ask(&self, now: Timestamp) -> Result<Known, String> {
        let issuer = self.options.issuer.trim_end_matches('/');
        let about = self.client.get(format!("{issuer}/.well-known/openid-configuration"));
        let about: About = self.read(about, "asking the identity provider").await?;
        if about.issuer.trim_end_matches('/') != issuer {
            return Err(format!("the provider at {issuer} says that it is {}", about.issuer));
        }
        for address in [&about.authorization_endpoint, &about.token_endpoint, &about.jwks_uri] {
            check_address(address)?;
        }
        let keys = self.client.get(&about.jwks_uri);
        let keys = self.read(keys, "reading the provider's keys").await?;
        let known = Known { about, keys, at: now };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(known.clone());
        Ok(known)
    }

    async fn read<T: serde::de::DeserializeOwned>(
        &self,
        ask: reqwest::RequestBuilder,
        what: &str,
    ) -> Result<T, String> {
        let failed = |e: reqwest::Error| format!("{what}: {}", e.without_url());
        let mut answer = ask.send().await.map_err(failed)?;
        let status = answer.status();
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            bytes.extend_from_slice(&part);
            if bytes.len() > LARGEST {
                return Err(format!("{what}: the answer is too large"));
            }
        }
        if !status.is_success() {
            let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            let said = said["error_description"].as_str().or(said["error"].as_str());
            return Err(format!("{what}: {status} {}", said.unwrap_or_default()));
        }
        serde_json::from_slice(&bytes).map_err(|e| format!("{what}: {e}"))
    }
}

/// Only what is encrypted, or stays on this machine.
fn check_address(address: &str) -> Result<(), String> {
    let url = reqwest::Url::parse(address)
        .map_err(|e| format!("{address:?} is no address of an identity provider: {e}"))?;
    let here = matches!(url.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    match url.scheme() {
        "https" => Ok(()),
        "http" if here => Ok(()),
        _ => Err(format!("{address}: an identity provider is spoken to with https only")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider() -> Provider {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Provider::new(ProviderOptions {
            issuer: "https://id.example".to_owned(),
            client_id: "atoll".to_owned(),
            secret_file: None,
            groups_claim: "groups".to_owned(),
            scopes: "openid".to_owned(),
            base: None,
        })
        .unwrap()
    }

    #[test]
    fn a_person_is_read_from_claims() {
        let claims = serde_json::json!({
            "sub": "7", "preferred_username": "anna", "name": "Anna A.", "email": "a@x.example",
            "email_verified": true, "groups": ["ops", 7, "dev"],
        });
        let person = provider().person_of(&claims).unwrap();
        assert_eq!(person.subject, "https://id.example#7");
        assert_eq!((person.name.as_str(), person.email.as_str()), ("anna", "a@x.example"));
        assert_eq!(person.groups, ["ops", "dev"]);
        let unverified = serde_json::json!({"sub": "7", "email": "b@x", "email_verified": false});
        let person = provider().person_of(&unverified).unwrap();
        assert_eq!((person.name.as_str(), person.email.as_str()), ("7", ""));
        assert!(provider().person_of(&serde_json::json!({})).is_err());
    }

    #[test]
    fn a_provider_is_spoken_to_with_encryption() {
        for good in ["https://id.example/realms/a", "http://127.0.0.1:9000", "http://localhost"] {
            assert!(check_address(good).is_ok(), "{good}");
        }
        for bad in ["http://id.example", "ftp://id.example", "id.example", ""] {
            assert!(check_address(bad).is_err(), "{bad}");
        }
    }
}
