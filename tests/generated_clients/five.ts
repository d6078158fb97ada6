// Five operations by the generated types: `node five.js URL TOKEN WORKSPACE`. It prints the answers as JSON.
import createClient from "openapi-fetch";
import type { paths } from "./api.js";

declare const process: { argv: string[]; exit(status: number): never };

const [url = "", token = "", workspace = ""] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${token}` } });

function must<Data>(step: string, answer: { data?: Data; error?: unknown }): Data {
  if (answer.data === undefined) {
    console.error(step, JSON.stringify(answer.error));
    process.exit(1);
  }
  return answer.data;
}

const keys = "/api/v1/workspaces/{workspace}/keys";
const path = { workspace };
const read = must("read", await api.GET("/api/v1/workspaces/{workspace}", { params: { path } }));
const made = must("create", await api.POST(keys, { params: { path }, body: { name: "typed", scopes: ["usage"] } }));
const narrowed = must(
  "narrow",
  await api.PATCH(`${keys}/{key}`, { params: { path: { workspace, key: made.id } }, body: { name: "narrowed" } }),
);
const listed = must("list", await api.GET(keys, { params: { path } }));
const exported = must(
  "export",
  await api.GET("/api/v1/workspaces/{workspace}/audit/export", { params: { path }, parseAs: "text" }),
);
console.log(
  JSON.stringify({
    workspace: read.name,
    secret: made.secret,
    narrowed: narrowed.name,
    listed: listed.data.map((key) => key.name),
    exported,
  }),
);
