/** One setting of a host: what is in force, who asks for it, and what is asked of this host alone. */

import type { SettingsState } from "@nodeglass/client";
import { useId } from "react";
import { SETTINGS, shown, textOf } from "./keys.ts";

/** Who asks, in words. */
function asker(origin: string | undefined): string {
  if (origin === undefined) return "its own configuration";
  if (origin === "agent") return "this host's settings";
  return origin === "server" ? "the server's configuration" : origin.replace(/^group:/, "group ");
}

/** See the file. `text` is null where it is left to others; without `onChange` nothing can be changed. */
export function SettingRow(props: {
  setting: (typeof SETTINGS)[number];
  state: SettingsState;
  text: string | null;
  isChanged: boolean;
  isWrong: boolean;
  onChange?: ((text: string | null) => void) | undefined;
}) {
  const { setting, state, text, onChange } = props;
  const { key, name, about } = setting;
  const id = useId();
  const refused = state.problems.filter((problem) => problem.key === key);
  return (
    <tr className={props.isChanged ? "changed" : undefined} data-setting={key}>
      <th scope="row">
        <span id={id}>{name}</span>
        <small id={`${id}-about`}>{about}</small>
      </th>
      <td data-label="In force">
        <span className="value">{state.in_force ? shown(setting, state.in_force[key]) : "not said"}</span>
        {refused.map(({ reason }) => (
          <small key={reason} className="problem">
            {reason}
          </small>
        ))}
      </td>
      <td data-label="Asked for by">{asker(state.origins[key])}</td>
      <td data-label="Of this host alone">
        {onChange ? (
          <div className="ask">
            <input
              type="checkbox"
              aria-label={`Ask this host alone for: ${name}`}
              checked={text !== null}
              onChange={(event) => onChange(event.target.checked ? (textOf(state.wanted[key] ?? state.in_force?.[key]) ?? "") : null)}
            />
            {text === null ? (
              <span className="facts">left to others</span>
            ) : (
              <Field setting={setting} text={text} labelledBy={id} describedBy={`${id}-about`} isWrong={props.isWrong} onChange={onChange} />
            )}
          </div>
        ) : (
          shown(setting, state.own[key])
        )}
      </td>
    </tr>
  );
}

function Field(props: { setting: (typeof SETTINGS)[number]; text: string; labelledBy: string; describedBy: string; isWrong: boolean; onChange: (text: string) => void }) {
  const { setting, text, onChange } = props;
  const shared = { "aria-labelledby": props.labelledBy, "aria-describedby": props.describedBy, "aria-invalid": props.isWrong, value: text };
  if (setting.kind === "switch")
    return (
      <select {...shared} onChange={(event) => onChange(event.target.value)}>
        <option>on</option>
        <option>off</option>
      </select>
    );
  if (setting.kind === "list") return <textarea rows={1} spellCheck={false} placeholder={setting.empty ?? "nothing"} {...shared} onChange={(event) => onChange(event.target.value)} />;
  return (
    <>
      <input type="number" required min={setting.kind === "seconds" ? 1 : 0} max={setting.most} {...shared} onChange={(event) => onChange(event.target.value)} />
      {setting.kind === "seconds" && <span className="facts">seconds</span>}
    </>
  );
}
