//! History queries and answers.

use nodeglass_model::history::{History, HistoryQuery, QueryError};
use nodeglass_model::{TimeRange, UnixMillis};

use crate::v1;

impl TryFrom<v1::MetricsQueryRequest> for HistoryQuery {
    type Error = QueryError;

    fn try_from(query: v1::MetricsQueryRequest) -> Result<Self, QueryError> {
        let moment = |seconds| UnixMillis::from_seconds(i64::try_from(seconds).unwrap_or(i64::MAX));
        let range = TimeRange {
            start: moment(query.start_timestamp),
            end: moment(query.end_timestamp),
        };
        let points = (query.max_points > 0).then_some(query.max_points);
        Self::new(
            &query.metrics,
            range,
            query.interval_seconds.map(u64::from),
            points,
        )
    }
}

impl v1::MetricsQueryResponse {
    /// The answer to `query` on the wire.
    pub fn new(query: &HistoryQuery, history: History) -> Self {
        let seconds = |at: UnixMillis| at.seconds().unsigned_abs();
        let data_points: Vec<_> = history
            .points
            .into_iter()
            .map(|point| v1::MetricsTimePoint {
                timestamp: seconds(point.timestamp),
                values: point.values.into_iter().collect(),
            })
            .collect();
        Self {
            query_start_timestamp: seconds(query.range.start),
            query_end_timestamp: seconds(query.range.end),
            total_points: data_points.len() as u32,
            data_points,
            truncated: history.truncated,
            interval_seconds: u32::try_from(query.interval.as_secs()).unwrap_or(u32::MAX),
        }
    }
}
