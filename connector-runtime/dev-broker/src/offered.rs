//! Which requests the broker answers, and up to which version.

use kafka_protocol::error::ResponseError;
use kafka_protocol::messages::api_versions_response::ApiVersion;
use kafka_protocol::messages::{ApiKey, ApiVersionsResponse};

const API_VERSIONS_MAX: i16 = 3;

/// The lowest version of each is the lowest that Kafka 4 still knows. `Fetch` 13 is the first by topic id; `Produce`
/// and `ListOffsets` stop before what we would answer wrongly. KIP-848 groups, share groups, ACLs and SASL are absent
/// on purpose.
const OFFERED: &[(ApiKey, i16)] = &[
    (ApiKey::Produce, 9),
    (ApiKey::Fetch, 13),
    (ApiKey::ListOffsets, 7),
    (ApiKey::Metadata, 12),
    (ApiKey::OffsetCommit, 8),
    (ApiKey::OffsetFetch, 8),
    (ApiKey::FindCoordinator, 4),
    (ApiKey::JoinGroup, 7),
    (ApiKey::Heartbeat, 4),
    (ApiKey::LeaveGroup, 5),
    (ApiKey::SyncGroup, 5),
    (ApiKey::DescribeGroups, 5),
    (ApiKey::ListGroups, 4),
    (ApiKey::ApiVersions, API_VERSIONS_MAX),
    (ApiKey::CreateTopics, 7),
    (ApiKey::DeleteTopics, 6),
    (ApiKey::DeleteRecords, 2),
    (ApiKey::InitProducerId, 4),
    (ApiKey::OffsetForLeaderEpoch, 4),
    (ApiKey::AddPartitionsToTxn, 3),
    (ApiKey::AddOffsetsToTxn, 3),
    (ApiKey::EndTxn, 3),
    (ApiKey::TxnOffsetCommit, 3),
    (ApiKey::DescribeConfigs, 4),
    (ApiKey::AlterConfigs, 2),
    (ApiKey::DescribeLogDirs, 2),
    (ApiKey::CreatePartitions, 3),
    (ApiKey::DeleteGroups, 2),
    (ApiKey::IncrementalAlterConfigs, 1),
    (ApiKey::OffsetDelete, 0),
    (ApiKey::DescribeCluster, 0),
    (ApiKey::DescribeTransactions, 0),
    (ApiKey::ListTransactions, 1),
];

pub(crate) fn is_offered(key: ApiKey, version: i16) -> bool {
    OFFERED.iter().any(|(k, max)| *k == key && (key.valid_versions().min..=*max).contains(&version))
}

/// A client that speaks a later version of this request is told so in the first one, which every client reads, and
/// asks again.
pub(crate) fn answer(version: i16) -> (ApiVersionsResponse, i16) {
    let known = (0..=API_VERSIONS_MAX).contains(&version);
    let keys = OFFERED
        .iter()
        .filter(|(key, _)| known || *key == ApiKey::ApiVersions)
        .map(|(key, max)| {
            ApiVersion::default()
                .with_api_key(*key as i16)
                .with_min_version(key.valid_versions().min)
                .with_max_version(*max)
        })
        .collect();
    let answer = ApiVersionsResponse::default().with_api_keys(keys);
    if known {
        (answer, version)
    } else {
        let error = ResponseError::UnsupportedVersion.code();
        (answer.with_error_code(error), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_offered_version_can_be_read() {
        for (key, max) in OFFERED {
            let readable = key.valid_versions();
            assert!(readable.min <= *max && *max <= readable.max, "{key:?}");
        }
    }

    #[test]
    fn a_later_client_is_told_which_version_to_use() {
        let (answer, version) = answer(4);
        assert_eq!(version, 0);
        assert_eq!(answer.error_code, ResponseError::UnsupportedVersion.code());
        assert_eq!(answer.api_keys.len(), 1);
        assert_eq!(answer.api_keys[0].max_version, API_VERSIONS_MAX);
    }

    #[test]
    fn consumer_groups_of_kip_848_are_not_offered() {
        assert!(!is_offered(ApiKey::ConsumerGroupHeartbeat, 0));
        assert!(is_offered(ApiKey::Fetch, 13) && !is_offered(ApiKey::Fetch, 14));
    }
}
