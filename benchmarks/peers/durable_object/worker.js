/**
 * A share as a Durable Object, of our own writing. It does what the original's sync server does with a publication: it
 * awaits the copy in the bucket, then its own storage, and then sends the frame to every socket. A new socket is sent
 * every stored item.
 */
import { DurableObject } from "cloudflare:workers";

const SHORT_NAME = 8; // characters of a session's id that name its share
const SESSION = "session/"; // prefix of the keys of items
const SECRET = "secret";

export class Share extends DurableObject {
  /** Return the share's secret, which is made once. */
  async create() {
    const known = await this.ctx.storage.get(SECRET);
    if (known) return known;
    const made = crypto.randomUUID();
    await this.ctx.storage.put(SECRET, made);
    return made;
  }

  /** Store one item and send it to every viewer; return false for a wrong secret. */
  async publish(secret, key, content) {
    if (secret !== (await this.ctx.storage.get(SECRET))) return false;
    const copy = { httpMetadata: { contentType: "application/json" } };
    await this.env.BUCKET.put(`share/${key}.json`, JSON.stringify(content), copy);
    await this.ctx.storage.put(key, content);
    const frame = JSON.stringify({ key, content });
    for (const viewer of this.ctx.getWebSockets()) viewer.send(frame);
    return true;
  }

  /** Accept a viewer's socket and send it every stored item, in the order of keys. */
  async fetch() {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    const stored = await this.ctx.storage.list({ prefix: SESSION });
    for (const [key, content] of stored) server.send(JSON.stringify({ key, content }));
    return new Response(null, { status: 101, webSocket: client });
  }

  /** Ignore what a viewer sends. */
  async webSocketMessage() {}

  /** Answer the end of a socket. */
  async webSocketClose(viewer, code) {
    viewer.close(code);
  }
}

export default {
  /** Pass a request to the object of its share. */
  async fetch(request, env) {
    const url = new URL(request.url);
    switch (`${request.method} ${url.pathname}`) {
      case "POST /share_create": {
        const { sessionID } = await request.json();
        const name = sessionID.slice(-SHORT_NAME);
        return Response.json({ secret: await object(env, name).create(), url: `${url.origin}/s/${name}` });
      }
      case "POST /share_sync": {
        const { sessionID, secret, key, content } = await request.json();
        const accepted = await object(env, sessionID.slice(-SHORT_NAME)).publish(secret, key, content);
        return Response.json({}, { status: accepted ? 200 : 403 });
      }
      case "GET /share_poll":
        if (request.headers.get("Upgrade") !== "websocket") return new Response(null, { status: 426 });
        return object(env, url.searchParams.get("id")).fetch(request);
      default:
        return new Response(null, { status: 404 });
    }
  },
};

function object(env, name) {
  return env.SHARES.get(env.SHARES.idFromName(name));
}
