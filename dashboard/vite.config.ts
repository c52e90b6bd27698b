import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** Where `npm run dev` finds a server. */
const SERVER = process.env.NODEGLASS_SERVER ?? "http://127.0.0.1:7080";

export default defineConfig({
  plugins: [react()],
  resolve: { conditions: ["source", "module", "browser", "development|production"] },
  build: {
    target: "es2022",
    // Pictures and the like stay files of their own: the page's policy allows no data in addresses.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/api": SERVER, "/ready": SERVER, "/health": SERVER } },
});
