/** Dashboards of people's own, as the server keeps them. What one shows is whatever the page that saved it makes of it. */

import { type CallOptions, type Transport, pathOf } from "../transport.ts";
import type * as t from "../types.ts";

/** See the file. */
export class Dashboards {
  private readonly transport: Transport;
  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** All of them, by name, without what they show. */
  async list(options: CallOptions = {}): Promise<t.DashboardEntry[]> {
    return (await this.transport.get<{ dashboards: t.DashboardEntry[] }>("/dashboards", {}, options)).dashboards;
  }

  /** One with what it shows. Throws `unknown_dashboard`. */
  get<Content extends object = Record<string, unknown>>(id: string, options: CallOptions = {}): Promise<t.Dashboard<Content>> {
    return this.transport.get(pathOf("dashboards", id), {}, options);
  }

  /**
   * Keeps a new one, or a change of the `revision` that one has. Throws `outdated_dashboard` if somebody else changed it since,
   * and `too_many_dashboards` if there are as many as there may be.
   */
  save(id: string, wish: t.DashboardToSave, options: CallOptions = {}): Promise<t.DashboardEntry> {
    return this.transport.json("PUT", pathOf("dashboards", id), { ...options, json: wish });
  }

  /** Removes one. Throws `unknown_dashboard`. */
  remove(id: string, options: CallOptions = {}): Promise<void> {
    return this.transport.json("DELETE", pathOf("dashboards", id), options);
  }
}
