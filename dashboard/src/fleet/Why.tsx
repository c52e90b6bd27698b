/** Why a host stands out, in a word; all that is the matter with it, and from where on, is in the title. */

import { show } from "@nodeglass/react";
import type { Trouble } from "./health.ts";

/** See the file; nothing where nothing is the matter. */
export function Why({ troubles }: { troubles: readonly Trouble[] }) {
  const [worst] = troubles;
  if (!worst) return null;
  return (
    <span className={`why ${worst.health}`} title={troubles.map(described).join("\n")}>
      {worst.word}
      {troubles.length > 1 && <small> +{troubles.length - 1}</small>}
    </span>
  );
}

/** One trouble in a line: `memory 97.1 %: hot, 95 % and more`. */
export function described({ word, value, unit, health, limit }: Trouble): string {
  const figure = value === undefined ? "" : ` ${show(value, unit ?? "")}`;
  return `${word}${figure}: ${health === "lost" ? "" : `${health}, `}${limit}`;
}
