/** Which samples of an agent's stream are new: a server that was killed begins with what it had stored last, which may have been shown. */

/**
 * Tells, of one sample after the other, whether it comes after those before it. Its id names a run of the agent and a number in it,
 * `1795241888547-17`; one that was stored before the server started has none, and is known by when it was taken.
 */
export function newsOnly(seen?: string): (id: string | undefined, timestamp: number) => boolean {
  let [run, number] = placeOf(seen);
  let newest = Number.NEGATIVE_INFINITY;
  return (id, timestamp) => {
    const [itsRun, itsNumber] = placeOf(id);
    if (itsRun === undefined ? timestamp <= newest : itsRun === run && itsNumber <= number) return false;
    if (itsRun !== undefined) [run, number] = [itsRun, itsNumber];
    newest = timestamp;
    return true;
  };
}

function placeOf(id: string | undefined): [run: string | undefined, number: number] {
  const [, run, number] = /^(\d+)-(\d+)$/.exec(id ?? "") ?? [];
  return [run, Number(number)];
}
