// Drives the Claude Agent SDK: `node agent_sdk.mjs PROMPT`. Address and key come from the user's settings of Claude Code.
import { query } from "@anthropic-ai/claude-agent-sdk";

const options = { settingSources: ["user"], allowedTools: ["Bash", "Read"], cwd: process.cwd() };
let failed = true;
for await (const message of query({ prompt: process.argv[2], options })) {
  if (message.type === "result") {
    failed = message.is_error;
    console.log(message.result ?? JSON.stringify(message));
  }
}
process.exitCode = failed ? 1 : 0;
