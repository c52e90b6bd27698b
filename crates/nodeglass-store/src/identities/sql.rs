//! How both databases keep them: the same statements, since nothing in them differs.

use nodeglass_model::UnixMillis;
use sqlx::{ColumnIndex, Decode, Row, Type};

use super::{AuditRecord, Outcome, SessionKind, SessionRecord, TokenRecord, UserRecord};
use crate::Role;
use crate::both::token_hash;

/// The entries of a selector as they are kept.
pub(crate) fn lines(agents: Option<&Vec<String>>) -> Option<String> {
    agents.map(|agents| agents.join("\n"))
}

fn entries(lines: Option<String>) -> Option<Vec<String>> {
    lines.map(|lines| lines.lines().map(str::to_owned).collect())
}

/// The pattern that an action of a filter is.
pub(crate) fn pattern(action: &str) -> String {
    let escaped = action
        .replace('\\', r"\\")
        .replace('%', r"\%")
        .replace('_', r"\_");
    match escaped.strip_suffix('*') {
        Some(beginning) => format!("{beginning}%"),
        None => escaped,
    }
}

fn role(name: &str) -> Result<Role, sqlx::Error> {
    Role::from_name(name).ok_or_else(|| sqlx::Error::Decode("an unknown role".into()))
}

pub(crate) fn token<'r, R>(row: &'r R) -> Result<TokenRecord, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(TokenRecord {
        name: row.try_get(0)?,
        role: role(row.try_get(1)?)?,
        agents: entries(row.try_get(2)?),
        token: token_hash(row.try_get(3)?)?,
        created_at: UnixMillis(row.try_get(4)?),
        expires_at: row.try_get::<Option<i64>, _>(5)?.map(UnixMillis),
        last_used_at: row.try_get::<Option<i64>, _>(6)?.map(UnixMillis),
    })
}

pub(crate) fn user<'r, R>(row: &'r R) -> Result<UserRecord, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    Vec<u8>: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(UserRecord {
        name: row.try_get(0)?,
        role: role(row.try_get(1)?)?,
        agents: entries(row.try_get(2)?),
        password_hash: row.try_get(3)?,
        created_at: UnixMillis(row.try_get(4)?),
        password_changed_at: UnixMillis(row.try_get(5)?),
        totp_secret: row.try_get(6)?,
    })
}

pub(crate) fn session<'r, R>(row: &'r R) -> Result<SessionRecord, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
    &'r [u8]: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(SessionRecord {
        token: token_hash(row.try_get(0)?)?,
        id: row.try_get(1)?,
        kind: SessionKind::from_name(row.try_get(2)?)
            .ok_or_else(|| sqlx::Error::Decode("an unknown kind of session".into()))?,
        name: row.try_get(3)?,
        role: row.try_get::<Option<&str>, _>(4)?.map(role).transpose()?,
        agents: entries(row.try_get(5)?),
        provider: row.try_get(6)?,
        created_at: UnixMillis(row.try_get(7)?),
        last_seen_at: UnixMillis(row.try_get(8)?),
        expires_at: UnixMillis(row.try_get(9)?),
        address: row.try_get(10)?,
    })
}

pub(crate) fn audit<'r, R>(row: &'r R) -> Result<AuditRecord, sqlx::Error>
where
    R: Row,
    usize: ColumnIndex<R>,
    i64: Decode<'r, R::Database> + Type<R::Database>,
    String: Decode<'r, R::Database> + Type<R::Database>,
    &'r str: Decode<'r, R::Database> + Type<R::Database>,
{
    Ok(AuditRecord {
        id: row.try_get(0)?,
        at: UnixMillis(row.try_get(1)?),
        kind: row.try_get(2)?,
        name: row.try_get(3)?,
        address: row.try_get(4)?,
        action: row.try_get(5)?,
        subject: row.try_get(6)?,
        outcome: Outcome::from_name(row.try_get(7)?)
            .ok_or_else(|| sqlx::Error::Decode("an unknown outcome".into()))?,
        detail: row.try_get(8)?,
        request_id: row.try_get(9)?,
        count: row.try_get::<i64, _>(10)?.unsigned_abs(),
    })
}

/// A statement of this directory.
macro_rules! statement {
    ($name:literal) => {
        sqlx::query(include_str!(concat!("identities/", $name, ".sql")))
    };
}
pub(crate) use statement;

/// Implements [`Identities`](super::Identities) for a type with the pools `reader` and `writer`.
macro_rules! implement_identities {
    ($type:ty) => {
        use $crate::identities::sql::{self as identity_sql, statement};

        #[async_trait::async_trait]
        impl $crate::identities::Identities for $type {
            async fn identity_version(&self) -> Result<i64, StoreError> {
                within("look for changes of tokens and users", async {
                    let row = statement!("version").fetch_one(&self.reader).await?;
                    row.try_get(0)
                })
                .await
            }

            async fn everybody(&self) -> Result<$crate::identities::Everybody, StoreError> {
                within("list tokens, users and sessions", async {
                    // The version first: what is changed meanwhile is read again.
                    let version = statement!("version")
                        .fetch_one(&self.reader)
                        .await?
                        .try_get(0)?;
                    let tokens = statement!("tokens").fetch_all(&self.reader).await?;
                    let users = statement!("users").fetch_all(&self.reader).await?;
                    let sessions = statement!("sessions").fetch_all(&self.reader).await?;
                    Ok($crate::identities::Everybody {
                        version,
                        tokens: tokens
                            .iter()
                            .map(identity_sql::token)
                            .collect::<Result<_, _>>()?,
                        users: users
                            .iter()
                            .map(identity_sql::user)
                            .collect::<Result<_, _>>()?,
                        sessions: sessions
                            .iter()
                            .map(identity_sql::session)
                            .collect::<Result<_, _>>()?,
                    })
                })
                .await
            }

            async fn add_token(
                &self,
                token: &$crate::identities::TokenRecord,
                replace: bool,
            ) -> Result<bool, StoreError> {
                within("keep a token", async {
                    let mut transaction = self.begin_write().await?;
                    if replace {
                        statement!("remove_sessions_of")
                            .bind("token")
                            .bind(&token.name)
                            .execute(&mut *transaction)
                            .await?;
                    }
                    let query = if replace {
                        statement!("replace_token")
                    } else {
                        statement!("add_token")
                    };
                    let done = query
                        .bind(&token.name)
                        .bind(token.role.name())
                        .bind(identity_sql::lines(token.agents.as_ref()))
                        .bind(&token.token.0[..])
                        .bind(token.created_at.0)
                        .bind(token.expires_at.map(|at| at.0))
                        .execute(&mut *transaction)
                        .await?
                        .rows_affected();
                    statement!("bump").execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    Ok(done > 0)
                })
                .await
            }

            async fn change_token(
                &self,
                name: &str,
                change: &$crate::identities::Change,
            ) -> Result<bool, StoreError> {
                within("change a token", async {
                    let mut transaction = self.begin_write().await?;
                    let agents = change.agents.as_ref();
                    let done = statement!("change_token")
                        .bind(name)
                        .bind(change.role.map($crate::Role::name))
                        .bind(agents.is_some())
                        .bind(agents.and_then(|agents| identity_sql::lines(agents.as_ref())))
                        .bind(change.expires_at.is_some())
                        .bind(change.expires_at.flatten().map(|at| at.0))
                        .execute(&mut *transaction)
                        .await?
                        .rows_affected();
                    statement!("bump").execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    Ok(done > 0)
                })
                .await
            }

            async fn remove_token(&self, name: &str) -> Result<bool, StoreError> {
                within("remove a token", async {
                    let mut transaction = self.begin_write().await?;
                    statement!("remove_sessions_of")
                        .bind("token")
                        .bind(name)
                        .execute(&mut *transaction)
                        .await?;
                    let done = statement!("remove_token")
                        .bind(name)
                        .execute(&mut *transaction)
                        .await?
                        .rows_affected();
                    statement!("bump").execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    Ok(done > 0)
                })
                .await
            }

            async fn touch_tokens(
                &self,
                used: &std::collections::HashMap<TokenHash, UnixMillis>,
            ) -> Result<(), StoreError> {
                within("note uses of tokens", async {
                    let mut transaction = self.begin_write().await?;
                    for (token, at) in used {
                        statement!("touch_token")
                            .bind(&token.0[..])
                            .bind(at.0)
                            .execute(&mut *transaction)
                            .await?;
                    }
                    transaction.commit().await
                })
                .await
            }

            async fn add_user(&self, user: &$crate::identities::UserRecord) -> Result<bool, StoreError> {
                within("keep a user", async {
                    let mut transaction = self.begin_write().await?;
                    let done = statement!("add_user")
                        .bind(&user.name)
                        .bind(user.role.name())
                        .bind(identity_sql::lines(user.agents.as_ref()))
                        .bind(&user.password_hash)
                        .bind(user.created_at.0)
                        .bind(user.password_changed_at.0)
                        .bind(user.totp_secret.as_deref())
                        .execute(&mut *transaction)
                        .await?
                        .rows_affected();
                    statement!("bump").execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    Ok(done > 0)
                })
                .await
            }

            async fn change_user(
                &self,
                name: &str,
                change: &$crate::identities::Change,
            ) -> Result<bool, StoreError> {
                within("change a user", async {
                    let mut transaction = self.begin_write().await?;
                    let agents = change.agents.as_ref();
                    let done = statement!("change_user")
                        .bind(name)
                        .bind(change.role.map($crate::Role::name))
                        .bind(agents.is_some())
                        .bind(agents.and_then(|agents| identity_sql::lines(agents.as_ref())))
                        .execute(&mut *transaction)
                        .await?
                        .rows_affected();
                    statement!("bump").execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    Ok(done > 0)
                })
                .await
            }

            async fn set_password(
                &self,
                name: &str,
                password_hash: &str,
                at: UnixMillis,
                keep: Option<TokenHash>,
            ) -> Result<bool, StoreError> {
                within("change a password", async {
                    let mut transaction = self.begin_write().await?;
                    let done = statement!("set_password")
                        .bind(name)
                        .bind(password_hash)
                        .bind(at.0)
                        .execute(&mut *transaction)
                        .await?
                        .rows_affected();
                    // No cookie has this hash.
                    let keep = keep.unwrap_or(TokenHash([0; 32]));
                    statement!("remove_other_sessions")
                        .bind("user")
                        .bind(name)
                        .bind(&keep.0[..])
                        .execute(&mut *transaction)
                        .await?;
                    statement!("bump").execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    Ok(done > 0)
                })
                .await
            }

            async fn set_totp(
                &self,
                name: &str,
                sealed: Option<&[u8]>,
                recovery: &[TokenHash],
            ) -> Result<bool, StoreError> {
                within("change how a user signs in", async {
                    let mut transaction = self.begin_write().await?;
                    let done = statement!("set_totp")
                        .bind(name)
                        .bind(sealed)
                        .execute(&mut *transaction)
                        .await?
                        .rows_affected();
                    if done == 0 {
                        return Ok(false);
                    }
                    statement!("remove_recovery_codes")
                        .bind(name)
                        .execute(&mut *transaction)
                        .await?;
                    for code in recovery {
                        statement!("add_recovery_code")
                            .bind(name)
                            .bind(&code.0[..])
                            .execute(&mut *transaction)
                            .await?;
                    }
                    statement!("bump").execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    Ok(true)
                })
                .await
            }

            async fn use_totp_step(&self, name: &str, step: i64) -> Result<bool, StoreError> {
                let query = statement!("use_totp_step").bind(name).bind(step);
                let done = within("take a one-time code", query.execute(&self.writer)).await?;
                Ok(done.rows_affected() > 0)
            }

            async fn use_recovery_code(&self, name: &str, code: TokenHash) -> Result<bool, StoreError> {
                let query = statement!("use_recovery_code").bind(name).bind(&code.0[..]);
                let done = within("take a recovery code", query.execute(&self.writer)).await?;
                Ok(done.rows_affected() > 0)
            }

            async fn remove_user(&self, name: &str) -> Result<bool, StoreError> {
                within("remove a user", async {
                    let mut transaction = self.begin_write().await?;
                    for query in [
                        statement!("remove_sessions_of").bind("user"),
                        statement!("remove_recovery_codes"),
                    ] {
                        query.bind(name).execute(&mut *transaction).await?;
                    }
                    let done = statement!("remove_user")
                        .bind(name)
                        .execute(&mut *transaction)
                        .await?
                        .rows_affected();
                    statement!("bump").execute(&mut *transaction).await?;
                    transaction.commit().await?;
                    Ok(done > 0)
                })
                .await
            }

            async fn add_session(
                &self,
                session: &$crate::identities::SessionRecord,
            ) -> Result<(), StoreError> {
                within("keep a session", async {
                    let mut transaction = self.begin_write().await?;
                    statement!("add_session")
                        .bind(&session.token.0[..])
                        .bind(&session.id)
                        .bind(session.kind.name())
                        .bind(&session.name)
                        .bind(session.role.map($crate::Role::name))
                        .bind(identity_sql::lines(session.agents.as_ref()))
                        .bind(session.provider.as_deref())
                        .bind(session.created_at.0)
                        .bind(session.last_seen_at.0)
                        .bind(session.expires_at.0)
                        .bind(&session.address)
                        .execute(&mut *transaction)
                        .await?;
                    statement!("crowd_out")
                        .bind(session.kind.name())
                        .bind(&session.name)
                        .bind(i64::from($crate::identities::SESSIONS_OF_ONE))
                        .execute(&mut *transaction)
                        .await?;
                    statement!("bump").execute(&mut *transaction).await?;
                    transaction.commit().await
                })
                .await
            }

            async fn touch_sessions(
                &self,
                used: &std::collections::HashMap<TokenHash, UnixMillis>,
            ) -> Result<(), StoreError> {
                within("note uses of sessions", async {
                    let mut transaction = self.begin_write().await?;
                    for (token, at) in used {
                        statement!("touch_session")
                            .bind(&token.0[..])
                            .bind(at.0)
                            .execute(&mut *transaction)
                            .await?;
                    }
                    transaction.commit().await
                })
                .await
            }

            async fn remove_sessions(&self, sessions: &[TokenHash]) -> Result<u64, StoreError> {
                within("end sessions", async {
                    let mut transaction = self.begin_write().await?;
                    let mut removed = 0;
                    for session in sessions {
                        removed += statement!("remove_session")
                            .bind(&session.0[..])
                            .execute(&mut *transaction)
                            .await?
                            .rows_affected();
                    }
                    if removed > 0 {
                        statement!("bump").execute(&mut *transaction).await?;
                    }
                    transaction.commit().await?;
                    Ok(removed)
                })
                .await
            }

            async fn append_audit(
                &self,
                entries: &[$crate::identities::AuditRecord],
            ) -> Result<(), StoreError> {
                within("write the audit log", async {
                    let mut transaction = self.begin_write().await?;
                    for entry in entries {
                        statement!("append_audit")
                            .bind(entry.at.0)
                            .bind(&entry.kind)
                            .bind(&entry.name)
                            .bind(&entry.address)
                            .bind(&entry.action)
                            .bind(&entry.subject)
                            .bind(entry.outcome.name())
                            .bind(&entry.detail)
                            .bind(&entry.request_id)
                            .bind(i64::try_from(entry.count).unwrap_or(i64::MAX))
                            .execute(&mut *transaction)
                            .await?;
                    }
                    transaction.commit().await
                })
                .await
            }

            async fn audit(
                &self,
                filter: &$crate::identities::AuditFilter,
                limit: u32,
            ) -> Result<Vec<$crate::identities::AuditRecord>, StoreError> {
                within("read the audit log", async {
                    let rows = statement!("audit")
                        .bind(filter.name.as_deref())
                        .bind(filter.action.as_deref().map(identity_sql::pattern))
                        .bind(filter.subject.as_deref())
                        .bind(filter.outcome.map($crate::identities::Outcome::name))
                        .bind(filter.start.map_or(i64::MIN, |at| at.0))
                        .bind(filter.end.map_or(i64::MAX, |at| at.0))
                        .bind(filter.before.unwrap_or(i64::MAX))
                        .bind(i64::from(limit))
                        .fetch_all(&self.reader)
                        .await?;
                    rows.iter().map(identity_sql::audit).collect()
                })
                .await
            }

            async fn prune_audit(&self, before: UnixMillis, most: u64) -> Result<u64, StoreError> {
                let query = statement!("prune_audit")
                    .bind(before.0)
                    .bind(i64::try_from(most).unwrap_or(i64::MAX));
                let done = within(
                    "remove old entries of the audit log",
                    query.execute(&self.writer),
                )
                .await?;
                Ok(done.rows_affected())
            }
        }
    };
}
pub(crate) use implement_identities;
