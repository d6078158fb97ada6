/**
 * A plain server for shared sessions: `node server.js <state folder> <NORMAL|FULL>`. SQLite in WAL mode stores the items.
 * With synchronous=NORMAL an acknowledged item survives a killed process, with FULL a power cut. Prints the port, and
 * ends when its standard input does, so that it does not outlive the benchmark.
 */
import Database from "better-sqlite3";
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { WebSocketServer } from "ws";

const SHORT_NAME = 8; // characters of a session's id that name its share
const [state, synchronous] = process.argv.slice(2);

const database = new Database(`${state}/shares.db`);
database.pragma("journal_mode = WAL");
database.pragma(`synchronous = ${synchronous}`);
database.exec(`
  CREATE TABLE IF NOT EXISTS shares (name TEXT PRIMARY KEY, secret TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS items (
    share TEXT NOT NULL, key TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (share, key)
  ) WITHOUT ROWID;
`);
const insertShare = database.prepare("INSERT INTO shares VALUES (?, ?) ON CONFLICT DO NOTHING");
const secretOf = database.prepare("SELECT secret FROM shares WHERE name = ?").pluck();
const upsertItem = database.prepare(
  "INSERT INTO items VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET content = excluded.content",
);
const itemsOf = database.prepare("SELECT key, content FROM items WHERE share = ? ORDER BY key");

const viewers = new Map(); // name of a share -> its sockets
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });
const server = createServer(async (request, answer) => {
  const route = routes[`${request.method} ${request.url}`];
  const [status, value] = route ? route(JSON.parse(await body(request))) : [404, {}];
  answer.writeHead(status, { "Content-Type": "application/json" });
  answer.end(JSON.stringify(value));
});

const routes = {
  "POST /share_create": ({ sessionID }) => {
    const name = sessionID.slice(-SHORT_NAME);
    insertShare.run(name, randomUUID());
    return [200, { secret: secretOf.get(name), url: `/s/${name}` }];
  },
  "POST /share_sync": ({ sessionID, secret, key, content }) => {
    const name = sessionID.slice(-SHORT_NAME);
    if (secret !== secretOf.get(name)) return [403, {}];
    const text = JSON.stringify(content);
    upsertItem.run(name, key, text);
    for (const viewer of viewers.get(name) ?? []) viewer.send(frame(key, text));
    return [200, {}];
  },
};

server.on("upgrade", (request, connection, head) => {
  const url = new URL(request.url, "http://localhost");
  if (url.pathname !== "/share_poll") return connection.destroy();
  sockets.handleUpgrade(request, connection, head, (viewer) => follow(viewer, url.searchParams.get("id")));
});
server.keepAliveTimeout = 0; // publishers pause
server.listen(0, "127.0.0.1", 1024, () => console.log(server.address().port));

for (const event of ["end", "close"]) process.stdin.once(event, () => process.exit(0));
process.once("SIGTERM", () => process.exit(0));
process.stdin.resume();

/** Send a viewer every stored item, and from now on each new one. */
function follow(viewer, name) {
  const others = viewers.get(name) ?? new Set();
  viewers.set(name, others.add(viewer));
  viewer.on("close", () => others.delete(viewer));
  viewer.on("error", () => viewer.terminate());
  for (const { key, content } of itemsOf.iterate(name)) viewer.send(frame(key, content));
}

function frame(key, content) {
  return `{"key":${JSON.stringify(key)},"content":${content}}`;
}

async function body(request) {
  const pieces = [];
  for await (const piece of request) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}
