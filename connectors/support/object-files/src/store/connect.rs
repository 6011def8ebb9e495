//! Opens the store of a location.

use super::calls::{CallLimits, Calls, Client};
use super::objects::BucketFolder;
use super::{LocalFolder, Store};
use crate::location::{Bucket, Location, Service};
use object_store::aws::{AmazonS3Builder, S3CopyIfNotExists};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GcpCredential, GoogleCloudStorageBuilder};
use object_store::{BackoffConfig, Certificate, ClientOptions, RetryConfig, StaticCredentialProvider};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use unbatch_api::config::Secret;
use unbatch_api::{Error, Result};

/// How to reach a store. `Debug` shows no credentials.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// Address of the server, where it is not the cloud's own: `https://minio.example.org:9000`. Plain `http:` is taken as it is
    /// written. Azure: with the account's path where the server has one.
    pub endpoint: Option<String>,
    /// Authorities that are trusted beside the system's, in PEM; for a server with a certificate of one's own.
    pub ca: Option<String>,
    /// S3: default `us-east-1`.
    pub region: Option<String>,
    /// Azure: name of the storage account.
    pub account: Option<String>,
    /// S3: the bucket's name stands in the host name and not in the path.
    pub virtual_host: bool,
    pub credentials: Credentials,
    pub limits: CallLimits,
    /// Folders: read symbolic links to files like files.
    pub follow_links: bool,
}

/// Who we are to a store. The secrets are resolved already.
#[derive(Clone, Debug, Default)]
pub enum Credentials {
    /// What the place offers: variables of the environment (`AWS_ACCESS_KEY_ID`, …), a pod's web identity, its container's or its
    /// machine's role, a Google application default, an Azure managed identity.
    #[default]
    Ambient,
    /// For what everybody may read.
    Anonymous,
    S3 {
        access_key_id: String,
        secret_access_key: Secret,
        session_token: Option<Secret>,
    },
    /// The JSON of a service account's key.
    GcsServiceAccount {
        key: Secret,
    },
    AzureKey {
        key: Secret,
    },
    /// The query of a shared access signature, such as `sv=…&sig=…`.
    AzureSas {
        token: Secret,
    },
    AzureClient {
        tenant_id: String,
        client_id: String,
        client_secret: Secret,
    },
}

/// Opens the store of a location whose folder starts at `base` when it is relative. Requests run on `runtime`. Nothing is asked of
/// the store yet.
pub fn open(location: &Location, base: &Path, options: &StoreOptions, runtime: &Handle) -> Result<Arc<dyn Store>> {
    let bucket = match location.resolve(base) {
        Location::Folder(folder) => return Ok(Arc::new(LocalFolder::new(folder, options.follow_links))),
        Location::Bucket(bucket) => bucket,
    };
    check(&bucket, options)?;
    let limits = options.limits;
    let (client, copier) = (client(&bucket, options, limits.attempt)?, client(&bucket, options, limits.copy)?);
    let calls = Calls { client, copier, bucket: Arc::new(bucket), runtime: runtime.clone(), limits };
    Ok(Arc::new(BucketFolder::new(calls, options.endpoint.clone())))
}

/// A client whose attempts may take so long.
fn client(bucket: &Bucket, options: &StoreOptions, attempt: Duration) -> Result<Arc<dyn Client>> {
    let http = client_options(bucket, options, attempt)?;
    let client: Result<Arc<dyn Client>, object_store::Error> = match bucket.service {
        Service::S3 => s3(bucket, options, http).build().map(|client| Arc::new(client) as _),
        Service::Gcs => gcs(bucket, options, http).build().map(|client| Arc::new(client) as _),
        Service::Azure => azure(bucket, options, http).build().map(|client| Arc::new(client) as _),
    };
    // its words may repeat what was given, so they are not shown
    client.map_err(|_| wrong("cannot be used together", "check endpoint, region, account and credentials", bucket))
}

fn wrong(what: &str, help: &str, bucket: &Bucket) -> Error {
    Error::misconfigured(format!("opening a store failed: its settings {what}"))
        .code("U0311")
        .with("store", Location::Bucket(bucket.clone()))
        .help(help)
}

fn check(bucket: &Bucket, options: &StoreOptions) -> Result<()> {
    let fits = match &options.credentials {
        Credentials::Ambient | Credentials::Anonymous => true,
        Credentials::S3 { .. } => bucket.service == Service::S3,
        Credentials::GcsServiceAccount { .. } => bucket.service == Service::Gcs,
        Credentials::AzureKey { .. } | Credentials::AzureSas { .. } | Credentials::AzureClient { .. } => {
            bucket.service == Service::Azure
        }
    };
    if !fits {
        return Err(wrong("have credentials of another kind of store", "give those that go with `url`", bucket));
    }
    if bucket.service == Service::Azure
        && options.account.is_none()
        && !matches!(options.credentials, Credentials::Ambient)
    {
        return Err(wrong("lack the storage account", "name the account beside `url`", bucket));
    }
    let Some(endpoint) = &options.endpoint else { return Ok(()) };
    let host = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"));
    let host = host.map(|rest| rest.split('/').next().unwrap_or_default());
    match host {
        Some(host) if host.contains('@') => {
            Err(wrong("have an endpoint with a user or password", "credentials go into fields of their own", bucket))
        }
        Some(host) if !host.is_empty() && !endpoint.contains(['?', '#', ' ']) => Ok(()),
        _ => Err(wrong("have an endpoint that cannot be", "write https://host or https://host:port", bucket)),
    }
}

fn client_options(bucket: &Bucket, options: &StoreOptions, attempt: Duration) -> Result<ClientOptions> {
    // who writes `http:` means it, also in the environment
    let is_ambient = bucket.service == Service::S3 && matches!(options.credentials, Credentials::Ambient);
    let ambient =
        || ["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"].iter().find_map(|name| std::env::var(name).ok());
    let endpoint = options.endpoint.clone().or_else(|| if is_ambient { ambient() } else { None });
    let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
    let http = ClientOptions::new()
        .with_timeout(attempt)
        .with_connect_timeout(options.limits.connect)
        .with_allow_http(is_plain);
    let Some(pem) = &options.ca else { return Ok(http) };
    let authorities = Certificate::from_pem_bundle(pem.as_bytes()).ok().filter(|found| !found.is_empty());
    let authorities =
        authorities.ok_or_else(|| wrong("have a `ca` that is no certificate", "give it in PEM", bucket))?;
    Ok(authorities.into_iter().fold(http, ClientOptions::with_root_certificate))
}

fn retries(options: &StoreOptions) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 3.0,
        },
        max_retries: options.limits.retries_max,
        retry_timeout: options.limits.call,
    }
}

fn s3(bucket: &Bucket, options: &StoreOptions, http: ClientOptions) -> AmazonS3Builder {
    let is_ambient = matches!(options.credentials, Credentials::Ambient);
    let mut builder = if is_ambient { AmazonS3Builder::from_env() } else { AmazonS3Builder::new() }
        .with_client_options(http)
        .with_retry(retries(options))
        .with_bucket_name(&bucket.name)
        .with_virtual_hosted_style_request(options.virtual_host)
        .with_copy_if_not_exists(S3CopyIfNotExists::Multipart);
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = &options.region {
        builder = builder.with_region(region);
    }
    match &options.credentials {
        Credentials::S3 { access_key_id, secret_access_key, session_token } => {
            builder = builder.with_access_key_id(access_key_id).with_secret_access_key(secret_access_key.expose());
            match session_token {
                Some(token) => builder.with_token(token.expose()),
                None => builder,
            }
        }
        Credentials::Anonymous => builder.with_skip_signature(true),
        _ => builder,
    }
}

fn gcs(bucket: &Bucket, options: &StoreOptions, http: ClientOptions) -> GoogleCloudStorageBuilder {
    let is_ambient = matches!(options.credentials, Credentials::Ambient);
    let mut builder = if is_ambient { GoogleCloudStorageBuilder::from_env() } else { GoogleCloudStorageBuilder::new() }
        .with_client_options(http)
        .with_retry(retries(options))
        .with_bucket_name(&bucket.name);
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_base_url(endpoint);
    }
    match &options.credentials {
        Credentials::GcsServiceAccount { key } => builder.with_service_account_key(key.expose()),
        Credentials::Anonymous => {
            // writes ask for a token all the same, and would look for one in the machine's metadata
            let nobody = StaticCredentialProvider::new(GcpCredential { bearer: String::new() });
            builder.with_skip_signature(true).with_credentials(Arc::new(nobody))
        }
        _ => builder,
    }
}

fn azure(bucket: &Bucket, options: &StoreOptions, http: ClientOptions) -> MicrosoftAzureBuilder {
    let is_ambient = matches!(options.credentials, Credentials::Ambient);
    let mut builder = if is_ambient { MicrosoftAzureBuilder::from_env() } else { MicrosoftAzureBuilder::new() }
        .with_client_options(http)
        .with_retry(retries(options))
        .with_container_name(&bucket.name);
    if let Some(account) = &options.account {
        builder = builder.with_account(account);
    }
    if let Some(endpoint) = &options.endpoint {
        builder = builder.with_endpoint(endpoint.clone());
    }
    match &options.credentials {
        Credentials::AzureKey { key } => builder.with_access_key(key.expose()),
        Credentials::AzureSas { token } => builder.with_config(AzureConfigKey::SasKey, token.expose()),
        Credentials::AzureClient { tenant_id, client_id, client_secret } => {
            builder.with_client_secret_authorization(client_id, client_secret.expose(), tenant_id)
        }
        Credentials::Anonymous => builder.with_skip_signature(true),
        _ => builder,
    }
}
