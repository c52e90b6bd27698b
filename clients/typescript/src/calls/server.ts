/** Calls about the server itself: how it stands, what it counts of itself, and the document of its API. */

import type { CallOptions, Transport } from "../transport.ts";
import type * as t from "../types.ts";

/** See the file. */
export class ServerItself {
  private readonly transport: Transport;
  constructor(transport: Transport) {
    this.transport = transport;
  }

  /** Whether the process is alive; it needs no token. */
  async health(options: CallOptions = {}): Promise<t.Health> {
    return (await this.transport.send(`${this.transport.root}/health`, options)).json() as Promise<t.Health>;
  }

  /** Whether the database answers, and how compaction stands. Throws `database_unavailable`. */
  async readiness(options: CallOptions = {}): Promise<t.Readiness> {
    return (await this.transport.send(`${this.transport.root}/ready`, options)).json() as Promise<t.Readiness>;
  }

  /** The server's own figures, in the text format of Prometheus. */
  async figures(options: CallOptions = {}): Promise<string> {
    const headers = { accept: "text/plain", ...options.headers };
    return (await this.transport.send(`${this.transport.root}/metrics`, { ...options, headers })).text();
  }

  /** The OpenAPI document of this very server; it needs no token. */
  openApi(options: CallOptions = {}): Promise<Record<string, unknown>> {
    return this.transport.get("/openapi.json", {}, options);
  }
}
