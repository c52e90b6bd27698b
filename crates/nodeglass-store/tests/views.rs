//! The views that others read by SQL, on both databases; the role that can only read; and every example of docs/sql.md.

use nodeglass_model::UnixMillis;
use nodeglass_store::open;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row, SqliteConnection};
use xtask::postgres::{Binaries, Cluster, Options};

/// An hour of long ago.
const HOUR_MS: i64 = 1_700_002_800_000;
const HOUR: &str = "2023-11-14T23:00:00.000Z";
/// Within the hour after it.
const LATEST_MS: i64 = HOUR_MS + 3_661_500;
const LATEST: &str = "2023-11-15T00:01:01.500Z";

/// What a test fills in: series by number, with the metric's number and the device. 72 is in the second block.
const SERIES: [(i32, i32, &str); 9] = [
    (0, 1, ""),
    (1, 46, ""),
    (2, 10, ""),
    (3, 140, "0"),
    (4, 140, "1"),
    (5, 61, "/"),
    (6, 61, "/home"),
    (7, 62, "/"),
    (72, 62, "/home"),
];
const METRICS: [(i32, &str); 6] = [
    (1, "cpu.usage_percent"),
    (46, "memory.usage_percent"),
    (10, "cpu.temperature_celsius"),
    (140, "gpu.utilization_percent"),
    (61, "disk.used_bytes"),
    (62, "disk.available_bytes"),
];
/// Of the hour, by the place in the block; the third series, the temperature, has no samples in it.
const COUNT: &str = "3600,3600,0,60,60,12,12,12";
const MEAN: &str = "12.5,40,0,10,30,100,200,300";
const LATEST_SERIES: &str = "0,2,5,6,7,72";
const LATEST_VALUES: &str = "99.5,61,110,210,290,390";

/// The statements that fill it in, given how an array is written and what makes a text bytes.
fn statements(key: i32, array: impl Fn(&str, &str) -> String) -> Vec<String> {
    let mut statements = Vec::new();
    for (id, path) in METRICS {
        statements.push(format!(
            "insert into metric (id, path, unit, kind, description) values ({id}, '{path}', '%', 'level', '') \
             on conflict (id) do nothing"
        ));
    }
    let rollup = |block: i32, count: &str, mean: &str| {
        let (count, mean) = (array(count, "integer"), array(mean, "float8"));
        let bound = |text: &str| text.replace("float8", "real");
        format!(
            "insert into rollup (agent_key, block, hour, count, mean, min, max) \
             values ({key}, {block}, {HOUR_MS}, {count}, {mean}, {}, {})",
            bound(&mean),
            bound(&mean)
        )
    };
    statements.push(rollup(0, COUNT, MEAN));
    statements.push(rollup(1, "12", "400"));
    statements.push(format!(
        "insert into latest (agent_key, ts, epoch, seq, series, value) values ({key}, {LATEST_MS}, 1, 1, {}, {})",
        array(LATEST_SERIES, "integer"),
        array(LATEST_VALUES, "float8")
    ));
    statements
}

/// The names of the series, a row each as SQLite has them.
fn names_in_rows(key: i32) -> Vec<String> {
    let row = |(id, metric, device)| {
        format!(
            "insert into series (agent_key, id, metric, device) values ({key}, {id}, {metric}, '{device}')"
        )
    };
    SERIES.map(row).to_vec()
}

/// The same in blocks, as PostgreSQL has them.
fn names_in_blocks(key: i32) -> Vec<String> {
    let block = |number: i32| {
        let of_block = || SERIES.iter().filter(move |(id, _, _)| id / 72 == number);
        let metrics: Vec<_> = of_block().map(|(_, metric, _)| metric.to_string()).collect();
        let devices: Vec<_> = of_block().map(|(_, _, device)| format!("'{device}'")).collect();
        format!(
            "insert into series (agent_key, block, metric, device) values ({key}, {number}, array[{}]::smallint[], array[{}])",
            metrics.join(", "),
            devices.join(", ")
        )
    };
    vec![block(0), block(1)]
}

async fn enrol(url: &str) -> i32 {
    let store = open(url).await.unwrap();
    let id = "web-01".parse().unwrap();
    let key = store.enrol_agent(&id, UnixMillis(1)).await.unwrap();
    store.close().await;
    key.0
}

/// What the views must show, as texts: the view's columns in the order of the time, nulls as `-`.
const EXPECTED: [(&str, &str, &[&str]); 6] = [
    ("metrics_cpu", "value || ''", &["12.5", "99.5"]),
    ("metrics_ram", "value || ''", &["40"]),
    ("metrics_gpu", "value || ''", &["20"]),
    ("metrics_temperature", "value || ''", &["61"]),
    (
        "metrics_disk",
        "used || '/' || free || '/' || percent",
        &["300/700/30", "320/680/32"],
    ),
    (
        "metrics_hourly",
        "metric || ' ' || coalesce(device, '-') || ' ' || count || ' ' || mean || ' ' || min || ' ' || max",
        &[
            "cpu.usage_percent - 3600 12.5 12.5 12.5",
            "disk.available_bytes / 12 300 300 300",
            "disk.available_bytes /home 12 400 400 400",
            "disk.used_bytes / 12 100 100 100",
            "disk.used_bytes /home 12 200 200 200",
            "gpu.utilization_percent 0 60 10 10 10",
            "gpu.utilization_percent 1 60 30 30 30",
            "memory.usage_percent - 3600 40 40 40",
        ],
    ),
];

/// The query whose answer is compared: one text a row.
fn question(view: &str, columns: &str) -> String {
    let order = if view == "metrics_hourly" {
        "metric, device"
    } else {
        "timestamp"
    };
    format!("select {columns} as said from {view} where agent = 'web-01' order by {order}")
}

#[tokio::test]
async fn the_views_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/store.db", directory.path().display());
    let key = enrol(&url).await;
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    let figures = statements(key, |items, _| format!("'[{items}]'"));
    for statement in figures.into_iter().chain(names_in_rows(key)) {
        connection.execute(AssertSqlSafe(statement)).await.unwrap();
    }
    for (view, columns, expected) in EXPECTED {
        let said: Vec<String> = sqlx::query_scalar(AssertSqlSafe(question(view, columns)))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let said: Vec<String> = said.iter().map(|said| as_postgresql_writes(said)).collect();
        assert_eq!(said, expected, "{view}");
    }
    let times: Vec<String> = sqlx::query_scalar("select timestamp from metrics_cpu order by 1")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    assert_eq!(times, [HOUR, LATEST]);
    for example in examples("sqlite") {
        connection
            .execute(AssertSqlSafe(example.clone()))
            .await
            .expect(&example);
    }
}

/// A row with its numbers as PostgreSQL writes them: 40 for 40.0.
fn as_postgresql_writes(said: &str) -> String {
    let said = format!("{said} ").replace(".0 ", " ").replace(".0/", "/");
    said.trim_end().to_owned()
}

struct Site {
    cluster: Cluster,
    url: String,
}

fn postgres() -> Site {
    let cluster = Cluster::start(&Binaries::find().unwrap(), Options { fsync: false }).unwrap();
    let url = cluster.url("postgres");
    Site { cluster, url }
}

async fn fill(url: &str) {
    let key = enrol(url).await;
    let mut connection = PgConnection::connect(url).await.unwrap();
    let figures = statements(key, |items, kind| format!("'{{{items}}}'::{kind}[]"));
    for statement in figures.into_iter().chain(names_in_blocks(key)) {
        connection.execute(AssertSqlSafe(statement)).await.unwrap();
    }
}

#[tokio::test]
async fn the_views_on_postgresql_and_the_role_that_only_reads_them() {
    let Site {
        cluster: _cluster,
        url,
    } = postgres();
    fill(&url).await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    connection.execute("set role nodeglass_reader").await.unwrap();
    for (view, columns, expected) in EXPECTED {
        let rows = connection
            .fetch_all(AssertSqlSafe(question(view, columns)))
            .await
            .unwrap();
        let said: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert_eq!(said, expected, "{view}");
    }
    let format = "select to_char(timestamp at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') from metrics_cpu order by 1";
    let rows = connection.fetch_all(format).await.unwrap();
    let times: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(times, [HOUR, LATEST]);

    for kind in ["", "grafana"] {
        let examples = examples(kind);
        assert!(examples.len() >= 3, "{kind:?}: {examples:?}");
        for example in examples {
            connection
                .execute(AssertSqlSafe(example.clone()))
                .await
                .expect(&example);
        }
    }
    for forbidden in [
        "select key_hash from agent_identity",
        "select token_hash from api_token",
        "select * from staging",
        "select * from rollup",
        "insert into agent (id, enrolled_at) values ('x', 0)",
        "delete from metrics_latest",
        "update metrics_cpu set value = 0",
        "drop view metrics_cpu",
        "create table mine (a integer)",
        "create role other",
    ] {
        let error = connection.execute(forbidden).await.expect_err(forbidden);
        let code = error
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code);
        // 42501: not allowed; 55000: a view of several tables can't be changed at all.
        assert!(
            matches!(code.as_deref(), Some("42501" | "55000")),
            "{forbidden}: {error}"
        );
    }
}

#[tokio::test]
async fn a_server_that_may_not_make_roles_does_without() {
    let Site { cluster, url } = postgres();
    let mut administrator = PgConnection::connect(&url).await.unwrap();
    administrator.execute("create role plain login").await.unwrap();
    administrator
        .execute("create database theirs owner plain")
        .await
        .unwrap();
    let theirs = cluster.url("theirs").replace("postgres@", "plain@");
    fill(&theirs).await;
    let exists = "select exists (select from pg_roles where rolname = 'nodeglass_reader')";
    assert!(!administrator.fetch_one(exists).await.unwrap().get::<bool, _>(0));

    // By hand, as the document says.
    let mut beside = PgConnection::connect(&cluster.url("theirs")).await.unwrap();
    for example in examples("admin").iter().rev() {
        beside
            .execute(AssertSqlSafe(example.clone()))
            .await
            .expect(example);
    }
    let grafana = cluster.url("theirs").replace("postgres@", "grafana@");
    let mut grafana = PgConnection::connect(&grafana).await.unwrap();
    let rows = grafana.fetch_all("select * from metrics_cpu").await.unwrap();
    assert_eq!(rows.len(), 2);
    assert!(grafana.execute("select * from agent").await.is_err());
}

/// The examples of docs/sql.md of one kind, with what Grafana fills in filled in.
fn examples(kind: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/sql.md");
    let document = std::fs::read_to_string(path).expect("docs/sql.md");
    let fence = format!("```sql {kind}").trim_end().to_owned();
    let mut examples: Vec<String> = Vec::new();
    let mut within = false;
    for line in document.lines() {
        match line {
            line if !within && line == fence => {
                within = true;
                examples.push(String::new());
            }
            "```" => within = false,
            line if within => {
                let example = examples.last_mut().expect("one was begun");
                example.push_str(line);
                example.push('\n');
            }
            _ => {}
        }
    }
    assert!(!examples.is_empty(), "no example of the kind {kind:?}");
    let filled = |example: String| {
        example
            .replace(
                "$__timeFilter(timestamp)",
                "timestamp between now() - interval '1 year' and now()",
            )
            .replace(
                "$__timeGroupAlias(timestamp, $__interval)",
                "floor(extract(epoch from timestamp) / 60) * 60 as \"time\"",
            )
            .replace("$agent", "'web-01', 'web-02'")
    };
    examples.into_iter().map(filled).collect()
}
