// How a part is shown to a reader. opencode_cloud/sharing/rendering/blocks.py has the same rules: change both together.

import { gettext as _, gettext_noop } from "./words.js"

// Only these are shown as pictures: SVG can contain scripts, and a remote URL would reveal the reader to its owner.
const IMAGE = /^data:image\/(?:png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}$/
const DATA_URL = /^data:[^,]{0,200};base64,/
const ANSI = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])/g
// Control characters, and marks that show a text in another order than a compiler or a shell reads it.
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g
const HOME =
  /(?:(?<=file:\/\/)|(?<![A-Za-z0-9_./~-]))(?:\/home\/|\/Users\/|[A-Za-z]:\\Users\\)[^\x00-\x20/\\"'`:;,<>|()[\]{}]+/g
const BOOKKEEPING = new Set(["step-start", "step-finish", "snapshot"])
const TELLING = ["description", "filePath", "path", "pattern", "command", "url", "query", "prompt"]
// The words of clients for the progress of a call that readers see.
const PROGRESS = new Set([
  gettext_noop("pending"),
  gettext_noop("running"),
  gettext_noop("error"),
  gettext_noop("rejected"),
  gettext_noop("unknown"),
])
const LATEST = 253_402_300_799_999 // the end of the year 9999

// Reading untrusted JSON: a value of the wrong type counts as absent.
export const text = (value) => (typeof value === "string" ? value : "")
export const array = (value) => (Array.isArray(value) ? value : [])
export const mapping = (value) => (value !== null && typeof value === "object" && !Array.isArray(value) ? value : {})
export const mappings = (value) =>
  array(value).filter((each) => each !== null && typeof each === "object" && !Array.isArray(each))
export const number = (value) => (Number.isFinite(value) && Math.abs(value) < 1e300 ? value : null)
const count = (value) => Math.max(0, Math.trunc(number(value) ?? 0))
export const milliseconds = (value) => {
  const time = number(value)
  return time !== null && time > 0 && time <= LATEST ? Math.trunc(time) : null
}
const joined = (separator, ...words) => words.filter(Boolean).join(separator)

/** Text without terminal escapes and control characters; home directories become `~`. */
export function plain(value) {
  return withoutHome(value.replace(ANSI, "").replace(/\r\n?/g, "\n").replace(CONTROL, ""))
}

/** Text with `~` in place of home directories, whose names are those of people. */
export const withoutHome = (value) => value.replace(HOME, "~")

/** The output of a terminal as its control sequences and texts: [sequence before, text]. */
export function styled(value) {
  const found = []
  const output = value.replace(/\r\n?/g, "\n")
  let at = 0
  let sequence = ""
  for (const match of output.matchAll(ANSI)) {
    found.push([sequence, output.slice(at, match.index).replace(CONTROL, "")])
    at = match.index + match[0].length
    sequence = match[0]
  }
  found.push([sequence, output.slice(at).replace(CONTROL, "")])
  return found
}

/** Text as one line of at most `limit` characters. */
export function line(value, limit = 300) {
  const words = Array.from(plain(Array.from(value.slice(0, limit * 8)).slice(0, limit * 4).join("")).trim().replace(/\s+/g, " "))
  return words.length <= limit ? words.join("") : words.slice(0, limit - 1).join("") + "…"
}

/** The block to show for a part; null for bookkeeping and for text that is empty or not meant for readers. */
export function block(part) {
  const kind = text(part.type)
  if (BOOKKEEPING.has(kind)) return null
  if (kind === "text" || kind === "reasoning") {
    const words = plain(text(part.text))
    const time = mapping(part.time)
    const finished = milliseconds(time.start) === null || milliseconds(time.end) !== null
    return !words.trim() || part.synthetic === true ? null : { kind, text: words, finished }
  }
  if (kind === "tool") return tool(part)
  if (kind === "file") return file(part)
  const words = note(kind, part)
  return words
    ? { kind: "note", text: words, target: text(part.tail_start_id) }
    : { kind: "unknown", type: line(kind, 64) || "none", json: JSON.stringify(part) }
}

function note(kind, part) {
  switch (kind) {
    case "compaction":
      return compaction(part)
    case "agent":
      return _("Agent: %(name)s", { name: line(text(part.name)) })
    case "subtask":
      return _("Subtask for %(agent)s: %(words)s", {
        agent: line(text(part.agent), 64) || _("an agent"),
        words: line(text(part.description) || text(part.prompt)),
      })
    case "retry":
      return _("Retry %(number)s: %(error)s", { number: count(part.attempt), error: failure(part.error) })
    case "patch": {
      const names = array(part.files).filter((name) => typeof name === "string")
      if (!names.length) return _("Changed no file")
      return _("Changed %(files)s", { files: names.map((name) => line(name)).join(", ") })
    }
    default:
      return ""
  }
}

function compaction(part) {
  const words = part.auto === true ? _("Context compacted automatically") : _("Context compacted")
  const cause = part.overflow === true ? _(", because it was full") : ""
  const effect = part.tail_start_id ? _(": a summary replaces the messages before this one") : ""
  return words + cause + effect
}

function file(part) {
  const url = text(part.url)
  const name = line(text(part.filename), 200) || _("file")
  const inline = DATA_URL.exec(url)
  const bytes = inline ? Math.floor(((url.length - inline[0].length) * 3) / 4) : 0
  const caption = joined(" · ", name, line(text(part.mime), 100), bytes ? size(bytes) : "")
  return { kind: "file", name, caption, image: IMAGE.test(url) ? url : "" }
}

function tool(part) {
  const state = mapping(part.state)
  const given = mapping(state.input)
  const metadata = mapping(state.metadata)
  const patch = plain(text(metadata.diff))
  const name = line(text(part.tool), 100) || "tool"
  const error = plain(text(state.error))
  const time = duration(mapping(state.time))
  const telling = TELLING.map((key) => text(given[key])).find(Boolean) ?? ""
  const code = number(metadata.exit)
  let status = line(text(state.status), 20) || "unknown"
  if (status === "completed" && code) status = "failed"
  else if (status === "error" && error.includes("rejected permission")) status = "rejected"
  const progress = { completed: "", failed: _("exit %(code)s", { code: Math.trunc(code ?? 0) }) }
  return {
    kind: "tool",
    name,
    status,
    state: joined(" ", Object.hasOwn(progress, status) ? progress[status] : PROGRESS.has(status) ? _(status) : status, time),
    title: line(text(state.title) || telling),
    input: plain(typeof state.input === "string" ? state.input : inputs(name, given, patch)),
    output: plain(text(state.output)),
    error,
    patch,
    attachments: mappings(state.attachments).map(file),
    data: state,
  }
}

function inputs(name, given, patch) {
  if (name === "bash" && text(given.command)) return `$ ${given.command}`
  return Object.entries(given)
    .filter(([key]) => !(patch && (key === "oldString" || key === "newString"))) // the patch shows the same, readably
    .map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)])
    .map(([key, value]) => (value.includes("\n") ? `${key}:\n${value}` : `${key}: ${value}`))
    .join("\n")
}

const duration = (time) => lasting(milliseconds(time.start), milliseconds(time.end))

/** The time between two moments in milliseconds; empty if one is unknown. */
export function lasting(start, end) {
  if (start === null || end === null || end < start) return ""
  const tenths = Math.floor((end - start + 50) / 100)
  if (tenths < 600) return _("%(seconds)s s", { seconds: `${Math.floor(tenths / 10)}.${tenths % 10}` })
  return _("%(minutes)s min %(seconds)s s", { minutes: Math.floor(tenths / 600), seconds: Math.floor(tenths / 10) % 60 })
}

/** The client's error in one line; empty if there was none. */
export function failure(error) {
  if (typeof error === "string") return line(error)
  const known = mapping(error)
  const name = text(known.name)
  if (name === "MessageAbortedError") return _("Interrupted")
  const words = line(joined(": ", name, text(mapping(known.data).message) || text(known.message)))
  return words || (Object.keys(known).length ? _("Error") : "")
}

/** The file changes of a session or a message. */
export function diffs(value) {
  return mappings(value)
    .filter((each) => text(each.file) || text(each.patch))
    .map((each) => ({
      file: line(text(each.file)),
      status: line(text(each.status), 20) || "modified",
      additions: count(each.additions),
      deletions: count(each.deletions),
      patch: plain(text(each.patch)),
      before: plain(text(each.before)),
      after: plain(text(each.after)),
    }))
}

/** A number of bytes in readable units. */
export function size(length) {
  for (const [unit, step] of [["MB", 1e6], ["KB", 1e3]]) {
    const tenths = Math.floor((length * 10) / step)
    if (length >= step) return `${Math.floor(tenths / 10)}.${tenths % 10} ${unit}`
  }
  return `${length} B`
}

/** Milliseconds, tokens sent, tokens of them from the cache, tokens received, hundredths of a cent. */
export function figures(message, start, end) {
  const tokens = mapping(message.tokens)
  const cache = mapping(tokens.cache)
  return [
    start !== null && end !== null && end >= start ? end - start : 0,
    count(tokens.input) + count(cache.read) + count(cache.write),
    count(cache.read),
    count(tokens.output) + count(tokens.reasoning),
    Math.trunc(Math.min(number(message.cost) ?? 0, 1e9) * 10_000 + 0.5),
  ]
}

/** Tokens and US dollars used by a session or message. */
export const usage = (message) => described(...figures(message, null, null).slice(1))

/** Tokens and US dollars in words. */
export function described(sent, cached, received, cost) {
  const share = sent ? Math.floor((cached * 100) / sent) : 0
  const words = []
  if (sent || received) {
    const tokens = grouped(sent)
    words.push(
      share ? _("%(tokens)s tokens in (%(share)s %% cached)", { tokens, share }) : _("%(tokens)s tokens in", { tokens }),
      _("%(tokens)s out", { tokens: grouped(received) }),
    )
  }
  if (cost > 0) words.push(`$${Math.floor(cost / 10_000)}.${String(cost % 10_000).padStart(4, "0")}`)
  return words.join(" · ")
}

const grouped = (value) => value.toLocaleString("en-US")

/** Date and minute, UTC; empty if unknown. */
export function moment(time) {
  return time === null ? "" : `${new Date(time).toISOString().slice(0, 16).replace("T", " ")} UTC`
}

/** The id of a model that is given as an object. */
export const modelId = (model) => text(mapping(model).modelID) || text(mapping(model).id)
