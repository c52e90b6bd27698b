import { defineConfig } from "vitest/config";

// One browser and one server after the other: on a busy machine of two cores, tests beside each other only wait.
export default defineConfig({
  test: { include: ["test/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false },
});
