//! History queries and answers.

use nodeglass_model::history::{History, HistoryQuery, Point, QueryError};
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
            gaps: Vec::new(),
            source: String::new(),
        }
    }
}

impl From<v1::MetricsQueryResponse> for History {
    fn from(response: v1::MetricsQueryResponse) -> Self {
        let points = response.data_points.into_iter().map(|point| Point {
            timestamp: UnixMillis::from_seconds(point.timestamp as i64),
            values: point
                .values
                .into_iter()
                .filter(|(_, value)| value.is_finite())
                .collect(),
        });
        Self {
            points: points.collect(),
            truncated: response.truncated,
        }
    }
}

impl From<&HistoryQuery> for v1::MetricsQueryRequest {
    fn from(query: &HistoryQuery) -> Self {
        let seconds = |at: UnixMillis| at.seconds().unsigned_abs();
        // The end is the first moment that does not belong to the range: rounded up.
        let end = UnixMillis(query.range.end.0.saturating_add(999));
        Self {
            metrics: query.selectors.iter().map(ToString::to_string).collect(),
            start_timestamp: seconds(query.range.start),
            end_timestamp: seconds(end),
            max_points: query.max_points,
            interval_seconds: u32::try_from(query.interval.as_secs()).ok(),
        }
    }
}
