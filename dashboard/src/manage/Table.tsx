/** Lists of what is managed. */

import type { Role } from "@nodeglass/client";
import type { ReactNode } from "react";

/** A list with a title, and what stands above it. `rows` are how many there are, where not all are drawn. */
export function List(props: { title: string; head: readonly string[]; problem?: string | undefined; error: unknown; isEmpty: boolean; empty: string; tools?: ReactNode; rows?: number | undefined; below?: ReactNode; isStale?: boolean; children: ReactNode }) {
  return (
    <section className="ng-panel list" aria-label={props.title}>
      {props.tools}
      {props.problem && (
        <p className="problem" role="alert">
          {props.problem}
        </p>
      )}
      {props.error ? (
        <p className="ng-blank">{props.error instanceof Error ? props.error.message : String(props.error)}</p>
      ) : props.isEmpty ? (
        <p className="blank">{props.empty}</p>
      ) : (
        <div className={props.isStale ? "scroll stale" : "scroll"} role="region" aria-label={`List of ${props.title}`} tabIndex={0}>
          <table {...(props.rows === undefined ? {} : { "aria-rowcount": props.rows + 1 })}>
            <thead>
              <tr>
                {props.head.map((name) => (
                  <th key={name} scope="col">
                    {name || <span className="ng-sr">What can be done</span>}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>{props.children}</tbody>
          </table>
          {props.below && <p className="below">{props.below}</p>}
        </div>
      )}
    </section>
  );
}

/** The three roles. */
export function RoleField({ value, onChange }: { value: string; onChange: (role: Role) => void }) {
  return (
    <label className="choice">
      <span>Role</span>
      <select value={value} onChange={(event) => onChange(event.target.value as Role)}>
        <option value="viewer">viewer: looks</option>
        <option value="operator">operator: looks and changes hosts</option>
        <option value="admin">admin: everything</option>
      </select>
    </label>
  );
}
