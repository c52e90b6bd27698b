//! Enrolment by the same steps on both databases.

/// Implements [`Enrolments`](crate::Enrolments) for a type with the pools `reader` and `writer`, its transactions of the
/// type `$transaction`, and the SQL files in the directory `$sql`.
macro_rules! implement_enrolments {
    ($type:ty, $transaction:ty, $sql:literal) => {
        use $crate::enrolments::{
            Claim, ClaimRefusal, Enrolled, Enrolments, FleetToken, Invitation, KeyHash, REVOCATIONS,
            Revocation,
        };

        #[async_trait::async_trait]
        impl Enrolments for $type {
            async fn enrol_agent(
                &self,
                id: &AgentId,
                at: UnixMillis,
            ) -> Result<AgentKey, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/enrol_agent.sql")))
                    .bind(id.as_str())
                    .bind(at.0);
                let row = within("enrol an agent", query.fetch_optional(&self.writer)).await?;
                row.map(|row| AgentKey(row.get(0)))
                    .ok_or_else(|| $crate::StoreError::AgentExists(id.clone()))
            }

            async fn invite(&self, invitation: &Invitation) -> Result<AgentKey, $crate::StoreError> {
                let invited = within("keep an enrolment string", async {
                    let mut transaction = self.begin_write().await?;
                    let (agent, is_new) =
                        add_agent(&mut transaction, &invitation.agent, invitation.at).await?;
                    if is_new || invitation.replace {
                        sqlx::query(include_str!(concat!($sql, "/put_invitation.sql")))
                            .bind(agent.0)
                            .bind(&invitation.token.0[..])
                            .bind(invitation.until.0)
                            .execute(&mut *transaction)
                            .await?;
                    }
                    if let Some(labels) = invitation.labels.as_ref().filter(|_| is_new) {
                        sqlx::query(include_str!(concat!($sql, "/save_labels.sql")))
                            .bind(agent.0)
                            .bind(labels)
                            .execute(&mut *transaction)
                            .await?;
                    }
                    transaction.commit().await?;
                    Ok((is_new || invitation.replace).then_some(agent))
                });
                invited
                    .await?
                    .ok_or_else(|| $crate::StoreError::AgentExists(invitation.agent.clone()))
            }

            async fn claim(
                &self,
                claim: &Claim,
            ) -> Result<Result<Enrolled, ClaimRefusal>, $crate::StoreError> {
                within("enrol a host", async {
                    let mut transaction = self.begin_write().await?;
                    let claimed = grant(&mut transaction, claim).await?;
                    // What is refused has changed nothing.
                    transaction.commit().await?;
                    Ok(claimed)
                })
                .await
            }

            async fn enrol_keys(
                &self,
                keys: &[(AgentId, KeyHash)],
                at: UnixMillis,
            ) -> Result<Vec<AgentKey>, $crate::StoreError> {
                within("enrol agents", async {
                    let mut transaction = self.begin_write().await?;
                    let mut agents = Vec::with_capacity(keys.len());
                    for (id, key) in keys {
                        let (agent, _) = add_agent(&mut transaction, id, at).await?;
                        give_key(&mut transaction, agent, *key, None, at).await?;
                        agents.push(agent);
                    }
                    transaction.commit().await?;
                    Ok(agents)
                })
                .await
            }

            async fn agent_by_key(&self, key: KeyHash) -> Result<Option<AgentRecord>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/agent_by_key.sql"))).bind(&key.0[..]);
                within("look up an agent's key", async {
                    let row = query.fetch_optional(&self.reader).await?;
                    row.as_ref().map(agent_record).transpose()
                })
                .await
            }

            async fn agent_keys(&self) -> Result<Vec<(AgentKey, KeyHash)>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/agent_keys.sql")));
                within("list the agents' keys", async {
                    let rows = query.fetch_all(&self.reader).await?;
                    rows.iter()
                        .map(|row| Ok((AgentKey(row.get(0)), $crate::both::key_hash(row.get(1))?)))
                        .collect()
                })
                .await
            }

            async fn revoke_agent(
                &self,
                agent: AgentKey,
                at: UnixMillis,
            ) -> Result<bool, $crate::StoreError> {
                within("revoke an agent", async {
                    let mut transaction = self.begin_write().await?;
                    let strings = sqlx::query(include_str!(concat!($sql, "/remove_invitation.sql")))
                        .bind(agent.0)
                        .execute(&mut *transaction)
                        .await?;
                    let had_key = take_key(&mut transaction, agent, at).await?;
                    sqlx::query(include_str!(concat!($sql, "/remove_identity.sql")))
                        .bind(agent.0)
                        .execute(&mut *transaction)
                        .await?;
                    transaction.commit().await?;
                    Ok(had_key || strings.rows_affected() > 0)
                })
                .await
            }

            async fn is_revoked(&self, key: KeyHash) -> Result<bool, $crate::StoreError> {
                let query = sqlx::query_scalar::<_, i64>(include_str!(concat!($sql, "/is_revoked.sql")))
                    .bind(&key.0[..]);
                let count = within("look up a revocation", query.fetch_one(&self.reader)).await?;
                Ok(count > 0)
            }

            async fn revocations(&self, after: i64) -> Result<Vec<Revocation>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/revocations.sql")))
                    .bind(after)
                    .bind(REVOCATIONS);
                within("list revocations", async {
                    let rows = query.fetch_all(&self.reader).await?;
                    let revocation = |row: &_| {
                        Ok(Revocation {
                            number: Row::get(row, 0),
                            key: $crate::both::key_hash(Row::get(row, 1))?,
                            agent: AgentKey(Row::get(row, 2)),
                        })
                    };
                    rows.iter().map(revocation).collect()
                })
                .await
            }

            async fn last_revocation(&self) -> Result<i64, $crate::StoreError> {
                let query = sqlx::query_scalar(include_str!(concat!($sql, "/last_revocation.sql")));
                within("count revocations", query.fetch_one(&self.reader)).await
            }

            async fn server_id(&self, fresh: [u8; 16]) -> Result<Vec<u8>, $crate::StoreError> {
                within("read the server's name", async {
                    sqlx::query(include_str!(concat!($sql, "/put_server_id.sql")))
                        .bind(&fresh[..])
                        .execute(&self.writer)
                        .await?;
                    sqlx::query_scalar(include_str!(concat!($sql, "/server_id.sql")))
                        .fetch_one(&self.writer)
                        .await
                })
                .await
            }

            async fn add_fleet_token(
                &self,
                fleet: &FleetToken,
                token: TokenHash,
            ) -> Result<bool, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/add_fleet_token.sql")))
                    .bind(&fleet.name)
                    .bind(&token.0[..])
                    .bind(fleet.created_at.0)
                    .bind(fleet.until.map(|until| until.0))
                    .bind(fleet.max_uses.map(|uses| uses as i64))
                    .bind(&fleet.pattern)
                    .bind(&fleet.labels);
                let done = within("keep a fleet token", query.execute(&self.writer)).await?;
                Ok(done.rows_affected() > 0)
            }

            async fn fleet_tokens(&self) -> Result<Vec<FleetToken>, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/fleet_tokens.sql")));
                let rows = within("list fleet tokens", query.fetch_all(&self.reader)).await?;
                Ok(rows.iter().map($crate::both::rows::fleet_token).collect())
            }

            async fn fleet_token(&self, token: TokenHash) -> Result<Option<FleetToken>, $crate::StoreError> {
                within("look up a fleet token", async {
                    let mut transaction = self.begin_write().await?;
                    let found = read_fleet_token(&mut transaction, token).await?;
                    transaction.commit().await?;
                    Ok(found)
                })
                .await
            }

            async fn revoke_fleet_token(
                &self,
                name: &str,
                at: UnixMillis,
            ) -> Result<bool, $crate::StoreError> {
                let query = sqlx::query(include_str!(concat!($sql, "/revoke_fleet_token.sql")))
                    .bind(name)
                    .bind(at.0);
                let done = within("revoke a fleet token", query.execute(&self.writer)).await?;
                Ok(done.rows_affected() > 0)
            }
        }

        /// The agent of that name, and whether it was added now.
        async fn add_agent(
            transaction: &mut $transaction,
            id: &AgentId,
            at: UnixMillis,
        ) -> Result<(AgentKey, bool), sqlx::Error> {
            let added = sqlx::query_scalar(include_str!(concat!($sql, "/enrol_agent.sql")))
                .bind(id.as_str())
                .bind(at.0)
                .fetch_optional(&mut **transaction)
                .await?;
            if let Some(key) = added {
                return Ok((AgentKey(key), true));
            }
            let known = sqlx::query_scalar(include_str!(concat!($sql, "/agent_named.sql")))
                .bind(id.as_str())
                .fetch_one(&mut **transaction)
                .await?;
            Ok((AgentKey(known), false))
        }

        /// Takes the key from an agent that it has, for good.
        async fn take_key(
            transaction: &mut $transaction,
            agent: AgentKey,
            at: UnixMillis,
        ) -> Result<bool, sqlx::Error> {
            let row = sqlx::query(include_str!(concat!($sql, "/identity.sql")))
                .bind(agent.0)
                .fetch_optional(&mut **transaction)
                .await?;
            let Some(row) = row else { return Ok(false) };
            let key = $crate::both::key_hash(row.get(0))?;
            let number: i64 = sqlx::query_scalar(include_str!(concat!($sql, "/count_revocation.sql")))
                .fetch_one(&mut **transaction)
                .await?;
            sqlx::query(include_str!(concat!($sql, "/add_revocation.sql")))
                .bind(number)
                .bind(&key.0[..])
                .bind(agent.0)
                .bind(at.0)
                .execute(&mut **transaction)
                .await?;
            Ok(true)
        }

        /// Gives an agent a key; the one before is revoked.
        async fn give_key(
            transaction: &mut $transaction,
            agent: AgentKey,
            key: KeyHash,
            fleet: Option<&str>,
            at: UnixMillis,
        ) -> Result<(), sqlx::Error> {
            take_key(transaction, agent, at).await?;
            sqlx::query(include_str!(concat!($sql, "/put_identity.sql")))
                .bind(agent.0)
                .bind(&key.0[..])
                .bind(at.0)
                .bind(fleet)
                .execute(&mut **transaction)
                .await
                .map(drop)
        }

        async fn read_fleet_token(
            transaction: &mut $transaction,
            token: TokenHash,
        ) -> Result<Option<FleetToken>, sqlx::Error> {
            let row = sqlx::query(include_str!(concat!($sql, "/fleet_token.sql")))
                .bind(&token.0[..])
                .fetch_optional(&mut **transaction)
                .await?;
            Ok(row.as_ref().map($crate::both::rows::fleet_token))
        }

        /// Looks a claim over and grants it.
        async fn grant(
            transaction: &mut $transaction,
            claim: &Claim,
        ) -> Result<Result<Enrolled, ClaimRefusal>, sqlx::Error> {
            let holder = sqlx::query(include_str!(concat!($sql, "/agent_by_key.sql")))
                .bind(&claim.key.0[..])
                .fetch_optional(&mut **transaction)
                .await?;
            let holder = holder.as_ref().map(agent_record).transpose()?;
            let invitation = sqlx::query(include_str!(concat!($sql, "/invitation.sql")))
                .bind(&claim.token.0[..])
                .fetch_optional(&mut **transaction)
                .await?;
            let revoked: i64 = sqlx::query_scalar(include_str!(concat!($sql, "/is_revoked.sql")))
                .bind(&claim.key.0[..])
                .fetch_one(&mut **transaction)
                .await?;
            if let Some(row) = invitation {
                let agent = AgentKey(row.get(0));
                let id = AgentId::try_from(row.get::<String, _>(1))
                    .map_err(|error| sqlx::Error::Decode(error.into()))?;
                let until = UnixMillis(row.get(2));
                let used_by: Option<Vec<u8>> = row.get(3);
                let enrolled = Enrolled {
                    agent,
                    id: id.clone(),
                    labels: None,
                };
                return Ok(match (used_by, holder) {
                    _ if revoked > 0 => Err(ClaimRefusal::KeyRevoked),
                    (Some(key), Some(holder)) if key[..] == claim.key.0[..] && holder.key == agent => {
                        Ok(enrolled)
                    }
                    (Some(_), _) => Err(ClaimRefusal::Spent(id)),
                    (None, _) if claim.at > until => Err(ClaimRefusal::Expired(until)),
                    (None, Some(holder)) if holder.key != agent => Err(ClaimRefusal::KeyTaken(holder.id)),
                    (None, holder) => {
                        if holder.is_none() {
                            give_key(transaction, agent, claim.key, None, claim.at).await?;
                        }
                        sqlx::query(include_str!(concat!($sql, "/use_invitation.sql")))
                            .bind(agent.0)
                            .bind(&claim.key.0[..])
                            .execute(&mut **transaction)
                            .await?;
                        Ok(enrolled)
                    }
                });
            }
            let Some(fleet) = read_fleet_token(transaction, claim.token).await? else {
                return Ok(Err(ClaimRefusal::Unknown));
            };
            if let Some(holder) = holder {
                // The answer was lost the last time.
                return Ok(Ok(Enrolled {
                    agent: holder.key,
                    id: holder.id,
                    labels: None,
                }));
            }
            let refusal = if revoked > 0 {
                Some(ClaimRefusal::KeyRevoked)
            } else if fleet.revoked_at.is_some() {
                Some(ClaimRefusal::Withdrawn(fleet.name.clone()))
            } else if let Some(until) = fleet.until.filter(|until| claim.at > *until) {
                Some(ClaimRefusal::Expired(until))
            } else if fleet.max_uses.is_some_and(|most| fleet.uses >= most) {
                Some(ClaimRefusal::Exhausted(fleet.name.clone()))
            } else {
                None
            };
            if let Some(refusal) = refusal {
                return Ok(Err(refusal));
            }
            let Some(name) = &claim.name else {
                return Ok(Err(ClaimRefusal::NoName));
            };
            let (mut id, mut added) = (name.clone(), add_agent(transaction, name, claim.at).await?);
            if !added.1 && claim.may_number {
                let taken: Vec<String> = sqlx::query_scalar(include_str!(concat!($sql, "/agent_names.sql")))
                    .bind(format!("{name}-"))
                    .fetch_all(&mut **transaction)
                    .await?;
                if let Some(free) = $crate::enrolments::numbered(name, &taken) {
                    added = add_agent(transaction, &free, claim.at).await?;
                    id = free;
                }
            }
            let (agent, true) = added else {
                return Ok(Err(ClaimRefusal::NameTaken(id)));
            };
            give_key(transaction, agent, claim.key, Some(&fleet.name), claim.at).await?;
            sqlx::query(include_str!(concat!($sql, "/use_fleet_token.sql")))
                .bind(&fleet.name)
                .execute(&mut **transaction)
                .await?;
            Ok(Ok(Enrolled {
                agent,
                id,
                labels: Some(fleet.labels),
            }))
        }
    };
}
pub(crate) use implement_enrolments;
