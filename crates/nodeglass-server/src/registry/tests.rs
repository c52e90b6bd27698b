use nodeglass_model::{Sample, SampleId, SystemClock, UnixMillis};
use nodeglass_proto::v1;
use nodeglass_runtime::tasks::TaskGroup;
use nodeglass_store::AgentRecord;
use serde_json::json;

use super::*;

/// A registry on a database of its own, with agents of these names.
async fn registry(names: &[&str]) -> (tempfile::TempDir, Arc<Registry>, Vec<Arc<LiveAgent>>) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/test.db", directory.path().display());
    let store = nodeglass_store::open(&url).await.unwrap();
    for name in names {
        store
            .enrol_agent(&name.parse().unwrap(), UnixMillis(5))
            .await
            .unwrap();
    }
    let registry = again(store).await;
    let agents = names
        .iter()
        .map(|name| registry.live.find(name).unwrap())
        .collect();
    (directory, registry, agents)
}

/// The registry of the next server on the same database.
async fn again(store: Arc<dyn Store>) -> Arc<Registry> {
    let live = Arc::new(Live::default());
    for record in store.agents().await.unwrap() {
        live.admit(&record);
    }
    let registry = Registry::of_test(live, store, Arc::new(SystemClock)).await;
    registry.load().await.unwrap();
    Arc::new(registry)
}

fn changes(json: &str) -> Changes {
    serde_json::from_str(json).unwrap()
}

fn shown(agent: &LiveAgent) -> String {
    serde_json::to_string(&*agent.labels()).unwrap()
}

fn hello(labels: &[(&str, &str)], epoch: u64) -> v1::Hello {
    v1::Hello {
        agent_version: "1.0.0".to_owned(),
        epoch,
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Default::default()
    }
}

#[tokio::test]
async fn labels_of_both_sides_hold_over_a_restart() {
    let (_directory, registry, agents) = registry(&["web-1"]).await;
    let (agent, tasks) = (&agents[0], TaskGroup::new());
    registry
        .greeted(agent, &hello(&[("env", "dev"), ("rack", "7")], 1), None, &tasks)
        .await;
    assert_eq!(shown(agent), r#"{"env":"dev","rack":"7"}"#);
    registry
        .label(
            agent,
            &changes(r#"{"env": "prod", "tier": "1", "rack": null}"#),
            false,
        )
        .await
        .unwrap();
    assert_eq!(shown(agent), r#"{"env":"prod","tier":"1"}"#);
    registry
        .label(agent, &changes(r#"{"tier": null}"#), false)
        .await
        .unwrap();
    assert_eq!(shown(agent), r#"{"env":"prod"}"#);
    registry
        .label(agent, &changes(r#"{"site": "eu"}"#), true)
        .await
        .unwrap();
    assert_eq!(
        shown(agent),
        r#"{"site":"eu"}"#,
        "all others are gone, the agent's own, too"
    );
    assert!(
        registry
            .label(agent, &changes(r#"{"a b": "x"}"#), false)
            .await
            .is_err()
    );
    // What the agent says is kept by a task of its own.
    while registry.store.registered(Some(agent.key)).await.unwrap()[0]
        .seen
        .epoch
        .is_none()
    {
        tokio::task::yield_now().await;
    }
    let next = again(registry.store.clone()).await;
    assert_eq!(shown(&next.live.find("web-1").unwrap()), r#"{"site":"eu"}"#);
}

#[tokio::test]
async fn what_is_asked_of_an_agent_comes_from_all_its_groups_and_itself() {
    let (_directory, registry, agents) = registry(&["web-1", "db-1"]).await;
    let said = |json: &str| serde_json::from_str::<GroupSaid>(json).unwrap();
    registry
        .save_group(
            "all",
            &said(r#"{"settings": {"top_processes": 5, "collection_interval_seconds": 30}}"#),
        )
        .await
        .unwrap();
    registry
        .save_group(
            "prod",
            &said(r#"{"agents": ["label:env=prod"], "settings": {"collection_interval_seconds": 10}}"#),
        )
        .await
        .unwrap();
    registry
        .save_group(
            "web",
            &said(r#"{"agents": ["web-*"], "place": 1, "settings": {"collection_interval_seconds": 20}}"#),
        )
        .await
        .unwrap();
    let interval = |registry: &Registry, agent: &LiveAgent| {
        let wanted = registry.wanted(agent);
        (
            wanted.settings.collection_interval_seconds,
            wanted.origins["collection_interval_seconds"].clone(),
        )
    };
    let (web, db) = (&agents[0], &agents[1]);
    assert_eq!(interval(&registry, web), (Some(20), "group:web".to_owned()));
    assert_eq!(interval(&registry, db), (Some(30), "group:all".to_owned()));
    for agent in &agents {
        registry
            .label(agent, &changes(r#"{"env": "prod"}"#), false)
            .await
            .unwrap();
    }
    assert_eq!(
        interval(&registry, web),
        (Some(20), "group:web".to_owned()),
        "a higher place decides"
    );
    assert_eq!(
        interval(&registry, db),
        (Some(10), "group:prod".to_owned()),
        "it joined by its label"
    );
    let own = json!({ "collection_interval_seconds": 7 });
    registry
        .set_settings(db, |before| before.patched(own.as_object().unwrap()))
        .await
        .unwrap();
    assert_eq!(interval(&registry, db), (Some(7), "agent".to_owned()));
    assert_eq!(registry.wanted(db).settings.top_processes, Some(5));

    let next = again(registry.store.clone()).await;
    let db = next.live.find("db-1").unwrap();
    assert_eq!(interval(&next, &db), (Some(7), "agent".to_owned()), "it is kept");
    assert_eq!(
        next.wanted(&db).revision(),
        registry.wanted(&agents[1]).revision()
    );
    assert!(next.remove_group("prod").await.unwrap() && !next.remove_group("prod").await.unwrap());
    assert_eq!(*db.profile().groups, [], "nobody is in a group that is gone");
}

#[tokio::test]
async fn a_renamed_agent_is_the_same_and_its_old_name_leads_to_it() {
    let (_directory, registry, agents) = registry(&["web-1", "db-1"]).await;
    let agent = &agents[0];
    agent.show(SampleId { epoch: 1, seq: 1 }, Sample::default());
    registry
        .label(agent, &changes(r#"{"env": "prod"}"#), false)
        .await
        .unwrap();
    assert!(registry.rename(agent, &"db-1".parse().unwrap()).await.is_err());
    assert!(!agent.gone().is_cancelled());
    let renamed = registry.rename(agent, &"www-1".parse().unwrap()).await.unwrap();
    assert!(agent.gone().is_cancelled() && !renamed.gone().is_cancelled());
    assert_eq!((renamed.key, renamed.latest().number()), (agent.key, 1));
    assert_eq!(shown(&renamed), r#"{"env":"prod"}"#);
    let live = &registry.live;
    assert!(live.find("web-1").is_none());
    assert!(Arc::ptr_eq(&live.find("www-1").unwrap(), &renamed));
    assert!(Arc::ptr_eq(&live.renamed("web-1").unwrap(), &renamed));
    // A record that was read before is of the same agent.
    let stale = AgentRecord {
        key: agent.key,
        id: "web-1".parse().unwrap(),
        system_info: None,
    };
    assert!(Arc::ptr_eq(&live.admit(&stale), &renamed));
    assert_eq!(live.all().len(), 2);
    let next = again(registry.store.clone()).await;
    assert_eq!(next.live.renamed("web-1").unwrap().id.as_str(), "www-1");
}

#[tokio::test]
async fn a_forgotten_agent_is_gone_and_nobody_brings_it_back() {
    let (_directory, registry, agents) = registry(&["web-1", "db-1"]).await;
    let agent = &agents[0];
    registry.forget(agent, false).await.unwrap();
    assert!(agent.gone().is_cancelled() && agent.is_erased());
    assert_eq!(registry.live.all().len(), 1);
    let stale = AgentRecord {
        key: agent.key,
        id: agent.id.clone(),
        system_info: None,
    };
    assert!(registry.live.admit(&stale).gone().is_cancelled());
    assert_eq!(registry.live.all().len(), 1);
    registry
        .erase_round(&mut std::collections::HashMap::new())
        .await
        .unwrap();
    assert_eq!(
        registry.store.being_forgotten().await.unwrap().len(),
        1,
        "it is looked for once more"
    );
}

#[tokio::test]
async fn a_report_tells_whether_what_is_asked_is_in_force() {
    let (_directory, registry, agents) = registry(&["web-1"]).await;
    let (agent, tasks) = (&agents[0], TaskGroup::new());
    assert!(!registry.is_applied(agent));
    let report = |revision| v1::SettingsReport {
        revision,
        in_force: Some(v1::AgentSettings {
            collection_interval_ms: Some(5_000),
            ..Default::default()
        }),
        problems: Vec::new(),
    };
    registry.take_report(agent, report(registry.wanted(agent).revision()), &tasks);
    assert!(registry.is_applied(agent));
    registry
        .set_settings(agent, |before| Ok(before.with_interval(9)))
        .await
        .unwrap();
    assert!(!registry.is_applied(agent), "that was about something else");
    agent.pretend_session();
    let waiting = {
        let (registry, agent) = (registry.clone(), agent.clone());
        tokio::spawn(async move { registry.applied(&agent, Duration::from_secs(30)).await })
    };
    registry.take_report(agent, report(registry.wanted(agent).revision()), &tasks);
    assert!(waiting.await.unwrap());
}
