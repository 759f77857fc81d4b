// The loop of every Node.js driver: as in serve.py.
import { createInterface } from "node:readline";

export const STEPS = 10;

// Answers requests; `run` starts one run of ten steps under the given number and resolves when it has ended.
export async function serve(run) {
  // What a library prints must not be taken for an answer.
  console.log = console.info = console.error;
  const answer = (value) => process.stdout.write(JSON.stringify(value) + "\n");
  answer({ ready: true });
  let started = 0;
  for await (const line of createInterface({ input: process.stdin })) {
    const { runs, at_once } = JSON.parse(line);
    const end = started + runs;
    const ms = [];
    const oneAfterAnother = async () => {
      while (started < end) {
        const begun = performance.now();
        await run(started++);
        ms.push(performance.now() - begun);
      }
    };
    const begun = performance.now();
    await Promise.all(Array.from({ length: at_once }, oneAfterAnother));
    answer({ seconds: (performance.now() - begun) / 1000, ms });
  }
}
