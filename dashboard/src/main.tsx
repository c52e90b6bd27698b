/** Starts the page. */

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.tsx";
import { Boundary } from "./shell/Broken.tsx";
import "@nodeglass/react/styles.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/fleet.css";
import "./styles/tiles.css";
import "./styles/host.css";
import "./styles/boards.css";
import "./styles/forms.css";

const root = document.getElementById("page");
if (root)
  createRoot(root).render(
    <StrictMode>
      <Boundary page="">
        <App />
      </Boundary>
    </StrictMode>,
  );
