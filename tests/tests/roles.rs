//! Who may call what: every call of the served OpenAPI document, and every method of the gRPC descriptors, by nobody, by a
//! stranger and by every role, about an agent that is the caller's to see, about one that there is not, and about one that
//! is others' to see. What is expected comes from the policy that the document and the table state; a new call is in it by
//! itself.

#[path = "roles/calls.rs"]
mod calls;
#[path = "roles/raw.rs"]
mod raw;

use nodeglass_server::policy::{self, Scope};
use nodeglass_tests::database::Database;
use nodeglass_tests::fake_agent::{FakeAgent, now, sample};
use nodeglass_tests::on_every_database;
use nodeglass_tests::server::Server;
use reqwest::StatusCode;
use serde_json::Value;
use tonic::Code;

use calls::{Call, calls};
use raw::methods;

on_every_database!(
    every_route_asks_what_its_policy_says,
    every_method_asks_what_its_policy_says
);

/// An agent that every role sees.
const OWN: &str = "own";
/// One that there is not.
const NOBODYS: &str = "nobodys";
/// One that there is, but not for callers of a narrow selector.
const FOREIGN: &str = "foreign";
/// What calls that name an agent are made about.
const ABOUTS: [&str; 3] = [OWN, NOBODYS, FOREIGN];

/// Roles by how much they may.
const ROLES: [&str; 3] = ["viewer", "operator", "admin"];

/// Somebody who calls.
struct Caller {
    /// What it is called in messages.
    name: &'static str,
    token: Option<String>,
    /// One of the same role that may see its own agents alone.
    narrow: Option<String>,
    /// How much it may; `None` for one who may nothing.
    rank: Option<usize>,
}

async fn callers(server: &Server) -> Vec<Caller> {
    let nobody = |name, token: Option<&str>| Caller {
        name,
        token: token.map(str::to_owned),
        narrow: token.map(str::to_owned),
        rank: None,
    };
    let mut callers = vec![nobody("nobody", None), nobody("a stranger", Some("ngt_wrong"))];
    for (rank, role) in ROLES.into_iter().enumerate() {
        callers.push(Caller {
            name: role,
            token: Some(server.add_token(role, role).await),
            narrow: Some(narrow(server, role).await),
            rank: Some(rank),
        });
    }
    callers
}

impl Caller {
    /// The token to call with about an agent: for the foreign one a token that does not see it.
    fn token_for(&self, about: &str) -> Option<&str> {
        let token = if about == FOREIGN {
            &self.narrow
        } else {
            &self.token
        };
        token.as_deref()
    }
}

async fn narrow(server: &Server, role: &str) -> String {
    let name = format!("narrow-{role}");
    let printed = server
        .command(&["token", "add", &name, "--role", role, "--agents", OWN])
        .await;
    printed.trim().to_owned()
}

fn rank(role: &str) -> usize {
    ROLES.iter().position(|known| *known == role).expect("a role")
}

/// What is wrong with an answer, given what the policy says.
fn verdict(call: &Call, caller: &Caller, about: &str, status: StatusCode, problem: &Value) -> Option<String> {
    let code = problem["code"].as_str().unwrap_or_default();
    let expected = match (&call.role, caller.rank, &caller.token) {
        (Some(_), None, None) => Some((StatusCode::UNAUTHORIZED, "missing_token")),
        (Some(_), None, Some(_)) => Some((StatusCode::UNAUTHORIZED, "invalid_token")),
        (Some(least), Some(has), _) if has < rank(least) => Some((StatusCode::FORBIDDEN, "forbidden")),
        _ if call.scope == "agent" && about != OWN => Some((StatusCode::NOT_FOUND, "unknown_agent")),
        _ => None,
    };
    let is_right = if let Some(expected) = expected {
        expected == (status, code)
    } else {
        let is_refused = matches!(
            code,
            "missing_token" | "invalid_token" | "forbidden" | "unknown_agent"
        );
        !is_refused && !status.is_server_error() || is_out_of_reach(code)
    };
    let wanted = expected.map_or_else(
        || "to be let through".to_owned(),
        |(status, code)| format!("{status} {code}"),
    );
    (!is_right).then(|| {
        format!(
            "{} {} by {} about {about}: {status} {code}, not {wanted}",
            call.method, call.path, caller.name
        )
    })
}

/// What a call that was let through may fail at here: the agent that it asks is played, and answers nothing.
fn is_out_of_reach(code: &str) -> bool {
    matches!(code, "agent_disconnected" | "agent_timeout")
}

/// A server with an agent that has sent a sample.
async fn server_with_agent(database: &Database) -> (Server, FakeAgent) {
    let server = Server::start(database).await;
    server.enrolment(FOREIGN).await;
    let mut agent = FakeAgent::open(&server.enrolment(OWN).await, 1).await.unwrap();
    agent.send([(1, sample(now(), 1.0))]).await;
    agent.settled(1).await.unwrap();
    (server, agent)
}

async fn every_route_asks_what_its_policy_says(database: Database) {
    let (server, _agent) = server_with_agent(&database).await;
    let document = server.ok("/api/v1/openapi.json").await;
    let calls = calls(&document);
    assert!(calls.len() > 15, "{} calls", calls.len());
    let callers = callers(&server).await;
    let mut wrong = Vec::new();
    for call in &calls {
        for caller in &callers {
            let abouts: &[&str] = if call.scope == "agent" { &ABOUTS } else { &[OWN] };
            for about in abouts {
                let is_let_through = call
                    .role
                    .as_deref()
                    .is_none_or(|least| caller.rank >= Some(rank(least)));
                // What changes an agent is tried on one that is nobody else's.
                let spare = format!("spare-{}-{}", call.id, caller.name);
                let id = if *about == OWN && call.changes() && is_let_through && call.scope == "agent" {
                    server.enrolment(&spare).await;
                    &spare
                } else {
                    *about
                };
                let (status, problem) = call.make(&server, caller.token_for(about), id).await;
                wrong.extend(verdict(call, caller, about, status, &problem));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} calls:\n{}",
        wrong.len(),
        calls.len(),
        wrong.join("\n")
    );
}

async fn every_method_asks_what_its_policy_says(database: Database) {
    let (server, _agent) = server_with_agent(&database).await;
    let methods = methods();
    assert!(methods.len() > 5, "{methods:?}");
    let callers = callers(&server).await;
    let mut client = raw::Client::connect(&server).await;
    let mut wrong = Vec::new();
    for method in &methods {
        let Some(policy) = policy::of_method(&method.path) else {
            wrong.push(format!("{} has no policy", method.path));
            continue;
        };
        for caller in &callers {
            let abouts: &[&str] = if policy.scope == Scope::Agent {
                &ABOUTS
            } else {
                &[OWN]
            };
            for about in abouts {
                let (code, name) = client.call(method, caller.token_for(about), about).await;
                let expected = match caller.rank {
                    _ if matches!(policy.scope, Scope::Open | Scope::Session) => None,
                    None if caller.token.is_none() => Some((Code::Unauthenticated, "missing_token")),
                    None => Some((Code::Unauthenticated, "invalid_token")),
                    Some(has) if has < rank(policy.least.name()) => {
                        Some((Code::PermissionDenied, "forbidden"))
                    }
                    _ if *about != OWN => Some((Code::NotFound, "unknown_agent")),
                    _ => None,
                };
                let is_right = match expected {
                    Some(expected) => expected == (code, name.as_str()),
                    // A token of people and programs is nothing to an agent's own calls, whatever its role.
                    None if policy.scope == Scope::Session => matches!(
                        code,
                        Code::Unauthenticated | Code::PermissionDenied | Code::InvalidArgument
                    ),
                    None => !matches!(
                        name.as_str(),
                        "missing_token" | "invalid_token" | "forbidden" | "unknown_agent" | "internal"
                    ),
                };
                if !is_right {
                    wrong.push(format!(
                        "{} by {} about {about}: {code:?} {name}, not {expected:?}",
                        method.path, caller.name
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
