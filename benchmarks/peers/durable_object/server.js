/**
 * Run the Durable Object under workerd: `node server.js <state folder>`. Prints the port, and ends when its standard
 * input does, so that it does not outlive the benchmark.
 */
import { Miniflare } from "miniflare";
import { fileURLToPath } from "node:url";

const [state] = process.argv.slice(2);
const runtime = new Miniflare({
  host: "127.0.0.1",
  port: 0,
  cf: false, // do not ask the internet for a made-up location
  modules: true,
  scriptPath: fileURLToPath(new URL("worker.js", import.meta.url)),
  compatibilityDate: "2026-04-01",
  durableObjects: { SHARES: { className: "Share", useSQLite: true } },
  durableObjectsPersist: `${state}/objects`,
  r2Buckets: ["BUCKET"],
  r2Persist: `${state}/bucket`,
});
console.log((await runtime.ready).port);

for (const event of ["end", "close"]) process.stdin.once(event, stop);
process.once("SIGTERM", stop);
process.stdin.resume();

async function stop() {
  await runtime.dispose();
  process.exit(0);
}
