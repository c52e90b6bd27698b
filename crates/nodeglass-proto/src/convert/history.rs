//! History queries and answers.

use nodeglass_model::history::{Aggregation, History, HistoryQuery, QueryError};
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
        let aggregation = match query.aggregation.as_str() {
            "" => Aggregation::Usual,
            named => named.parse()?,
        };
        let interval = query.interval_seconds.map(u64::from);
        let query = Self::new(&query.metrics, range, interval, points)?;
        Ok(query.with_aggregation(aggregation))
    }
}

impl v1::MetricsQueryResponse {
    /// The answer to `query` on the wire.
    pub fn new(query: &HistoryQuery, history: &History) -> Self {
        let seconds = |at: UnixMillis| at.seconds().unsigned_abs();
        let data_points: Vec<_> = history
            .rows()
            .map(|(at, row)| v1::MetricsTimePoint {
                timestamp: seconds(at),
                values: row.map(|(name, value)| (name.to_owned(), value)).collect(),
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
            resolution: String::new(),
        }
    }
}

impl From<v1::MetricsQueryResponse> for History {
    fn from(response: v1::MetricsQueryResponse) -> Self {
        let rows = response.data_points.into_iter().map(|point| {
            let at = UnixMillis::from_seconds(i64::try_from(point.timestamp).unwrap_or(i64::MAX));
            let finite = point.values.into_iter().filter(|(_, value)| value.is_finite());
            (at, finite)
        });
        Self::from_rows(rows, response.truncated)
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
            aggregation: query.aggregation.to_string(),
        }
    }
}
