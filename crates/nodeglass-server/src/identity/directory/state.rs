//! One version of everybody, and what of the one before goes on in it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use nodeglass_model::UnixMillis;
use nodeglass_store::Role;
use nodeglass_store::identities::{Everybody, SessionKind, SessionRecord, TokenRecord, UserRecord};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::super::keyed::Keyed;
use super::SessionLimits;
use crate::access::{Caller, CallerKind, Selector};

/// How old what is known of a session's last use may be.
const SEEN_TO: i64 = 30_000;

/// Everybody, as they were at one moment.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) version: i64,
    pub(super) tokens: Keyed<Arc<Live<TokenRecord>>>,
    pub(super) sessions: Keyed<Arc<Session>>,
    pub(super) users: BTreeMap<String, Arc<UserRecord>>,
}

/// Something that calls are made with, and who makes them.
#[derive(Debug)]
pub struct Live<T> {
    /// What is kept of it.
    pub record: T,
    /// Who calls with it.
    pub caller: Caller,
}

/// Somebody who is signed in.
#[derive(Debug)]
pub struct Session {
    /// What is kept of it.
    pub record: SessionRecord,
    /// Who calls with it.
    pub caller: Caller,
    /// When it ends in any case: with the token that it was begun with, if that is sooner.
    pub ends_at: UnixMillis,
    seen: Arc<AtomicI64>,
}

/// What somebody may do.
type Rights = (Role, Selector);

impl State {
    /// The next version. Who may do what they could before stays the same caller, whose streams go on.
    pub(super) fn next(
        &self,
        everybody: Everybody,
        provider: Option<&str>,
        stop: &CancellationToken,
    ) -> Self {
        let Everybody {
            version,
            tokens,
            users,
            sessions,
        } = everybody;
        let users: BTreeMap<_, _> = users
            .into_iter()
            .map(|user| (user.name.clone(), Arc::new(user)))
            .collect();
        let mut next = Self {
            version,
            users,
            ..Self::default()
        };
        let mut by_name: HashMap<String, (TokenRecord, Rights)> = HashMap::new();
        for record in tokens {
            let Some(agents) = selector(&record.name, record.agents.as_ref()) else {
                continue;
            };
            let rights = (record.role, agents);
            by_name.insert(record.name.clone(), (record.clone(), rights.clone()));
            let before = self.tokens.get(&record.token).map(|live| &live.caller);
            let caller = carried_over(before, &record.name, rights, CallerKind::Token, stop);
            next.tokens
                .insert(record.token, Arc::new(Live { record, caller }));
        }
        for record in sessions {
            let of_user = |user: &Arc<UserRecord>| {
                let agents = selector(&user.name, user.agents.as_ref())?;
                Some(((user.role, agents), CallerKind::User, None, user.created_at))
            };
            let of_token = |(token, rights): &(TokenRecord, Rights)| {
                (
                    rights.clone(),
                    CallerKind::Token,
                    token.expires_at,
                    token.created_at,
                )
            };
            let found = match record.kind {
                SessionKind::Token => by_name.get(&record.name).map(of_token),
                SessionKind::User => next.users.get(&record.name).and_then(of_user),
                SessionKind::Oidc => record
                    .role
                    .filter(|_| record.provider.as_deref() == provider)
                    .and_then(|role| {
                        let agents = selector(&record.name, record.agents.as_ref())?;
                        Some(((role, agents), CallerKind::Oidc, None, record.created_at))
                    }),
            };
            // A session is not one of somebody who has come since by the same name.
            let Some((rights, kind, ends_with, _)) = found.filter(|found| found.3 <= record.created_at)
            else {
                continue;
            };
            let before = self.sessions.get(&record.token);
            let caller = carried_over(
                before.map(|session| &session.caller),
                &record.name,
                rights,
                kind,
                stop,
            );
            let seen = match before {
                Some(before) => before.seen.clone(),
                None => Arc::new(AtomicI64::new(record.last_seen_at.0)),
            };
            let ends_at = ends_with.map_or(record.expires_at, |end| end.min(record.expires_at));
            let caller = caller.signed_in(record.token);
            next.sessions.insert(
                record.token,
                Arc::new(Session {
                    record,
                    caller,
                    ends_at,
                    seen,
                }),
            );
        }
        next
    }

    /// Ends the callers that are not in the next version; says how many there were.
    pub(super) fn end_what_is_gone(&self, next: &Self) -> usize {
        let is_gone = |caller: &&Caller, now: Option<&Caller>| !now.is_some_and(|now| now.is_same(caller));
        let tokens = self.tokens.values().map(|live| {
            let now = next.tokens.get(&live.record.token).map(|live| &live.caller);
            (&live.caller, now)
        });
        let sessions = self.sessions.values().map(|session| {
            let now = next
                .sessions
                .get(&session.record.token)
                .map(|session| &session.caller);
            (&session.caller, now)
        });
        let gone = tokens
            .chain(sessions)
            .filter(|(caller, now)| is_gone(caller, *now));
        gone.map(|(caller, _)| caller.ended().cancel()).count()
    }

    /// Ends the streams of tokens and sessions that have run out.
    pub(super) fn end_what_ran_out(&self, now: UnixMillis, limits: SessionLimits) {
        for live in self.tokens.values().filter(|live| live.has_ended(now)) {
            live.caller.ended().cancel();
        }
        for session in self
            .sessions
            .values()
            .filter(|session| session.has_ended(now, limits))
        {
            session.caller.ended().cancel();
        }
    }
}

impl Live<TokenRecord> {
    /// Whether it is worth nothing any more.
    pub(super) fn has_ended(&self, now: UnixMillis) -> bool {
        self.record.expires_at.is_some_and(|end| end <= now)
    }
}

impl Session {
    /// Whether it is over.
    pub(super) fn has_ended(&self, now: UnixMillis, limits: SessionLimits) -> bool {
        self.ends_at <= now || self.seen_at().plus(limits.idle) <= now
    }

    /// When it was last used.
    pub fn seen_at(&self) -> UnixMillis {
        UnixMillis(self.seen.load(Ordering::Relaxed))
    }

    /// Notes a use; whether the one before was so long ago that it is to be written down.
    pub(super) fn see(&self, now: UnixMillis) -> bool {
        let is_news = self.seen_at().0 + SEEN_TO < now.0;
        if is_news {
            self.seen.store(now.0, Ordering::Relaxed);
        }
        is_news
    }
}

/// The caller as it was, if it may do the same; else a new one.
fn carried_over(
    before: Option<&Caller>,
    name: &str,
    (role, agents): Rights,
    kind: CallerKind,
    stop: &CancellationToken,
) -> Caller {
    let is_same = |caller: &&Caller| {
        *caller.name == *name
            && caller.role == role
            && caller.agents == agents
            && !caller.ended().is_cancelled()
    };
    match before.filter(is_same) {
        Some(caller) => caller.clone(),
        None => Caller::new(name, role, agents, kind, stop.child_token()),
    }
}

/// The agents of a record. What can't be read selects nothing, so its owner may do nothing.
fn selector(name: &str, entries: Option<&Vec<String>>) -> Option<Selector> {
    let Some(entries) = entries else {
        return Some(Selector::all());
    };
    Selector::of(entries)
        .inspect_err(|error| warn!(name, %error, "the stored selector can't be read; it selects nothing"))
        .ok()
}

#[cfg(test)]
mod tests;
