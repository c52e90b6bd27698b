//! The steps of compaction as both databases offer them: each with its deadline and its name for error messages.

/// Implements [`Tiers`](crate::tiers::Tiers) by what a type does itself.
macro_rules! implement_tiers {
    ($type:ty) => {
        #[async_trait::async_trait]
        impl $crate::tiers::Tiers for $type {
            async fn close_slot(
                &self,
                now: UnixMillis,
                limits: SlotLimits,
            ) -> Result<bool, $crate::StoreError> {
                within("close a slot", self.close_open_slot(now, limits)).await
            }

            async fn closed_slots(&self) -> Result<Vec<ClosedSlot>, $crate::StoreError> {
                within("list slots", self.find_closed_slots()).await
            }

            async fn slot_rows(
                &self,
                slot: SlotId,
                after: Option<(AgentKey, Position)>,
                limit: u32,
            ) -> Result<Vec<StagedSample>, $crate::StoreError> {
                within("read a slot", self.read_slot_rows(slot, after, limit)).await
            }

            async fn overlapping(
                &self,
                ranges: &[(AgentKey, TimeRange)],
            ) -> Result<Vec<(AgentKey, ChunkHead)>, $crate::StoreError> {
                within("look for chunks", self.find_overlapping(ranges)).await
            }

            async fn put_small(
                &self,
                slot: SlotId,
                after: Option<AgentKey>,
                through: AgentKey,
                packed: &[PackedAgent],
                now: UnixMillis,
            ) -> Result<Outcome, $crate::StoreError> {
                let put = self.put_small_chunks(slot, after, through, packed, now);
                within("keep small chunks", put).await
            }

            async fn finish_slot(
                &self,
                slot: SlotId,
                after: Option<AgentKey>,
                now: UnixMillis,
            ) -> Result<Outcome, $crate::StoreError> {
                within("finish a slot", self.mark_slot_finished(slot, after, now)).await
            }

            async fn drop_slots(&self, now: UnixMillis) -> Result<bool, $crate::StoreError> {
                within("drop slots", self.empty_slots(now)).await
            }

            async fn mergeable(
                &self,
                min_points: u32,
                before: UnixMillis,
                limit: u32,
            ) -> Result<Vec<AgentKey>, $crate::StoreError> {
                within(
                    "look for small chunks",
                    self.find_mergeable(min_points, before, limit),
                )
                .await
            }

            async fn heads(
                &self,
                agent: AgentKey,
                range: TimeRange,
                which: Levels,
                limit: u32,
            ) -> Result<Vec<ChunkHead>, $crate::StoreError> {
                let list = self.list_heads(agent, range, which, i64::from(limit));
                within("list chunks", list).await
            }

            async fn staged(
                &self,
                agent: AgentKey,
                range: TimeRange,
                after: Option<Position>,
                limit: u32,
            ) -> Result<Vec<StagedSample>, $crate::StoreError> {
                let read = self.read_staged(agent, range, after, i64::from(limit));
                within("read staged samples", read).await
            }

            async fn chunks(
                &self,
                agent: AgentKey,
                ids: &[ChunkId],
            ) -> Result<Vec<StoredChunk>, $crate::StoreError> {
                within("read chunks", self.read_chunks(agent, ids)).await
            }

            async fn replace(
                &self,
                agent: AgentKey,
                old: &[ChunkId],
                new: &[NewChunk],
                rollups: &dyn RollupChange,
            ) -> Result<Outcome, $crate::StoreError> {
                within(
                    "replace chunks",
                    self.replace_chunks(agent, old, new, rollups),
                )
                .await
            }
        }
    };
}
pub(crate) use implement_tiers;
