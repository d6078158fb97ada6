// Patches line by line. opencode_cloud/sharing/rendering/patches.py has the same rules: change both together.

import { h } from "./nodes.js"
import { gettext_noop, ngettext } from "./words.js"

const FOLDED = 400 // lines from which a change is folded
const HEAD = 200 // lines that are shown of a folded one
const CONTEXT = 3
const HUNK = /^@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@/
const WORD = /[A-Za-z0-9_]+|[^A-Za-z0-9_]/gu
const LONGEST_LINE = 1_000 // characters of a line whose words are compared
const NOTHING = "/dev/null"
const ENVELOPE = /^\*\*\* (Add|Update|Delete) File: (.{1,400})$/u
const SIGNS = { added: "+", removed: "-", hunk: "", "": " " }

class Reader {
  files = []
  #old = 0
  #new = 0
  #oldLeft = 0 // lines of the present hunk; -1 for a hunk without numbers
  #newLeft = 0
  #git = false

  read(line) {
    if ((this.#oldLeft > 0 || this.#newLeft > 0) && ["+", "-", " ", "\\", ""].includes(line.slice(0, 1))) this.#content(line)
    else if (line.startsWith("@@")) this.#hunk(line)
    else if (line.startsWith("Index: ")) this.#begin(line.slice("Index: ".length), false)
    else if (line.startsWith("diff ")) this.#begin("", true)
    else if (line.startsWith("*** ")) this.#envelope(line)
    else if ((line.startsWith("--- ") || line.startsWith("+++ ")) && this.#oldLeft >= 0) this.#name(line)
    else if (this.#oldLeft < 0) this.#content(line)
  }

  #envelope(line) {
    const found = ENVELOPE.exec(line)
    if (!found) return
    this.#begin(found[2], false)
    this.#present().status = { Add: gettext_noop("added"), Delete: gettext_noop("deleted") }[found[1]] ?? gettext_noop("modified")
    this.#oldLeft = this.#newLeft = -1
  }

  #begin(name, git) {
    this.files.push({ file: trimmed(name), status: "modified", lines: [] })
    this.#git = git
    this.#oldLeft = this.#newLeft = this.#old = this.#new = 0
  }

  #present() {
    if (!this.files.length) this.#begin("", false)
    return this.files.at(-1)
  }

  #name(line) {
    const name = trimmed(line.slice(4).split("\t", 1)[0])
    const before = line.startsWith("---")
    if (!this.files.length || (before && this.files.at(-1).lines.length)) this.#begin("", false)
    const file = this.files.at(-1)
    if (name === NOTHING) {
      file.status = before ? "added" : "deleted"
      return
    }
    if (!before || !file.file) file.file = this.#git && /^[ab]\//.test(name) ? name.slice(2) : name
  }

  #hunk(line) {
    const found = HUNK.exec(line)
    this.#present().lines.push({ kind: "hunk", old: 0, new: 0, text: line })
    this.#old = found ? Number(found[1]) : 0
    this.#new = found ? Number(found[3]) : 0
    this.#oldLeft = found ? Number(found[2] ?? 1) : -1
    this.#newLeft = found ? Number(found[4] ?? 1) : -1
  }

  #content(line) {
    const numbered = this.#oldLeft >= 0
    const mark = line.slice(0, 1)
    if (mark === "\\") return
    const kind = { "+": "added", "-": "removed" }[mark] ?? ""
    this.#present().lines.push({
      kind,
      old: numbered && kind !== "added" ? this.#old : 0,
      new: numbered && kind !== "removed" ? this.#new : 0,
      text: ["+", "-", " "].includes(mark) ? line.slice(1) : line,
    })
    if (!numbered) return
    if (kind !== "added") {
      this.#old += 1
      this.#oldLeft = Math.max(0, this.#oldLeft - 1)
    }
    if (kind !== "removed") {
      this.#new += 1
      this.#newLeft = Math.max(0, this.#newLeft - 1)
    }
  }
}

const trimmed = (words) => {
  let begin = 0
  let end = words.length
  while (begin < end && words[begin] === " ") begin += 1
  while (end > begin && words[end - 1] === " ") end -= 1
  return words.slice(begin, end)
}

const counted = (file) => ({
  ...file,
  additions: file.lines.filter((line) => line.kind === "added").length,
  deletions: file.lines.filter((line) => line.kind === "removed").length,
})

/** The files of a patch: {file, status, lines, additions, deletions}. */
export function filesOf(patch) {
  const reader = new Reader()
  let end = patch.length
  while (end > 0 && patch[end - 1] === "\n") end -= 1
  for (const line of patch.slice(0, end).split("\n")) reader.read(line)
  return reader.files.filter(({ file, lines }) => file || lines.length).map(counted)
}

/** The change from one text to another. */
export function replacement(file, before, after) {
  const [old, now] = [split(before), split(after)]
  const head = common(old, now)
  const tail = common(old.slice(head).reverse(), now.slice(head).reverse())
  const lines = []
  for (let at = Math.max(0, head - CONTEXT); at < head; at += 1) lines.push({ kind: "", old: at + 1, new: at + 1, text: old[at] })
  for (let at = head; at < old.length - tail; at += 1) lines.push({ kind: "removed", old: at + 1, new: 0, text: old[at] })
  for (let at = head; at < now.length - tail; at += 1) lines.push({ kind: "added", old: 0, new: at + 1, text: now[at] })
  for (let step = 0; step < Math.min(CONTEXT, tail); step += 1) {
    const at = old.length - tail + step
    lines.push({ kind: "", old: at + 1, new: now.length - tail + step + 1, text: old[at] })
  }
  return counted({ file, status: !before && after ? "added" : "modified", lines })
}

function split(text) {
  const lines = text.split("\n")
  return lines.at(-1) === "" ? lines.slice(0, -1) : lines
}

function common(one, other) {
  const length = Math.min(one.length, other.length)
  for (let at = 0; at < length; at += 1) if (one[at] !== other[at]) return at
  return length
}

/** The elements of a change. */
export function patchNodes(lines, language = "", file = "") {
  if (!lines.length) return []
  const shown = linesOf(lines)
  if (shown.length <= FOLDED) return [pre(shown, language, file)]
  const hidden = shown.slice(HEAD)
  const words = ngettext("%(num)s line hidden", "%(num)s lines hidden", hidden.length)
  return [
    pre(shown.slice(0, HEAD), language, file),
    h("details", { class: "more" }, h("summary", {}, words), pre(hidden, language, file)),
  ]
}

const pre = (lines, language, file) =>
  h("pre", { class: "patch", tabindex: "0", "data-file": file, ...(language ? { "data-language": language } : {}) }, ...lines)

function linesOf(lines) {
  const shown = []
  for (let at = 0; at < lines.length; ) {
    const removed = run(lines, at, "removed")
    const added = run(lines, at + removed, "added")
    if (!removed && !added) {
      shown.push(lineOf(lines[at], [lines[at].text]))
      at += 1
      continue
    }
    const marks = Array.from({ length: Math.min(removed, added) }, (_, n) =>
      marked(lines[at + n].text, lines[at + removed + n].text),
    )
    for (let n = 0; n < removed; n += 1) shown.push(lineOf(lines[at + n], marks[n]?.[0] ?? [lines[at + n].text]))
    for (let n = 0; n < added; n += 1) {
      const line = lines[at + removed + n]
      shown.push(lineOf(line, marks[n]?.[1] ?? [line.text]))
    }
    at += removed + added
  }
  return shown
}

function run(lines, at, kind) {
  let end = at
  while (end < lines.length && lines[end].kind === kind) end += 1
  return end - at
}

function lineOf(line, words) {
  const attributes = { class: line.kind ? `line ${line.kind}` : "line" }
  if (line.old) attributes["data-old"] = String(line.old)
  if (line.new) attributes["data-new"] = String(line.new)
  return h("span", attributes, SIGNS[line.kind], ...words, "\n")
}

function marked(before, after) {
  if (Math.max(before.length, after.length) > LONGEST_LINE) return [[before], [after]]
  const [old, now] = [before.match(WORD) ?? [], after.match(WORD) ?? []]
  const head = common(old, now)
  const tail = common(old.slice(head).reverse(), now.slice(head).reverse())
  const similar = solid(old.slice(0, head)) + solid(old.slice(old.length - tail))
  if (similar * 3 < Math.max(solid(old), solid(now))) return [[before], [after]]
  return [withMark(old, head, tail), withMark(now, head, tail)]
}

const solid = (words) => words.filter((word) => word !== " " && word !== "\t").length

function withMark(words, head, tail) {
  const middle = words.slice(head, words.length - tail).join("")
  if (!middle) return [words.join("")]
  return [words.slice(0, head).join(""), h("mark", {}, middle), words.slice(words.length - tail).join("")]
}
