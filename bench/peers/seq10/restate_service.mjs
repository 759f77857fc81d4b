// The service that Restate's server calls: a workflow of ten durable steps. Says its port once it listens.
import http2 from "node:http2";
import * as restate from "@restatedev/restate-sdk";
import { STEPS } from "./serve.mjs";

const seq10 = restate.workflow({
  name: "Seq10",
  handlers: {
    run: async (ctx) => {
      let sum = 0;
      for (let step = 0; step < STEPS; step++) sum += await ctx.run(`s${step}`, () => 1);
      return sum;
    },
  },
});

const server = http2.createServer(restate.createEndpointHandler({ services: [seq10] }));
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
