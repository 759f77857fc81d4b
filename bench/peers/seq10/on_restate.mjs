// Calls Restate's ingress and waits for each workflow's result.
import http from "node:http";
import { serve, STEPS } from "./serve.mjs";

const agent = new http.Agent({ keepAlive: true, maxSockets: 256 });
const { hostname, port } = new URL(process.env.PEER_URL);

await serve(
  (number) =>
    new Promise((resolve, reject) => {
      const request = { agent, hostname, port, path: `/Seq10/${number}/run`, method: "POST" };
      http
        .request(request, (response) => {
          let body = "";
          response.on("data", (data) => (body += data));
          response.on("end", () =>
            response.statusCode === 200 && Number(body) === STEPS
              ? resolve()
              : reject(new Error(`Restate answered ${response.statusCode}: ${body}`)),
          );
        })
        .on("error", reject)
        .end();
    }),
);
process.exit(0);
