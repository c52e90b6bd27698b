/** What stands in place of a page that can't be drawn: what happened, and what to do. */

import { words } from "@nodeglass/react";
import { Component, type ErrorInfo, type ReactNode } from "react";

/** Catches what goes wrong while the page inside is drawn. With another `page`, it is tried again. */
export class Boundary extends Component<{ page: string; children: ReactNode }, { page: string; error?: unknown }> {
  override state: { page: string; error?: unknown } = { page: this.props.page };

  static getDerivedStateFromError(error: unknown): { error: unknown } {
    // Even nothing can be thrown.
    return { error: error ?? new Error("unknown") };
  }

  static getDerivedStateFromProps(props: { page: string }, state: { page: string }): { page: string; error?: unknown } | null {
    return props.page === state.page ? null : { page: props.page, error: undefined };
  }

  override componentDidCatch(error: unknown, { componentStack }: ErrorInfo): void {
    console.error(error, componentStack);
  }

  override render(): ReactNode {
    return this.state.error === undefined ? this.props.children : <Broken error={this.state.error} />;
  }
}

function Broken({ error }: { error: unknown }) {
  return (
    <main className="nothing" role="alert">
      <h1>This page can't be shown</h1>
      <p>Something went wrong in the page itself. Hosts and server go on as before, and no figure is lost.</p>
      <p className="facts">{words(error)}</p>
      <p className="ways">
        <button type="button" className="primary" onClick={() => location.reload()}>
          Reload
        </button>
        {/* Loads the page anew as well: what is broken may be around this link. */}
        <a href="/">All hosts</a>
      </p>
    </main>
  );
}

/** What stands there until the server has said who one is, if it does not answer. */
export function Silent({ problem }: { problem: unknown }) {
  return (
    <main className="nothing" role="status">
      <h1>The server does not answer</h1>
      <p className="facts">{words(problem)}</p>
      <p>Trying again every two seconds. Is it running, and can it be reached from here?</p>
    </main>
  );
}
