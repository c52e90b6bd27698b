import { defineConfig } from "vitest/config";

// The packages from their sources, as the page is built from them: what was built of them may not be there.
const resolve = { conditions: ["source", "module", "node", "development|production"] };

// One browser and one server after the other: on a busy machine of two cores, tests beside each other only wait.
export default defineConfig({
  resolve,
  ssr: { resolve },
  test: { include: ["test/**/*.test.ts"], testTimeout: 120_000, hookTimeout: 120_000, fileParallelism: false },
});
