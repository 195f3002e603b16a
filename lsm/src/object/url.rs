//! Stores by their address.

use std::path::PathBuf;
use std::sync::Arc;

use ::url::Url;
use dosql_base::{Error, Result};
use object_store::aws::{AmazonS3Builder, S3ConditionalPut};
use object_store::{ClientOptions, RetryConfig};

use super::{ObjectOptions, ObjectSegmentStore};
use crate::store::SegmentStore;

/// Who asks a bucket.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Whom the environment of the process names, as for Amazon's own tools: `AWS_ACCESS_KEY_ID` and so on, or the machine's role.
    #[default]
    Environment,
    /// The owner of a key. R2 calls it an API token.
    Key {
        /// Its public half.
        id: String,
        /// Its private half; never shown.
        secret: String,
        /// What a temporary key needs besides.
        token: Option<String>,
    },
    /// Anybody.
    Anonymous,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Credentials::Environment => f.write_str("Environment"),
            Credentials::Key { id, .. } => f.debug_struct("Key").field("id", id).finish_non_exhaustive(),
            Credentials::Anonymous => f.write_str("Anonymous"),
        }
    }
}

/// The store at an address:
///
/// - `s3://BUCKET/PREFIX`, with `?region=`, `endpoint=` (R2: `https://ACCOUNT.r2.cloudflarestorage.com`, region `auto`) and
///   `virtual_hosted=true` where the bucket is part of the host's name; a prefix may be left out,
/// - `file:///PATH`: a directory,
/// - `memory://`: an empty store that lives as long as the process.
///
/// Fails with [`dosql_base::ErrorKind::InvalidInput`] where it is none of them. Asks nothing of the store yet.
pub fn segments_at(address: &str, options: ObjectOptions) -> Result<Arc<dyn SegmentStore>> {
    let bad = |what: &str| Error::invalid(format!("{address:?} is no address of a segment store: {what}"));
    let url = Url::parse(address).map_err(|error| bad(&error.to_string()))?;
    match url.scheme() {
        "s3" => s3(&url, options, &bad).map(|store| Arc::new(store) as Arc<dyn SegmentStore>),
        "file" => {
            let path: PathBuf = url.to_file_path().map_err(|()| bad("give an absolute path, file:///..."))?;
            Ok(Arc::new(crate::DirectorySegmentStore::open(path)?))
        }
        "memory" => Ok(Arc::new(crate::MemorySegmentStore::new())),
        _ => Err(bad("use s3://, file:// or memory://")),
    }
}

fn s3(url: &Url, options: ObjectOptions, bad: &dyn Fn(&str) -> Error) -> Result<ObjectSegmentStore> {
    let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| bad("name a bucket"))?;
    let mut builder = match &options.credentials {
        Credentials::Environment => AmazonS3Builder::from_env(),
        Credentials::Key { id, secret, token } => {
            let builder = AmazonS3Builder::new().with_access_key_id(id).with_secret_access_key(secret);
            token.iter().fold(builder, |builder, token| builder.with_token(token))
        }
        Credentials::Anonymous => AmazonS3Builder::new().with_skip_signature(true),
    };
    // Requests are repeated here, where it is known what may be.
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    // So are their times.
    let client = ClientOptions::new().with_timeout_disabled().with_connect_timeout(options.timeout);
    builder = builder
        .with_bucket_name(bucket)
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .with_retry(once)
        .with_client_options(client);
    for (key, value) in url.query_pairs() {
        builder = match &*key {
            "region" => builder.with_region(value),
            "endpoint" => builder.with_allow_http(value.starts_with("http://")).with_endpoint(value),
            "virtual_hosted" => builder.with_virtual_hosted_style_request(value == "true"),
            _ => return Err(bad(&format!("{key} is not known; use region, endpoint, virtual_hosted"))),
        };
    }
    let store = builder.build().map_err(|error| bad(&error.to_string()))?;
    ObjectSegmentStore::new(Arc::new(store), url.path().trim_matches('/'), options)
}
