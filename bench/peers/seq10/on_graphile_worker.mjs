// graphile-worker has jobs, not workflows: a run is a chain of ten jobs, each of which queues the next.
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import pg from "pg";
import { serve, STEPS } from "./serve.mjs";

const pgPool = new pg.Pool({ connectionString: process.env.PEER_URL, max: 24 });
const logger = new Logger(() => () => {});
const waiting = new Map();
await run({
  pgPool,
  logger,
  concurrency: 16,
  // Only a safety net: a new job is announced by NOTIFY.
  pollInterval: 500,
  noHandleSignals: true,
  taskList: {
    step: async ({ number, step }, { addJob }) => {
      if (step + 1 < STEPS) return void (await addJob("step", { number, step: step + 1 }));
      waiting.get(number)();
      waiting.delete(number);
    },
  },
});
const utils = await makeWorkerUtils({ pgPool, logger });

await serve(async (number) => {
  const ended = new Promise((resolve) => waiting.set(number, resolve));
  await utils.addJob("step", { number, step: 0 });
  await ended;
});
process.exit(0);
