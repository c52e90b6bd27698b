/** What stands on every page: the way to the others, and settings. */

import type { ReactNode } from "react";
import { Mark } from "./Mark.tsx";
import { Link, useRoute } from "./route.tsx";
import { signOut } from "./session.ts";
import { type Theme, set, setUtc, useSettings, useTimesInAddress } from "./settings.ts";

const PAGES: readonly [path: string, name: string, icon: string][] = [
  ["/", "Fleet", "M4 5h16v5H4zM4 14h16v5H4zM7 7.5h.01M7 16.5h.01"],
  ["/compare", "Compare", "M4 19V5M4 19h16M7 15l4-5 3 3 5-7M7 10l3-2 4 6 5-1"],
  ["/boards", "Dashboards", "M4 4h7v9H4zM13 4h7v5h-7zM13 11h7v9h-7zM4 15h7v5H4z"],
  ["/manage", "Manage", "M5 20v-2a4 4 0 0 1 4-4h6a4 4 0 0 1 4 4v2M12 4a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z"],
  ["/server", "Server", "M12 3v4M12 17v4M3 12h4M17 12h4M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6z"],
];

const THEMES: Record<Theme, [next: Theme, icon: string, name: string]> = {
  auto: ["light", "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16", "as the system has it"],
  light: ["dark", "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5 19 19M5 19l1.5-1.5M17.5 6.5 19 5", "light"],
  dark: ["auto", "M20 14.5A8.5 8.5 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5z", "dark"],
};

/** A drawing of one line. */
export function Icon({ path }: { path: string }) {
  return (
    <svg className="icon" viewBox="0 0 24 24" aria-hidden="true">
      <path d={path} />
    </svg>
  );
}

/** The head of the page: the name, which leads to all hosts, and whatever else is within reach. */
export function Bar({ children }: { children?: ReactNode }) {
  return (
    <header className="bar">
      <Link to="/" className="brand" aria-label="Nodeglass, all hosts">
        <Mark />
        <span>Nodeglass</span>
      </Link>
      {children}
    </header>
  );
}

/** See the file. */
export function Frame({ children }: { children: ReactNode }) {
  const { path } = useRoute();
  const { theme, utc } = useSettings();
  useTimesInAddress();
  const [next, icon, name] = THEMES[theme];
  const here = path.startsWith("/hosts/") ? "/" : path;
  return (
    <>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <Bar>
        <nav aria-label="Pages">
          {PAGES.map(([to, title, drawing]) => (
            <Link key={to} to={to} aria-current={here === to || (to !== "/" && here.startsWith(`${to}/`)) ? "page" : undefined}>
              <Icon path={drawing} />
              <span>{title}</span>
            </Link>
          ))}
        </nav>
        <div className="tools">
          <button type="button" className="quiet" onClick={() => setUtc(!utc)} title="Times: local or UTC (U)">
            {utc ? "UTC" : "Local"}
            <span className="ng-sr"> time; switch</span>
          </button>
          <button type="button" className="quiet" onClick={() => set({ theme: next })} title={`Colours: ${name}`}>
            <Icon path={icon} />
            <span className="ng-sr">Colours: {name}; switch</span>
          </button>
          <Link to="/manage/account" className="quiet" title="Your account" aria-current={here === "/manage/account" ? "page" : undefined}>
            <Icon path="M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 7.5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM6.5 18.5a6.5 6.5 0 0 1 11 0" />
            <span className="ng-sr">Your account</span>
          </Link>
          <button type="button" className="quiet" onClick={() => void signOut()} title="Sign out">
            <Icon path="M10 5H5v14h5M14 8l4 4-4 4M18 12H9" />
            <span className="ng-sr">Sign out</span>
          </button>
        </div>
      </Bar>
      <div id="main" tabIndex={-1}>
        {children}
      </div>
    </>
  );
}
