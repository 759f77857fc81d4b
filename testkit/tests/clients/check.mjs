// The protocol double of KurrentDB as the Node client `@kurrent/kurrentdb-client` meets it: append, read, conflict,
// catch up. The client is loaded from the directory that is named first.
import { createRequire } from "node:module";
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";

const [directory, url] = process.argv.slice(2);
const require = createRequire(`${directory}/`);
const { KurrentDBClient, binaryEvent, jsonEvent, NO_STREAM, ANY, START, END, BACKWARDS, streamNameFilter,
  WrongExpectedVersionError, StreamNotFoundError } = require("@kurrent/kurrentdb-client");

const client = KurrentDBClient.connectionString(url);
const stream = `node-${randomUUID()}`;
const events = [...Array(5).keys()].map((n) => binaryEvent({
  id: randomUUID(), type: "Said", data: Buffer.from(`${n}`), metadata: Buffer.from([0, 255]),
}));

const first = await client.appendToStream(stream, events.slice(0, 3), { streamState: NO_STREAM });
assert.equal(first.nextExpectedRevision, 2n);
// With credentials of its own, the client takes the plain append instead of the batch.
const [, username = "u", password = "p"] = /:\/\/([^:@/]+):([^@]+)@/.exec(url) ?? [];
const second = await client.appendToStream(stream, events.slice(3), { streamState: 2n, credentials: { username, password } });
assert.equal(second.nextExpectedRevision, 4n);
assert.ok(second.position.commit > first.position.commit);

const read = [];
for await (const { event } of client.readStream(stream)) read.push(event);
assert.deepEqual(read.map((event) => event.id), events.map((event) => event.id));
assert.deepEqual(read.map((event) => Buffer.from(event.data).toString()), ["0", "1", "2", "3", "4"]);
assert.deepEqual(Buffer.from(read[0].metadata), Buffer.from([0, 255]));
const last = [];
for await (const { event } of client.readStream(stream, { direction: BACKWARDS, fromRevision: END, maxCount: 1 })) last.push(event);
assert.equal(last[0].revision, 4n);
assert.equal(last[0].position.commit, second.position.commit);

// The same once more is no second time; a wrong expectation is refused and tells what is there.
await client.appendToStream(stream, events.slice(0, 3), { streamState: NO_STREAM });
await assert.rejects(
  client.appendToStream(stream, jsonEvent({ type: "No", data: {} }), { streamState: 1n }),
  (error) => error instanceof WrongExpectedVersionError && `${error.actualState ?? error.actualVersion}` === "4",
);
await assert.rejects(async () => {
  for await (const _ of client.readStream(`node-${randomUUID()}`)) assert.fail("nothing is there");
}, StreamNotFoundError);

// All events with a filter; a read includes its position.
const filter = streamNameFilter({ prefixes: [stream] });
const from = read[2].position;
const some = [];
for await (const { event } of client.readAll({ fromPosition: from, filter })) some.push(event.revision);
assert.deepEqual(some, [2n, 3n, 4n]);

// A catch-up subscription begins after its position, catches up, and goes on live.
const seen = [];
let caughtUp = false;
const subscription = client.subscribeToAll({ fromPosition: from, filter });
subscription.on("caughtUp", () => {
  caughtUp = true;
  client.appendToStream(stream, jsonEvent({ type: "Late", data: { late: true } }), { streamState: ANY });
});
for await (const { event } of subscription) {
  seen.push(event.revision);
  if (seen.length === 3) break;
}
assert.ok(caughtUp);
assert.deepEqual(seen, [3n, 4n, 5n]);
const whole = [];
for await (const { event } of client.subscribeToStream(stream, { fromRevision: START })) {
  whole.push(event.revision);
  if (whole.length === 6) break;
}
assert.deepEqual(whole, [0n, 1n, 2n, 3n, 4n, 5n]);
await client.dispose();
console.log("node: append, read, conflict, catch up: as expected");
process.exit(0);
