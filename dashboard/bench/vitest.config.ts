import { defineConfig } from "vitest/config";

export default defineConfig({ test: { include: ["bench/bars.ts"], testTimeout: 900_000, hookTimeout: 600_000 } });
