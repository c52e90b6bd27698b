/** Calls that manage agents: who there is, what they are called, labels, settings, and figures that are pushed for them. */

import { type CallOptions, type Moment, type Transport, moment, pathOf } from "../transport.ts";
import type * as t from "../types.ts";

/**
 * Agents. Every call that names one throws `unknown_agent` if there is none of that name, or none that the caller may see; an
 * agent that was renamed is found under its former name, too.
 */
export class Agents {
  private readonly transport: Transport;
  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** Every agent, with what it is called and how it stands; `listAgents` of the client has their figures. */
  list(query: t.AgentsFilter = {}, options: CallOptions = {}): Promise<t.AgentsList> {
    return this.transport.get("/agents", { ...query }, options);
  }

  /** Everything that is known of an agent but its figures. */
  get(agentId: string, options: CallOptions = {}): Promise<t.AgentDetail> {
    return this.transport.get(agent(agentId), {}, options);
  }

  /**
   * Makes the string that makes a host an agent. It is in the answer, and nowhere else. Throws `name_taken` if there is an agent
   * of that name, unless it is to be replaced.
   */
  add(wish: t.AgentToAdd, options: CallOptions = {}): Promise<t.AddedAgent> {
    return this.transport.json("POST", "/agents", { ...options, json: wish });
  }

  /** Registers a host or program that pushes its figures; it may be done again. Throws `agent_reports_itself` for one that has an agent. */
  register(wish: t.Registration, options: CallOptions = {}): Promise<t.Registered> {
    return this.transport.json("POST", "/agents/register", { ...options, json: wish });
  }

  /** A sign of life of a host that pushes. Throws `agent_reports_itself` for one that has an agent. */
  heartbeat(agentId: string, said: t.Heartbeat = {}, options: CallOptions = {}): Promise<t.Heard> {
    return this.transport.json("POST", `${agent(agentId)}/heartbeat`, { ...options, json: said });
  }

  /**
   * Pushes figures of a host that has no agent. A push that is made again under the same `idempotencyKey` is stored once. Throws
   * `invalid_value` for a figure that can't be right, `future_timestamp`, `push_conflict` if the key came with other figures.
   */
  push(agentId: string, figures: t.Push, options: CallOptions & { idempotencyKey?: string } = {}): Promise<t.Pushed> {
    const { idempotencyKey, ...rest } = options;
    const headers = { ...rest.headers, ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }) };
    return this.transport.json("POST", `${agent(agentId)}/metrics`, { ...rest, headers, json: figures });
  }

  /** Gives an agent another name, under which its history goes on. Throws `name_taken`. */
  rename(agentId: string, name: string, options: CallOptions = {}): Promise<t.AgentDetail> {
    return this.transport.json("POST", `${agent(agentId)}/rename`, { ...options, json: { name } });
  }

  /** Takes an agent's key and its string from it, for good. What is stored of it stays. */
  revoke(agentId: string, options: CallOptions = {}): Promise<void> {
    return this.transport.json("POST", `${agent(agentId)}/revoke`, options);
  }

  /** Takes an agent out of every list; its history is erased, or kept for a host that comes under the same name. */
  forget(agentId: string, data: "delete" | "keep", options: CallOptions = {}): Promise<void> {
    return this.transport.json("DELETE", agent(agentId), { ...options, parameters: { data } });
  }

  /** Spans without samples, and why. */
  gaps(agentId: string, range: { start?: Moment; end?: Moment } = {}, options: CallOptions = {}): Promise<t.Gaps> {
    return this.transport.get(`${agent(agentId)}/gaps`, { start: moment(range.start), end: moment(range.end) }, options);
  }

  /** The labels of an agent, with who said each. */
  labels(agentId: string, options: CallOptions = {}): Promise<t.AgentLabels> {
    return this.transport.get(`${agent(agentId)}/labels`, {}, options);
  }

  /** Sets all labels that are said here; those that are not given are taken away. Throws `invalid_parameter` for one that is none. */
  setLabels(agentId: string, labels: Readonly<Record<string, string>>, options: CallOptions = {}): Promise<t.AgentLabels> {
    return this.transport.json("PUT", `${agent(agentId)}/labels`, { ...options, json: labels });
  }

  /** Sets some labels, and takes those away whose value is null. Throws `invalid_parameter` for one that is none. */
  changeLabels(agentId: string, labels: t.LabelChanges, options: CallOptions = {}): Promise<t.AgentLabels> {
    return this.transport.json("PATCH", `${agent(agentId)}/labels`, { ...options, json: labels });
  }

  /** What is asked of an agent, by whom, and what is in force there. */
  settings(agentId: string, options: CallOptions = {}): Promise<t.SettingsState> {
    return this.transport.get(`${agent(agentId)}/settings`, {}, options);
  }

  /** Says all that is asked of this agent alone; what is not given is left to its groups, to all, to its own configuration. */
  setSettings(agentId: string, settings: t.AgentSettings, options: CallOptions = {}): Promise<t.SettingsState> {
    return this.transport.json("PUT", `${agent(agentId)}/settings`, { ...options, json: settings });
  }

  /** Changes some of what is asked of this agent alone; what is null is left to its groups, to all, to its own configuration. */
  changeSettings(agentId: string, changes: t.AgentSettings, options: CallOptions = {}): Promise<t.SettingsState> {
    return this.transport.json("PATCH", `${agent(agentId)}/settings`, { ...options, json: changes });
  }

  /** Starts, stops or slows down an agent's samples, for all who look on: a shorter way to three of its settings. */
  changeStream(agentId: string, change: t.StreamChange, options: CallOptions = {}): Promise<t.SettingsState> {
    return this.transport.json("PATCH", `${agent(agentId)}/metrics/stream`, { ...options, json: change });
  }
}

/** Groups of agents, each with what is asked of its agents. */
export class Groups {
  private readonly transport: Transport;
  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** Every group, `all` among them, in which each agent is. */
  async list(options: CallOptions = {}): Promise<t.Group[]> {
    return (await this.transport.get<{ groups: t.Group[] }>("/groups", {}, options)).groups;
  }

  /** One of them. Throws `unknown_group`. */
  get(name: string, options: CallOptions = {}): Promise<t.Group> {
    return this.transport.get(pathOf("groups", name), {}, options);
  }

  /** Makes a group, or says anew whom it has and what is asked of them. */
  set(name: string, wish: t.GroupToSet, options: CallOptions = {}): Promise<t.Group> {
    return this.transport.json("PUT", pathOf("groups", name), { ...options, json: wish });
  }

  /** Removes a group; its agents stay. Throws `unknown_group`. */
  remove(name: string, options: CallOptions = {}): Promise<void> {
    return this.transport.json("DELETE", pathOf("groups", name), options);
  }
}

/** Strings that make many hosts agents. */
export class FleetTokens {
  private readonly transport: Transport;
  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** All of them, without what only those have who were given them. */
  async list(options: CallOptions = {}): Promise<t.FleetToken[]> {
    return (await this.transport.get<{ fleet_tokens: t.FleetToken[] }>("/fleet-tokens", {}, options)).fleet_tokens;
  }

  /** Makes one. The string is in the answer, and nowhere else. Throws `name_taken`. */
  add(wish: t.FleetTokenToMake, options: CallOptions = {}): Promise<t.MadeFleetToken> {
    return this.transport.json("POST", "/fleet-tokens", { ...options, json: wish });
  }

  /** Makes one worth nothing; the agents that it made go on. Throws `unknown_name`. */
  revoke(name: string, options: CallOptions = {}): Promise<void> {
    return this.transport.json("DELETE", pathOf("fleet-tokens", name), options);
  }
}

/** The path of an agent. */
export function agent(id: string): string {
  return pathOf("agents", id);
}
