//! Which key is which agent's, on either database.

use std::sync::Arc;
use std::time::Duration;

use nodeglass_model::{AgentId, UnixMillis};
use nodeglass_store::{
    Claim, ClaimRefusal, Enrolled, FleetToken, Invitation, KeyHash, Store, StoreError, TokenHash, open,
};

on_every_database!(
    adds_agents_once,
    a_string_is_good_for_one_key_alone,
    a_newer_key_takes_the_place_of_the_older,
    what_is_revoked_never_comes_back,
    a_fleet_token_makes_agents_up_to_its_limit,
    a_fleet_token_numbers_names_that_are_taken,
    the_server_s_name_stays,
    keys_are_given_to_many_at_once,
);

const HOUR: Duration = Duration::from_hours(1);
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fn id(name: &str) -> AgentId {
    name.parse().unwrap()
}

fn key(number: u8) -> KeyHash {
    KeyHash([number; 32])
}

fn token(number: u8) -> TokenHash {
    TokenHash([number; 32])
}

fn invitation(name: &str, number: u8, replace: bool) -> Invitation {
    Invitation {
        agent: id(name),
        token: token(number),
        replace,
        labels: None,
        at: NOW,
        until: NOW.plus(HOUR),
    }
}

fn claim(of: u8, by: u8) -> Claim {
    Claim {
        token: token(of),
        key: key(by),
        name: None,
        may_number: false,
        at: NOW,
    }
}

fn named(of: u8, by: u8, name: &str) -> Claim {
    Claim {
        name: Some(id(name)),
        ..claim(of, by)
    }
}

fn fleet(name: &str) -> FleetToken {
    FleetToken {
        name: name.to_owned(),
        created_at: NOW,
        until: None,
        max_uses: None,
        uses: 0,
        pattern: "*".to_owned(),
        labels: r#"{"zone":"a"}"#.to_owned(),
        revoked_at: None,
    }
}

async fn refusal(store: &Arc<dyn Store>, claim: &Claim) -> ClaimRefusal {
    store.claim(claim).await.unwrap().unwrap_err()
}

async fn granted(store: &Arc<dyn Store>, claim: &Claim) -> Enrolled {
    store.claim(claim).await.unwrap().unwrap()
}

async fn adds_agents_once(url: &str) {
    let store = open(url).await.unwrap();
    let agent = store.enrol_agent(&id("web-01"), UnixMillis(7)).await.unwrap();
    assert!(matches!(
        store.enrol_agent(&id("web-01"), UnixMillis(7)).await,
        Err(StoreError::AgentExists(exists)) if exists == id("web-01")
    ));
    assert!(matches!(
        store.invite(&invitation("web-01", 1, false)).await,
        Err(StoreError::AgentExists(_))
    ));
    assert_eq!(refusal(&store, &claim(1, 1)).await, ClaimRefusal::Unknown);
    assert_eq!(store.agent_by_key(key(1)).await.unwrap(), None);
    store
        .save_system_info(agent, r#"{"timestamp": 5}"#)
        .await
        .unwrap();
    let known = store.agents().await.unwrap();
    assert_eq!(
        (known.len(), known[0].key, &known[0].id),
        (1, agent, &id("web-01"))
    );
    assert!(known[0].system_info.as_deref().unwrap().contains("timestamp"));
    store.close().await;
}

async fn a_string_is_good_for_one_key_alone(url: &str) {
    let store = open(url).await.unwrap();
    let agent = store.invite(&invitation("host", 1, false)).await.unwrap();
    assert_eq!(refusal(&store, &claim(9, 1)).await, ClaimRefusal::Unknown);
    let late = Claim {
        at: NOW.plus(HOUR).plus(Duration::from_millis(1)),
        ..claim(1, 1)
    };
    assert_eq!(
        refusal(&store, &late).await,
        ClaimRefusal::Expired(NOW.plus(HOUR))
    );

    let expected = Enrolled {
        agent,
        id: id("host"),
        labels: None,
    };
    assert_eq!(granted(&store, &claim(1, 1)).await, expected);
    assert_eq!(store.agent_by_key(key(1)).await.unwrap().unwrap().key, agent);
    assert_eq!(store.agent_keys().await.unwrap(), [(agent, key(1))]);
    assert_eq!(
        refusal(&store, &claim(1, 2)).await,
        ClaimRefusal::Spent(id("host"))
    );
    assert_eq!(store.agent_by_key(key(2)).await.unwrap(), None);
    // The answer was lost; it is asked for again, if need be much later.
    assert_eq!(granted(&store, &claim(1, 1)).await, expected);
    assert_eq!(granted(&store, &late).await, expected);
    assert_eq!(store.revocations(0).await.unwrap(), []);

    store.invite(&invitation("other", 2, false)).await.unwrap();
    assert_eq!(
        refusal(&store, &claim(2, 1)).await,
        ClaimRefusal::KeyTaken(id("host"))
    );
    store.close().await;
}

async fn a_newer_key_takes_the_place_of_the_older(url: &str) {
    let store = open(url).await.unwrap();
    let agent = store.invite(&invitation("host", 1, false)).await.unwrap();
    assert_eq!(store.invite(&invitation("host", 2, true)).await.unwrap(), agent);
    assert_eq!(refusal(&store, &claim(1, 1)).await, ClaimRefusal::Unknown);
    granted(&store, &claim(2, 1)).await;

    store.invite(&invitation("host", 3, true)).await.unwrap();
    assert_eq!(
        store.agent_by_key(key(1)).await.unwrap().unwrap().key,
        agent,
        "it is good until the string is used"
    );
    granted(&store, &claim(3, 2)).await;
    assert_eq!(store.agent_by_key(key(1)).await.unwrap(), None);
    assert_eq!(store.agent_by_key(key(2)).await.unwrap().unwrap().key, agent);
    let revoked = store.revocations(0).await.unwrap();
    assert_eq!(
        (revoked.len(), revoked[0].key, revoked[0].agent),
        (1, key(1), agent)
    );
    assert!(store.is_revoked(key(1)).await.unwrap());
    store.invite(&invitation("host", 4, true)).await.unwrap();
    assert_eq!(refusal(&store, &claim(4, 1)).await, ClaimRefusal::KeyRevoked);
    // The same key under a newer string stays as it is.
    granted(&store, &claim(4, 2)).await;
    assert_eq!(store.revocations(0).await.unwrap().len(), 1);
    store.close().await;
}

async fn what_is_revoked_never_comes_back(url: &str) {
    let store = open(url).await.unwrap();
    let agent = store.invite(&invitation("host", 1, false)).await.unwrap();
    granted(&store, &claim(1, 1)).await;
    let unused = store.invite(&invitation("unused", 2, false)).await.unwrap();
    assert!(store.revoke_agent(agent, NOW).await.unwrap());
    assert!(
        !store.revoke_agent(agent, NOW).await.unwrap(),
        "there is nothing left to take"
    );
    assert!(store.revoke_agent(unused, NOW).await.unwrap(), "its string");
    assert_eq!(refusal(&store, &claim(2, 2)).await, ClaimRefusal::Unknown);

    assert_eq!(store.agent_by_key(key(1)).await.unwrap(), None);
    assert_eq!(refusal(&store, &claim(1, 1)).await, ClaimRefusal::Unknown);
    assert_eq!(
        store.agents().await.unwrap().len(),
        2,
        "what is stored of it stays"
    );
    let last = store.last_revocation().await.unwrap();
    let revoked = store.revocations(last - 1).await.unwrap();
    assert_eq!(
        (revoked.len(), revoked[0].number, revoked[0].key),
        (1, last, key(1))
    );
    assert_eq!(store.revocations(last).await.unwrap(), []);

    store.invite(&invitation("host", 3, true)).await.unwrap();
    assert_eq!(refusal(&store, &claim(3, 1)).await, ClaimRefusal::KeyRevoked);
    assert_eq!(granted(&store, &claim(3, 4)).await.agent, agent);
    store.close().await;
}

async fn a_fleet_token_makes_agents_up_to_its_limit(url: &str) {
    let store = open(url).await.unwrap();
    let limited = FleetToken {
        max_uses: Some(2),
        until: Some(NOW.plus(HOUR)),
        pattern: "web-*".to_owned(),
        ..fleet("web")
    };
    assert!(store.add_fleet_token(&limited, token(1)).await.unwrap());
    assert!(!store.add_fleet_token(&fleet("web"), token(2)).await.unwrap());
    assert_eq!(
        store.fleet_tokens().await.unwrap(),
        std::slice::from_ref(&limited)
    );
    assert_eq!(store.fleet_token(token(1)).await.unwrap(), Some(limited));
    assert_eq!(store.fleet_token(token(2)).await.unwrap(), None);

    assert_eq!(refusal(&store, &claim(1, 1)).await, ClaimRefusal::NoName);
    let first = granted(&store, &named(1, 1, "web-1")).await;
    assert_eq!(
        (first.id, first.labels.as_deref()),
        (id("web-1"), Some(r#"{"zone":"a"}"#))
    );
    let again = granted(&store, &named(1, 1, "web-1")).await;
    assert_eq!(
        (again.agent, again.labels),
        (first.agent, None),
        "a lost answer takes no second use"
    );
    assert_eq!(
        refusal(&store, &named(1, 2, "web-1")).await,
        ClaimRefusal::NameTaken(id("web-1"))
    );
    let late = Claim {
        at: NOW.plus(HOUR * 2),
        ..named(1, 2, "web-2")
    };
    assert_eq!(
        refusal(&store, &late).await,
        ClaimRefusal::Expired(NOW.plus(HOUR))
    );
    granted(&store, &named(1, 2, "web-2")).await;
    assert_eq!(
        refusal(&store, &named(1, 3, "web-3")).await,
        ClaimRefusal::Exhausted("web".to_owned())
    );
    assert_eq!(
        store.agents().await.unwrap().len(),
        2,
        "who is refused leaves nothing behind"
    );
    assert_eq!(store.fleet_tokens().await.unwrap()[0].uses, 2);

    assert!(store.add_fleet_token(&fleet("other"), token(3)).await.unwrap());
    assert!(store.revoke_fleet_token("other", NOW).await.unwrap());
    assert!(!store.revoke_fleet_token("other", NOW).await.unwrap());
    assert!(!store.revoke_fleet_token("nothing", NOW).await.unwrap());
    assert_eq!(
        refusal(&store, &named(3, 3, "web-3")).await,
        ClaimRefusal::Withdrawn("other".to_owned())
    );
    // An agent that a fleet token made is revoked like any other.
    assert!(store.revoke_agent(first.agent, NOW).await.unwrap());
    store.add_fleet_token(&fleet("third"), token(4)).await.unwrap();
    assert_eq!(
        refusal(&store, &named(4, 1, "web-9")).await,
        ClaimRefusal::KeyRevoked
    );
    store.close().await;
}

async fn a_fleet_token_numbers_names_that_are_taken(url: &str) {
    let store = open(url).await.unwrap();
    store.add_fleet_token(&fleet("all"), token(1)).await.unwrap();
    let proposed = |by, name: &str| Claim {
        may_number: true,
        ..named(1, by, name)
    };
    let mut names = Vec::new();
    for by in 1..=4 {
        names.push(granted(&store, &proposed(by, "ip_10")).await.id.to_string());
    }
    // Names that are only like it are no matter, whatever a database takes for a wildcard.
    granted(&store, &proposed(5, "ipx10-5")).await;
    names.push(granted(&store, &proposed(6, "ip_10")).await.id.to_string());
    assert_eq!(names, ["ip_10", "ip_10-2", "ip_10-3", "ip_10-4", "ip_10-5"]);

    // Many at once, each with a name of its own.
    let claims = (10..30).map(|by| {
        let (store, claim) = (store.clone(), proposed(by, "at-once"));
        tokio::spawn(async move {
            // Two that take the same number at the same moment: one of them tries again, as agents do.
            for _ in 0..50 {
                if let Ok(Ok(enrolled)) = store.claim(&claim).await {
                    return enrolled.id.to_string();
                }
            }
            panic!("no name");
        })
    });
    let claims: Vec<_> = claims.collect();
    let mut given = std::collections::BTreeSet::new();
    for claim in claims {
        given.insert(claim.await.unwrap());
    }
    assert_eq!(given.len(), 20);
    assert_eq!(store.fleet_tokens().await.unwrap()[0].uses, 26);
    store.close().await;
}

async fn the_server_s_name_stays(url: &str) {
    let store = open(url).await.unwrap();
    assert_eq!(store.server_id([1; 16]).await.unwrap(), [1; 16]);
    assert_eq!(store.server_id([2; 16]).await.unwrap(), [1; 16]);
    store.close().await;
    let store = open(url).await.unwrap();
    assert_eq!(store.server_id([3; 16]).await.unwrap(), [1; 16]);
    assert_eq!(store.last_revocation().await.unwrap(), 0);
    store.close().await;
}

async fn keys_are_given_to_many_at_once(url: &str) {
    let store = open(url).await.unwrap();
    let keys: Vec<_> = (1..=100)
        .map(|number| (id(&format!("host-{number}")), key(number)))
        .collect();
    let agents = store.enrol_keys(&keys, NOW).await.unwrap();
    assert_eq!(agents.len(), 100);
    assert_eq!(
        store.agent_by_key(key(42)).await.unwrap().unwrap().id,
        id("host-42")
    );
    let other = store.enrol_keys(&[(id("host-42"), key(200))], NOW).await.unwrap();
    assert_eq!(other, [agents[41]]);
    assert!(store.is_revoked(key(42)).await.unwrap());
    assert_eq!(store.agent_keys().await.unwrap().len(), 100);
    store.close().await;
}
