// PostGraphile as it is meant to be run: a process for each processor behind one port, watching and explaining
// switched off. Prints the port once all of them listen.
import cluster from "node:cluster";
import { createServer } from "node:http";
import { availableParallelism } from "node:os";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { grafserv } from "postgraphile/grafserv/node";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { makeV4Preset } from "postgraphile/presets/v4";

const COUNT = availableParallelism();

if (cluster.isPrimary) {
  let listening = 0;
  cluster.on("listening", (_, { port }) => {
    listening += 1;
    if (listening === COUNT) process.stdout.write(`${port}\n`);
  });
  cluster.on("exit", () => process.exit(1));
  for (const signal of ["SIGTERM", "SIGINT"]) {
    process.on(signal, () => {
      for (const worker of Object.values(cluster.workers)) worker.process.kill();
      process.exit(0);
    });
  }
  for (let worker = 0; worker < COUNT; worker += 1) cluster.fork();
} else {
  const preset = {
    extends: [PostGraphileAmberPreset, makeV4Preset({ simpleCollections: "only" })],
    pgServices: [
      makePgService({ connectionString: process.env.PEER_URL, schemas: [process.env.PEER_SCHEMA], max: 10 }),
    ],
    grafserv: { watch: false, graphiql: false },
    grafast: { explain: false },
  };
  const server = createServer();
  await postgraphile(preset).createServ(grafserv).addTo(server);
  server.listen(0, "127.0.0.1");
}
