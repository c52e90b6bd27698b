//! What programs can do over gRPC: ask, follow, and have a running agent change what it does.

use nodeglass_proto::v1;
use nodeglass_proto::v1::metrics_request::RequestType;
use nodeglass_proto::v1::metrics_response::ResponseType;
use nodeglass_proto::v1::metrics_service_client::MetricsServiceClient;
use nodeglass_proto::v1::metrics_stream_request::Action;
use nodeglass_proto::v1::task_request::Task;
use nodeglass_proto::v1::task_response::{Response, Status as TaskStatus};
use nodeglass_tests::agent::Agent;
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::now;
use nodeglass_tests::process::{command, run};
use nodeglass_tests::server::{Server, TOKEN};
use nodeglass_tests::{eventually, on_every_database};
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

on_every_database!(
    programs_ask_and_follow,
    a_running_agent_is_stopped_started_and_slowed,
    an_agent_answers_requests
);

async fn client(server: &Server) -> MetricsServiceClient<Channel> {
    let channel = Endpoint::from_shared(server.url.clone())
        .unwrap()
        .connect()
        .await
        .unwrap();
    MetricsServiceClient::new(channel).accept_compressed(CompressionEncoding::Zstd)
}

fn with_token<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    request
}

fn task(request: RequestType) -> v1::TaskRequest {
    let request = v1::MetricsRequest {
        request_type: Some(request),
    };
    v1::TaskRequest {
        agent_id: "host".into(),
        task_id: "t-1".into(),
        task: Some(Task::MetricsRequest(request)),
    }
}

async fn execute(client: &mut MetricsServiceClient<Channel>, request: RequestType) -> v1::TaskResponse {
    client
        .execute_task(with_token(task(request)))
        .await
        .unwrap()
        .into_inner()
}

fn change(action: Action, interval_seconds: u32, metrics: &[&str]) -> RequestType {
    let metrics = metrics.iter().map(|metric| (*metric).to_owned()).collect();
    RequestType::StreamRequest(v1::MetricsStreamRequest {
        action: action.into(),
        interval_seconds,
        metrics,
    })
}

/// Waits until the server has a sample of the agent.
async fn connected(client: &mut MetricsServiceClient<Channel>) -> v1::MetricsDataResponse {
    eventually("a sample", async || {
        let request = v1::GetMetricsRequest {
            agent_id: "host".into(),
        };
        client
            .get_metrics(with_token(request))
            .await
            .ok()
            .map(tonic::Response::into_inner)
    })
    .await
}

async fn programs_ask_and_follow(database: Database) {
    let server = Server::start(&database).await;
    let _agent = Agent::start(&server, "host").await;
    let mut client = client(&server).await;
    let refused = client.list_agents(v1::ListAgentsRequest {}).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
    let first = connected(&mut client).await;

    let agents = client
        .list_agents(with_token(v1::ListAgentsRequest {}))
        .await
        .unwrap()
        .into_inner()
        .agents;
    assert_eq!(
        (agents.len(), agents[0].agent_id.as_str(), agents[0].connected),
        (1, "host", true)
    );

    let request = v1::StreamMetricsRequest {
        agent_id: "host".into(),
        interval_seconds: 1,
        metrics: Vec::new(),
    };
    let mut stream = client
        .stream_metrics(with_token(request))
        .await
        .unwrap()
        .into_inner();
    let mut last = 0;
    for _ in 0..3 {
        let sample = stream.message().await.unwrap().unwrap();
        assert!(sample.timestamp > last);
        last = sample.timestamp;
    }

    let query = v1::MetricsQueryRequest {
        metrics: vec!["memory.total_bytes".into()],
        start_timestamp: first.timestamp / 1000,
        end_timestamp: first.timestamp / 1000 + 3600,
        max_points: 0,
        interval_seconds: Some(3600),
        aggregation: String::new(),
    };
    let history = eventually("history", async || {
        let request = v1::QueryHistoryRequest {
            agent_id: "host".into(),
            query: Some(query.clone()),
        };
        let history = client
            .query_history(with_token(request))
            .await
            .unwrap()
            .into_inner();
        (history.total_points > 0).then_some(history)
    })
    .await;
    let total = first.memory.unwrap().total_bytes.unwrap();
    assert_eq!(history.data_points[0].values["memory.total_bytes"], total as f64);

    let unknown = v1::QueryHistoryRequest {
        agent_id: "host".into(),
        query: Some(v1::MetricsQueryRequest {
            metrics: vec!["cpu".into()],
            ..query
        }),
    };
    let refused = client.query_history(with_token(unknown)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("nearest"), "{refused}");
    let info = v1::GetSystemInfoRequest {
        agent_id: "host".into(),
        include: None,
    };
    let info = client
        .get_system_info(with_token(info))
        .await
        .unwrap()
        .into_inner();
    assert!(info.software.unwrap().packages.is_empty());
    let nobody = v1::GetMetricsRequest {
        agent_id: "nobody".into(),
    };
    assert_eq!(
        client.get_metrics(with_token(nobody)).await.unwrap_err().code(),
        Code::NotFound
    );
}

async fn a_running_agent_is_stopped_started_and_slowed(database: Database) {
    let server = Server::start(&database).await;
    let _agent = Agent::start(&server, "host").await;
    let mut client = client(&server).await;
    connected(&mut client).await;

    let stopped = execute(&mut client, change(Action::Stop, 0, &[])).await;
    assert_eq!(
        (stopped.status(), stopped.task_id.as_str()),
        (TaskStatus::Succeeded, "t-1")
    );
    // A sample may have been on its way when the agent took the word; none comes after that one.
    let request = v1::StreamMetricsRequest {
        agent_id: "host".into(),
        interval_seconds: 0,
        metrics: Vec::new(),
    };
    let mut stream = client
        .stream_metrics(with_token(request))
        .await
        .unwrap()
        .into_inner();
    let quiet = std::time::Duration::from_secs(4);
    let mut seen = 0;
    while let Ok(sample) = tokio::time::timeout(quiet, stream.message()).await {
        sample.unwrap().unwrap();
        seen += 1;
        assert!(seen <= 2, "samples come though the agent was stopped");
    }
    assert_eq!(
        server.overview("host").await.unwrap()["status"],
        "connected",
        "only the samples stop"
    );

    let started = execute(
        &mut client,
        change(Action::Start, 1, &["memory", "cpu.usage_percent"]),
    )
    .await;
    assert_eq!(started.status(), TaskStatus::Succeeded);
    let sample = stream.message().await.unwrap().unwrap();
    assert!(
        sample.memory.is_some() && sample.load.is_none() && sample.disks.is_empty(),
        "{sample:?}"
    );

    let refused = execute(&mut client, change(Action::Start, 1, &["nonsense"])).await;
    assert_eq!(refused.status(), TaskStatus::Failed);
    assert!(refused.error.contains("nearest"), "{}", refused.error);
    let refused = execute(&mut client, change(Action::UpdateInterval, 100_000, &[])).await;
    assert_eq!(refused.status(), TaskStatus::Failed);

    execute(&mut client, change(Action::Start, 1, &[])).await;
    execute(&mut client, change(Action::UpdateInterval, 3, &[])).await;
    // The first may still be of the old interval, the second ends the change.
    let mut timestamps = Vec::new();
    while timestamps.len() < 4 {
        timestamps.push(stream.message().await.unwrap().unwrap().timestamp);
    }
    let gap = timestamps[3] - timestamps[2];
    assert!(
        (2_500..=6_000).contains(&gap),
        "3 s between samples now: {timestamps:?}"
    );
}

async fn an_agent_answers_requests(database: Database) {
    let server = Server::start(&database).await;
    let mut agent = Agent::start(&server, "host").await;
    let mut client = client(&server).await;
    connected(&mut client).await;

    let parts = v1::SystemInfoRequest {
        include_software: true,
        include_packages: true,
        ..Default::default()
    };
    let answer = execute(&mut client, RequestType::SystemInfo(parts)).await;
    let Some(Response::MetricsResponse(v1::MetricsResponse {
        response_type: Some(ResponseType::SystemInfo(info)),
    })) = answer.response
    else {
        panic!("no system information: {answer:?}")
    };
    assert!(
        info.hardware.is_none() && info.network_interfaces.is_empty(),
        "only what was asked for"
    );
    if std::path::Path::new("/var/lib/dpkg/status").exists() {
        let packages = info.software.unwrap().packages;
        assert!(
            packages
                .iter()
                .any(|package| package.name == "libc6" && package.package_manager == "apt")
        );
    }

    let now = now().seconds().unsigned_abs();
    let query = v1::MetricsQueryRequest {
        metrics: vec!["memory.used_bytes".into()],
        start_timestamp: now - 60,
        end_timestamp: now + 60,
        max_points: 0,
        interval_seconds: Some(1),
        aggregation: String::new(),
    };
    let found = eventually("local history", async || {
        let answer = execute(&mut client, RequestType::QueryRequest(query.clone())).await;
        match answer.response {
            Some(Response::MetricsResponse(v1::MetricsResponse {
                response_type: Some(ResponseType::QueryResponse(found)),
            })) => (found.total_points >= 3).then_some(found),
            _ => panic!("no history: {answer:?}"),
        }
    })
    .await;
    assert_eq!(found.interval_seconds, 1);

    let mut add = command("nodeglass-server");
    add.args(["token", "add", "reader", "--role", "viewer", "--data-dir"])
        .arg(server.data_dir());
    let viewer = String::from_utf8(run(&mut add).await.stdout).unwrap();
    let mut request = Request::new(task(RequestType::SystemInfo(v1::SystemInfoRequest::default())));
    request.metadata_mut().insert(
        "authorization",
        format!("Bearer {}", viewer.trim()).parse().unwrap(),
    );
    assert_eq!(
        client.execute_task(request).await.unwrap_err().code(),
        Code::PermissionDenied
    );

    let nothing = v1::TaskRequest {
        agent_id: "host".into(),
        ..Default::default()
    };
    assert_eq!(
        client.execute_task(with_token(nothing)).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    assert_eq!(agent.terminate().await, Some(0));
    eventually("the agent to be away", async || {
        let parts = v1::SystemInfoRequest::default();
        let refused = client
            .execute_task(with_token(task(RequestType::SystemInfo(parts))))
            .await
            .err()?;
        (refused.code() == Code::Unavailable).then_some(())
    })
    .await;
}
