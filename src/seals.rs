//! Where the statements of the seals are kept outside of the database, by the configuration.

use std::sync::Arc;

use anyhow::{Context, bail};
use integrations::seals::{BucketKeys, BucketOptions, Lock, SealBucket, SealHook};
use journal::Checkpoints;
use journal::seal::{Outside, OutsideFile};

use crate::config::{Masked, ObjectLock, S3, Seals};

/// The region of a bucket of which nothing else is said.
const REGION: &str = "us-east-1";
/// The longest lock, in days.
const LONGEST: u32 = 36_500;

/// The configured place; nothing when there is none.
///
/// # Errors
/// When the configuration contradicts itself or misses something.
pub(crate) fn outside(seals: &Seals, checkpoints: Arc<dyn Checkpoints>) -> anyhow::Result<Option<Arc<dyn Outside>>> {
    let Some(place) = &seals.copy_to else { return Ok(None) };
    if let Some(rest) = place.strip_prefix("s3://") {
        return Ok(Some(Arc::new(bucket(rest, &seals.s3)?)));
    }
    if place.starts_with("https://") || place.starts_with("http://") {
        let secret = seals.copy_secret.as_ref().context("a URL for seals needs `seals.copy_secret`")?;
        return Ok(Some(Arc::new(SealHook::new(place, secret.reveal(), checkpoints)?)));
    }
    if place.contains("://") {
        bail!("`seals.copy_to` is a file, s3://BUCKET/PREFIX, or an https:// URL, not `{place}`");
    }
    Ok(Some(Arc::new(OutsideFile::new(place))))
}

fn bucket(rest: &str, settings: &S3) -> anyhow::Result<SealBucket> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        bail!("`seals.copy_to` names no bucket: s3://BUCKET/PREFIX");
    }
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let secret = |given: &Option<Masked>, name: &str| {
        given.as_ref().map(|secret| secret.reveal().to_owned()).or_else(|| variable(name))
    };
    let keys = BucketKeys {
        access_key: settings
            .access_key
            .clone()
            .or_else(|| variable("AWS_ACCESS_KEY_ID"))
            .context("a bucket for seals needs `seals.s3.access_key` or AWS_ACCESS_KEY_ID")?,
        secret_key: secret(&settings.secret_key, "AWS_SECRET_ACCESS_KEY")
            .context("a bucket for seals needs `seals.s3.secret_key` or AWS_SECRET_ACCESS_KEY")?,
        session_token: secret(&settings.session_token, "AWS_SESSION_TOKEN"),
    };
    let lock = match (settings.lock, settings.lock_days) {
        (None, None) => None,
        (Some(lock), Some(days)) if (1..=LONGEST).contains(&days) => {
            Some(Lock { compliance: lock == ObjectLock::Compliance, days })
        }
        (Some(_), Some(_)) => bail!("`seals.s3.lock_days` must be 1 to {LONGEST}"),
        _ => bail!("`seals.s3.lock` and `seals.s3.lock_days` belong together"),
    };
    let region = settings.region.clone().unwrap_or_else(|| REGION.to_owned());
    let options = BucketOptions {
        endpoint: settings.endpoint.clone().unwrap_or_else(|| format!("https://s3.{region}.amazonaws.com")),
        region,
        bucket: bucket.to_owned(),
        prefix: prefix.to_owned(),
        lock,
    };
    Ok(SealBucket::new(options, keys)?)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use journal::MemoryCheckpoints;

    use super::*;

    #[test]
    fn a_place_that_cannot_be_used_is_named_at_the_start() {
        let seals = |place: &str, change: fn(&mut Seals)| {
            let mut seals = Seals { copy_to: Some(place.to_owned()), ..Seals::default() };
            change(&mut seals);
            outside(&seals, Arc::new(MemoryCheckpoints::default()))
                .map(|place| format!("{place:?}"))
                .map_err(|error| format!("{error:#}"))
        };
        let keys = |seals: &mut Seals| {
            seals.s3.access_key = Some("AK".to_owned());
            seals.s3.secret_key = Some(Masked::new("s3cr3t".to_owned()));
        };
        assert!(seals("seals.jsonl", |_| {}).unwrap().contains("seals.jsonl"));
        let bucket = seals("s3://archive/seals", keys).unwrap();
        assert!(bucket.contains("s3://archive/seals/") && !bucket.contains("s3cr3t"), "{bucket}");
        for (place, change, expected) in [
            ("ftp://x", (|_| {}) as fn(&mut Seals), "is a file"),
            ("https://example.com/seals", |_| {}, "copy_secret"),
            ("https://example.com/seals", |seals| seals.copy_secret = Some(Masked::new("short".to_owned())), "whsec_"),
            ("s3:///x", |_| {}, "names no bucket"),
        ] {
            let error = seals(place, change).unwrap_err();
            assert!(error.contains(expected) && !error.contains("short"), "{place}: {error}");
        }
        let half = |seals: &mut Seals| {
            seals.s3.access_key = Some("AK".to_owned());
            seals.s3.secret_key = Some(Masked::new("s3cr3t".to_owned()));
            seals.s3.lock = Some(ObjectLock::Compliance);
        };
        assert!(seals("s3://archive", half).unwrap_err().contains("belong together"));
    }
}
