/** Text to take along: a command to paste, a secret that is shown once. */

import { useRef, useState } from "react";

/** How long it is said that it was copied. */
const SAID_MS = 2_000;

/** See the file. `what` names it for those who don't see it: `the command`. */
export function Copy({ text, what }: { text: string; what: string }) {
  const pre = useRef<HTMLPreElement>(null);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  const [said, setSaid] = useState<string>();
  const copy = async () => {
    let outcome = "Copied";
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without TLS a browser lends no clipboard: what is marked is copied by key.
      if (pre.current) getSelection()?.selectAllChildren(pre.current);
      outcome = "Marked: copy by key";
    }
    setSaid(outcome);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setSaid(undefined), SAID_MS);
  };
  return (
    <div className="copy">
      <pre ref={pre} tabIndex={0}>
        {text}
      </pre>
      <button type="button" className="quiet small" onClick={copy}>
        {said ?? "Copy"}
        <span className="ng-sr"> {what}</span>
      </button>
      <span className="ng-sr" role="status">
        {said}
      </span>
    </div>
  );
}
