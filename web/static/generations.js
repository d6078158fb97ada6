// Sessions of other generations of clients, read as items of present ones.
// opencode_cloud/sharing/rendering/generations.py has the same rules: change both together.

import { mapping, mappings, text } from "./blocks.js"

const ABOUT = ["cost", "tokens", "modelID", "providerID", "path"]
const STATUS = new Map([
  ["partial-call", "pending"],
  ["call", "running"],
  ["result", "completed"],
])
const isObject = (value) => value !== null && typeof value === "object" && !Array.isArray(value)

/** Whether a message has its parts inside, and facts about it in `metadata`. */
export const isFirstGeneration = (item) =>
  item.type === "message" && isObject(item.data) && isObject(item.data.metadata) && Array.isArray(item.data.parts)

/** A message of the first generation as items: the message, and its parts. */
export function firstGeneration(item) {
  const { seq, at, key, data } = item
  const metadata = mapping(data.metadata)
  const assistant = mapping(metadata.assistant)
  const about = Object.fromEntries(ABOUT.filter((name) => name in assistant).map((name) => [name, assistant[name]]))
  const error = metadata.error ? { error: metadata.error } : {}
  const message = { id: data.id, role: data.role, time: metadata.time, ...about, ...error }
  const name = key.slice("message/".length)
  return [
    { seq, at, type: "message", key, data: message },
    ...mappings(data.parts).map((part, index) => ({
      seq,
      at,
      type: "part",
      key: `part/${name}/${String(index).padStart(6, "0")}`,
      data: firstGenerationPart(part, metadata),
    })),
  ]
}

function firstGenerationPart(part, metadata) {
  if (part.type === "file") return { ...part, mime: part.mediaType }
  if (part.type !== "tool-invocation") return part
  const call = mapping(part.toolInvocation)
  const about = mapping(mapping(metadata.tool)[text(call.toolCallId)])
  const status = STATUS.get(text(call.state)) ?? "unknown"
  const state = { status, input: call.args, output: call.result, title: about.title, time: about.time, metadata: about }
  return { type: "tool", tool: call.toolName, state }
}

/** Whether a part came inside a message: its key then ends with its position there, and with an id otherwise. */
export const isInside = (key) => /\/\d{6,}$/.test(key)

/** A second-generation client's item of all messages as items: messages and parts. */
export function secondGeneration(item) {
  return mappings(mapping(item.data).messages).flatMap((message, position) => {
    const name = text(message.id).replaceAll("/", "-") || String(position).padStart(6, "0")
    const stamp = { seq: item.seq, at: item.at }
    const role = text(message.type) || text(message.role)
    return [
      { ...stamp, type: "message", key: `message/${name}`, data: { ...message, role } },
      ...secondGenerationParts(message).map((data, index) => ({
        ...stamp,
        type: "part",
        key: `part/${name}/${String(index).padStart(6, "0")}`,
        data,
      })),
    ]
  })
}

function secondGenerationParts(message) {
  const words = ["text", "summary"].filter((name) => typeof message[name] === "string")
  const parts = words.map((name) => ({ type: "text", text: message[name] }))
  if (typeof message.command === "string") {
    const state = { status: "completed", input: { command: message.command }, output: message.output }
    parts.push({ type: "tool", tool: "bash", state })
  }
  for (const part of mappings(message.content)) {
    const state = mapping(part.state)
    const output = mappings(state.content).map((each) => text(each.text)).filter(Boolean).join("\n")
    const error = text(mapping(state.error).message)
    parts.push(
      part.type === "tool"
        ? { type: "tool", tool: part.name, state: { ...state, title: part.title, output, error } }
        : part,
    )
  }
  return parts
}
