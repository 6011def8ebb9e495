//! The `store:` section of a connector that reads or writes files.

use crate::store::{Credentials, StoreOptions};
use schemars::JsonSchema;
use serde::Deserialize;
use unbatch_api::Result;
use unbatch_api::config::{Resolver, Sensitive, Text};

/// How to reach the object store of a URL. Folders need nothing of it, and a cloud's own service often only its `region`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Address of a server that is not the cloud's own, such as `https://minio.example.org:9000`. Plain `http:` is not encrypted.
    /// Default: the cloud's own.
    pub endpoint: Option<Text>,
    /// Region of an S3 bucket. Default: what the environment says, or `us-east-1`.
    pub region: Option<String>,
    /// Name of the Azure storage account. Required for `az:`. Default: what the environment says.
    pub account: Option<Text>,
    /// S3: the name of the bucket is a part of the host name and not of the path.
    pub virtual_host: bool,
    /// Certificates of authorities to trust beside the system's, `{file: …}` or `{secret: …}`, in PEM. Default: none.
    pub ca: Option<Text>,
    /// Who we are to the store. Default: `ambient`.
    pub credentials: CredentialsConfig,
}

/// Who we are to a store.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub enum CredentialsConfig {
    /// What the place offers: variables of the environment such as `AWS_ACCESS_KEY_ID`, a pod's or machine's role, a Google application
    /// default, an Azure managed identity.
    #[default]
    Ambient,
    /// Nobody: for what everybody may read.
    Anonymous,
    /// Keys of S3.
    S3(
        /// The keys.
        S3Keys,
    ),
    /// The key of a Google service account, as JSON.
    GcsServiceAccount(
        /// The JSON, as a reference.
        Sensitive,
    ),
    /// An access key of the Azure storage account.
    AzureKey(
        /// The key, as a reference.
        Sensitive,
    ),
    /// A shared access signature of Azure, such as `sv=…&sig=…`.
    AzureSas(
        /// The signature, as a reference.
        Sensitive,
    ),
    /// An application that is registered in Microsoft Entra.
    AzureClient(
        /// The application.
        AzureClient,
    ),
}

/// Keys of S3.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3Keys {
    /// Identifies the key; not secret by itself.
    pub access_key_id: Text,
    /// The secret key, as a reference.
    pub secret_access_key: Sensitive,
    /// Goes with temporary keys. Optional.
    #[serde(default)]
    pub session_token: Option<Sensitive>,
}

/// An application that is registered in Microsoft Entra.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureClient {
    /// The directory that knows it.
    pub tenant_id: Text,
    /// Its own id.
    pub client_id: Text,
    /// Its secret, as a reference.
    pub client_secret: Sensitive,
}

impl StoreConfig {
    /// With every reference resolved. `follow_links` and limits are the caller's.
    pub fn resolve(&self, secrets: &dyn Resolver) -> Result<StoreOptions> {
        let text = |text: &Option<Text>| text.as_ref().map(|text| text.resolve(secrets)).transpose();
        Ok(StoreOptions {
            endpoint: text(&self.endpoint)?,
            ca: text(&self.ca)?,
            region: self.region.clone(),
            account: text(&self.account)?,
            virtual_host: self.virtual_host,
            credentials: self.credentials.resolve(secrets)?,
            ..StoreOptions::default()
        })
    }
}

impl CredentialsConfig {
    fn resolve(&self, secrets: &dyn Resolver) -> Result<Credentials> {
        Ok(match self {
            CredentialsConfig::Ambient => Credentials::Ambient,
            CredentialsConfig::Anonymous => Credentials::Anonymous,
            CredentialsConfig::S3(keys) => Credentials::S3 {
                access_key_id: keys.access_key_id.resolve(secrets)?,
                secret_access_key: keys.secret_access_key.resolve(secrets)?,
                session_token: keys.session_token.as_ref().map(|token| token.resolve(secrets)).transpose()?,
            },
            CredentialsConfig::GcsServiceAccount(key) => Credentials::GcsServiceAccount { key: key.resolve(secrets)? },
            CredentialsConfig::AzureKey(key) => Credentials::AzureKey { key: key.resolve(secrets)? },
            CredentialsConfig::AzureSas(token) => Credentials::AzureSas { token: token.resolve(secrets)? },
            CredentialsConfig::AzureClient(client) => Credentials::AzureClient {
                tenant_id: client.tenant_id.resolve(secrets)?,
                client_id: client.client_id.resolve(secrets)?,
                client_secret: client.client_secret.resolve(secrets)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use unbatch_api::config::{Reference, Secret};

    /// Answers with the name of what is asked for.
    struct Named;

    impl Resolver for Named {
        fn resolve(&self, reference: &Reference) -> Result<Secret> {
            Ok(Secret::new(format!("the {reference}")))
        }
    }

    fn resolved(json: &str) -> Result<StoreOptions, String> {
        let config: StoreConfig = serde_json::from_str(json).map_err(|e| e.to_string())?;
        config.resolve(&Named).map_err(|e| e.one_line())
    }

    #[test]
    fn references_are_resolved_and_secrets_stay_hidden() {
        let options = resolved(
            r#"{"endpoint": {"env": "ENDPOINT"}, "region": "eu-west-1", "ca": {"file": "/ca.pem"}, "virtual_host": true,
                "credentials": {"s3": {"access_key_id": "id", "secret_access_key": {"secret": "s3/key"}}}}"#,
        );
        let options = options.unwrap();
        assert_eq!(options.endpoint.as_deref(), Some("the env ENDPOINT"));
        assert_eq!(options.ca.as_deref(), Some("the file /ca.pem"));
        let Credentials::S3 { access_key_id, secret_access_key, session_token: None } = &options.credentials else {
            panic!("other credentials: {options:?}")
        };
        assert_eq!((access_key_id.as_str(), secret_access_key.expose()), ("id", "the secret s3/key"));
        assert!(!format!("{options:?}").contains("s3/key"));
        for (json, is_right) in [
            ("{}", true),
            (r#"{"credentials": "ambient"}"#, true),
            (r#"{"credentials": "anonymous"}"#, true),
            (r#"{"account": "a", "credentials": {"azure_key": {"env": "KEY"}}}"#, true),
            (r#"{"credentials": {"gcs_service_account": {"file": "/key.json"}}}"#, true),
            (r#"{"credentials": {"azure_sas": "sv=1&sig=2"}}"#, false),
            (r#"{"credentials": {"s3": {"access_key_id": "id"}}}"#, false),
            (r#"{"password": "x"}"#, false),
        ] {
            let resolved = resolved(json);
            assert_eq!(resolved.is_ok(), is_right, "{json}: {resolved:?}");
        }
    }
}
