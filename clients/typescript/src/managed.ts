/** The shapes of what is managed: agents, groups, accounts, sessions, dashboards, exports. Those of figures are in `types.ts`. */

import type { components } from "./schema.ts";
import type { Moment } from "./transport.ts";
import type { AgentSettings } from "./types.ts";

type Schemas = components["schemas"];

/** An agent in the list of agents. */
export type ListedAgent = Schemas["AgentEntry"];
/** Agents, and how to ask for the next ones. */
export type AgentsList = Schemas["AgentsBody"];
/** Everything that is known of an agent but its figures. */
export type AgentDetail = Schemas["AgentBody"];
/** An agent to be. */
export type AgentToAdd = Schemas["AgentToAdd"];
/** What makes a host an agent. */
export type AddedAgent = Schemas["AddedAgent"];
/** A host or program that will push its figures. */
export type Registration = Schemas["Registration"];
/** What became of a registration. */
export type Registered = Schemas["Registered"];
/** A sign of life. */
export type Heartbeat = Partial<Schemas["Heartbeat"]>;
/** What became of it. */
export type Heard = Schemas["Heard"];
/** Figures that are pushed; those that aren't known are left out. */
export type Push = Schemas["Push"];
/** What became of them. */
export type Pushed = Schemas["Pushed"];
/** Spans of a host without samples. */
export type Gaps = Schemas["GapsBody"];
/** Labels to set, and with null to take away. */
export type LabelChanges = Readonly<Record<string, string | null>>;
/** What is to become of an agent's samples. */
export type StreamChange = Schemas["StreamChange"];

/** Which agents are listed: those for which all of it holds. */
export interface AgentsFilter {
  status?: "connected" | "disconnected";
  /** What their names have in them, or a pattern (`web-*`). */
  q?: string;
  /** Names, patterns, labels (`label:env=prod`) and groups (`group:web`): any of them. */
  agents?: readonly string[];
  /** `env`, `env=prod`, `env=p*`, `env!=prod`: all of them. */
  label?: readonly string[];
  /** Any of them. */
  group?: readonly string[];
  /** A pattern (`1.2.*`). */
  version?: string;
  /** `agent_id`, `last_metrics_update`, `enrolled_at`, `version`, `status` or `label:NAME`; with `-` before it the other way round. */
  sort?: string;
  limit?: number;
  /** The `next_cursor` of the page before. */
  cursor?: string;
}

/** A group of agents. */
export type Group = Omit<Schemas["GroupBody"], "settings"> & { settings: AgentSettings };
/** A group as it is to be. */
export type GroupToSet = Partial<Omit<Schemas["GroupSaid"], "settings">> & { settings?: AgentSettings };
/** A string for many hosts as lists show it. */
export type FleetToken = Schemas["FleetTokenBody"];
/** One to be made. */
export type FleetTokenToMake = Schemas["FleetTokenToMake"];
/** One that was made: the only time that it is shown. */
export type MadeFleetToken = Schemas["MadeFleetToken"];

/** What a caller may do. */
export type Role = Schemas["RoleName"];
/** A token as lists show it. */
export type Token = Schemas["TokenBody"];
/** A token to be made. */
export type TokenToMake = Schemas["TokenToMake"];
/** A token that was made: the only time that it is shown. */
export type MadeToken = Schemas["MadeToken"];
/** What is to be another way with a token. */
export type TokenChange = Schemas["TokenChange"];
/** A user as lists show it. */
export type User = Schemas["UserBody"];
/** A user to be made. */
export type UserToMake = Schemas["UserToMake"];
/** What is to be another way with a user. */
export type UserChange = Schemas["UserChange"];
/** What somebody did, or was denied. */
export type AuditEntry = Schemas["EntryBody"];
/** Entries, and how to ask for the next ones. */
export type AuditPage = Schemas["AuditBody"];

/** Which entries are listed: those for which all of it holds. */
export interface AuditQuery {
  /** By whom. */
  name?: string;
  /** `token.add`, or all that begin alike: `token.*`. */
  action?: string;
  /** To what. */
  subject?: string;
  outcome?: "done" | "denied" | "failed";
  start?: Moment;
  end?: Moment;
  limit?: number;
  /** The `next_cursor` of the page before. */
  cursor?: number | string;
}

/** Who one is. */
export type Me = Omit<Schemas["Me"], "kind" | "role"> & { kind: "token" | "user" | "oidc"; role: Role };
/** What somebody signs in with. */
export type Credentials = Schemas["SignIn"];
/** How one may sign in. */
export type WaysToSignIn = Schemas["Ways"];
/** One's password, and what it is to be. */
export type OwnPassword = Schemas["OwnPassword"];
/** What an authenticator takes. */
export type CodesSecret = Schemas["TotpSecret"];
/** Codes that open once each, where the authenticator is gone. */
export type RecoveryCodes = Schemas["RecoveryCodes"];
/** One's password, and a code. */
export type PasswordAndCode = Schemas["ConfirmationWithCode"];
/** What opens one stream, once. */
export type Ticket = Schemas["Ticket"];
/** A session as lists show it. */
export type OpenSession = Schemas["SessionBody"];

/** A dashboard as lists show it. */
export type DashboardEntry = Schemas["DashboardEntry"];
/** A dashboard with what it shows. */
export type Dashboard<Content extends object = Record<string, unknown>> = DashboardEntry & { content: Content };
/** A dashboard to be kept: without a revision a new one. */
export type DashboardToSave = Omit<Schemas["DashboardToSave"], "content"> & { content: object };

/** Whether the process is alive. */
export type Health = Schemas["Health"];

/** Which samples are exported. */
export interface ExportQuery {
  /** Names and patterns; all agents without it. */
  agents?: readonly string[];
  start?: Moment;
  end?: Moment;
  /** All without it. */
  metrics?: readonly string[];
}

/** A sample as it was taken: what an export writes, and an import takes. */
export interface StoredSample {
  agent_id: string;
  /** With `seq` which sample it is; absent where only a part of it is given. */
  epoch?: number;
  seq?: number;
  /** When it was taken, in Unix milliseconds. */
  timestamp: number;
  /** Figures by series, and texts that describe, of each device; `host` is the host itself. */
  devices: { kind: string; label?: string; texts?: Record<string, string>; values?: Record<string, number> }[];
  /** What could not be read, and why. */
  failures?: { collector: string; reason: string }[];
}

/** What became of imported samples. */
export type Imported = Schemas["Imported"];
