/** The dashboards that people made. */

import { ago, useClient, words } from "@nodeglass/react";
import { useQuery, useQueryClient } from "@tanstack/react-query";
import { type ChangeEvent, type FormEvent, useEffect, useState } from "react";
import { Link, go } from "../shell/route.tsx";
import { mayChange, useMe } from "../shell/session.ts";
import { type BoardPanel, idOf, listBoards, parseBoard, saveBoard } from "./board.ts";

/** What a new one begins with. */
const FIRST: BoardPanel[] = [
  { title: "Processors", kind: "chart", hosts: ["*"], metrics: ["cpu.usage_percent"], width: 2 },
  { title: "Most memory", kind: "top", hosts: ["*"], metrics: ["memory.usage_percent"], width: 1 },
  { title: "Fullest disks", kind: "top", hosts: ["*"], metrics: ["disk.usage_percent"], width: 1 },
];

/** See the file. */
export default function BoardsPage() {
  const client = useClient();
  const isChangeable = mayChange(useMe());
  const queries = useQueryClient();
  const { data, error } = useQuery({ queryKey: ["boards"], queryFn: ({ signal }) => listBoards(client, signal) });
  const [name, setName] = useState("");
  const [problem, setProblem] = useState<string>();
  useEffect(() => {
    document.title = "Dashboards · Nodeglass";
  }, []);
  const make = async (board: { name: string; content: { panels: BoardPanel[] } }) => {
    try {
      const id = idOf(board.name);
      await saveBoard(client, { id, revision: 0, ...board });
      await queries.invalidateQueries({ queryKey: ["boards"] });
      go(`/boards/${id}`);
    } catch (failure) {
      setProblem(words(failure));
    }
  };
  const add = (event: FormEvent) => {
    event.preventDefault();
    void make({ name: name.trim(), content: { panels: FIRST } });
  };
  const take = async (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0];
    event.target.value = "";
    if (!file) return;
    try {
      await make(parseBoard(await file.text()));
    } catch (failure) {
      setProblem(words(failure));
    }
  };
  return (
    <main className="boards">
      <div className="headline">
        <h1>Dashboards</h1>
        <p className="facts">Panels of your own over any hosts, kept on the server and shared with all who may look.</p>
      </div>
      {isChangeable && (
        <form className="toolbar" onSubmit={add}>
          <label className="choice">
            <span>New dashboard</span>
            <input required maxLength={80} placeholder="Web tier" value={name} onChange={(event) => setName(event.target.value)} />
          </label>
          <button className="primary">Create</button>
          <label className="file">
            Import JSON
            <input type="file" accept="application/json,.json" onChange={take} />
          </label>
          {problem && (
            <p className="problem" role="alert">
              {problem}
            </p>
          )}
        </form>
      )}
      {error && <p className="blank">{words(error)}</p>}
      {data?.length === 0 && <p className="blank">None yet. {isChangeable ? "Name the first one above." : "Operators and admins make them."}</p>}
      <ul className="board-list">
        {data?.map((board) => (
          <li key={board.id}>
            <Link to={`/boards/${board.id}`}>
              <strong>{board.name}</strong>
              <small>
                saved {ago(board.saved_at, Date.now())} by {board.saved_by}
              </small>
            </Link>
          </li>
        ))}
      </ul>
    </main>
  );
}
