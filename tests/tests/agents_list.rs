//! The list of agents: what it leaves out, in which order it is, and how it is read page by page.

use nodeglass_proto::v1;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::server::Server;
use nodeglass_tests::{eventually, on_every_database};
use serde_json::Value;

on_every_database!(
    agents_are_found_by_what_is_known_of_them,
    agents_are_listed_in_any_order_page_by_page
);

/// A fleet of four: `web-1` and `web-2` of version 1.2, `web-2` gone again, `db-1` of version 2.0, and `new-1`, which never came. Their
/// latest samples are the older the later they stand here.
async fn fleet(server: &Server) -> Vec<FakeAgent> {
    let mut agents = Vec::new();
    for (age, (name, version)) in [("web-1", "1.2.0"), ("web-2", "1.2.7"), ("db-1", "2.0.0")]
        .into_iter()
        .enumerate()
    {
        let said = v1::Hello {
            agent_version: version.to_owned(),
            labels: [("env".to_owned(), name[..2].to_owned())].into(),
            ..Default::default()
        };
        let identity = server.enrolment(name).await;
        let mut agent = FakeAgent::open_saying(&identity, 1, said).await.unwrap();
        let at = now().minus(std::time::Duration::from_mins(age as u64));
        agent.send([(1, sample(at, 1.0))]).await;
        agent.settled(1).await.unwrap();
        agents.push(agent);
    }
    agents.remove(1);
    server.enrolment("new-1").await;
    eventually("web-2 to be gone", async || {
        let found = names(server, "status=disconnected&q=web-2").await;
        (found == ["web-2"]).then_some(())
    })
    .await;
    agents
}

fn listed(page: &Value) -> Vec<String> {
    let agents = page["agents"].as_array().expect("agents");
    let name = |agent: &Value| agent["agent_id"].as_str().expect("a name").to_owned();
    agents.iter().map(name).collect()
}

async fn names(server: &Server, query: &str) -> Vec<String> {
    listed(&server.ok(&format!("/api/v1/agents?{query}")).await)
}

async fn agents_are_found_by_what_is_known_of_them(database: Database) {
    let server = Server::start(&database).await;
    let _agents = fleet(&server).await;
    for (query, found) in [
        ("", &["db-1", "new-1", "web-1", "web-2"][..]),
        ("status=connected", &["db-1", "web-1"]),
        ("status=disconnected", &["new-1", "web-2"]),
        ("q=eb", &["web-1", "web-2"]),
        ("q=*-1", &["db-1", "new-1", "web-1"]),
        ("version=1.2.*", &["web-1", "web-2"]),
        ("version=2.0.0", &["db-1"]),
        ("agents=db-1,web-2", &["db-1", "web-2"]),
        ("label=env=we", &["web-1", "web-2"]),
        // All that is asked for has to hold.
        ("status=connected&q=web&version=1.*", &["web-1"]),
        ("status=connected&version=3.*", &[]),
    ] {
        assert_eq!(names(&server, query).await, found, "{query}");
    }
    let page = server.ok("/api/v1/agents?q=new-1").await;
    let never = &page["agents"][0];
    assert_eq!(never["status"], "disconnected");
    assert!(
        never["version"].is_null() && never["last_metrics_update"].is_null(),
        "{never}"
    );
    for (query, parameter) in [
        ("status=asleep", "status"),
        ("sort=size", "sort"),
        ("limit=0", "limit"),
        ("label==prod", "label"),
    ] {
        let (status, problem) = server.get(&format!("/api/v1/agents?{query}")).await;
        assert_eq!(status.as_u16(), 400, "{query}: {problem}");
        assert!(
            problem["detail"].as_str().unwrap().contains(parameter),
            "{problem}"
        );
    }
}

async fn agents_are_listed_in_any_order_page_by_page(database: Database) {
    let server = Server::start(&database).await;
    let _agents = fleet(&server).await;
    for (sort, order) in [
        ("agent_id", ["db-1", "new-1", "web-1", "web-2"]),
        ("-agent_id", ["web-2", "web-1", "new-1", "db-1"]),
        // Those of which it is not known come last, either way round.
        ("last_metrics_update", ["db-1", "web-2", "web-1", "new-1"]),
        ("-last_metrics_update", ["web-1", "web-2", "db-1", "new-1"]),
        ("version", ["web-1", "web-2", "db-1", "new-1"]),
        ("-version", ["db-1", "web-2", "web-1", "new-1"]),
        ("enrolled_at", ["web-1", "web-2", "db-1", "new-1"]),
        ("status", ["db-1", "web-1", "new-1", "web-2"]),
        ("-status", ["new-1", "web-2", "db-1", "web-1"]),
        ("label:env", ["db-1", "web-1", "web-2", "new-1"]),
    ] {
        assert_eq!(names(&server, &format!("sort={sort}")).await, order, "{sort}");
        let mut paged = Vec::new();
        let mut query = format!("sort={sort}&limit=1");
        loop {
            let page = server.ok(&format!("/api/v1/agents?{query}")).await;
            assert_eq!(page["total"], 4, "{page}");
            paged.extend(listed(&page));
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            query = format!("sort={sort}&limit=1&cursor={cursor}");
        }
        assert_eq!(paged, order, "{sort}, one by one");
    }
    // A cursor belongs to the order in which it was given.
    let page = server.ok("/api/v1/agents?sort=version&limit=1").await;
    let cursor = page["next_cursor"].as_str().unwrap();
    let (status, problem) = server
        .get(&format!("/api/v1/agents?sort=status&cursor={cursor}"))
        .await;
    assert_eq!(status.as_u16(), 400, "{problem}");
}
