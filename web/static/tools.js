// Tool calls as cards. opencode_cloud/sharing/rendering/tools.py has the same rules: change both together.

import { array, line, mapping, mappings, number, plain, text } from "./blocks.js"
import { h, span } from "./nodes.js"
import { filesOf, patchNodes, replacement } from "./patches.js"
import { box, codeBlock, prose, webLink } from "./prose.js"
import { terminal } from "./terminal.js"
import { gettext as _, gettext_noop, ngettext_noop } from "./words.js"

/** Tools that only look. Neighbouring calls of them are shown as one, and counted by these words. */
export const CONTEXT_TOOLS = new Map([
  ["read", ngettext_noop("%(num)s read", "%(num)s reads")],
  ["grep", ngettext_noop("%(num)s search", "%(num)s searches")],
  ["glob", ngettext_noop("%(num)s search", "%(num)s searches")],
  ["list", ngettext_noop("%(num)s list", "%(num)s lists")],
])
const EDITORS = new Set(["edit", "multiedit", "patch", "apply_patch"])
const OPEN = new Set(["todowrite", "todoread", "question"])
const NUMBERED = /^[ \t]{0,20}(\d{1,9})[|:] ?/
const WRAPPER = /^(?:<\/?(?:file|content)>|<(?:path|type)>.{0,1000}<\/(?:path|type)>)$/u
const EXTENSION = /^\.([A-Za-z0-9_]{1,12})$/
const PROBLEMS = 3
const JSON_BEGINS = ['{"', "{\n", '["', "[{"]
const TODO_STATUS = new Map([
  ["completed", gettext_noop("done")],
  ["in_progress", gettext_noop("in progress")],
  ["cancelled", gettext_noop("cancelled")],
  ["pending", gettext_noop("open")],
])
const BODIES = new Map([
  ["bash", shell],
  ["read", read],
  ["write", write],
  ["todowrite", todos],
  ["todoread", todos],
  ["task", task],
  ["webfetch", web],
  ["websearch", documentOf],
  ["codesearch", documentOf],
  ["question", questions],
])

const given = (tool) => mapping(tool.data.input)
const metadata = (tool) => mapping(tool.data.metadata)
const sum = (changes, name) => changes.reduce((total, each) => total + each[name], 0)

/** The card of a tool call, without its attachments. */
export function toolNodes(tool) {
  const changes = changesOf(tool)
  const attributes = { class: "tool", "data-status": tool.status, "data-tool": tool.name }
  if (OPEN.has(tool.name) || tool.status === "error" || tool.status === "rejected") attributes.open = ""
  const counts = changes.length ? lineCounts(sum(changes, "additions"), sum(changes, "deletions")) : []
  const summary = h("summary", {}, h("b", {}, tool.name), span("title", tool.title), ...counts, span("state", tool.state))
  const body = changes.length ? changed(tool, changes) : (BODIES.get(tool.name) ?? anything)(tool)
  if (tool.error) body.push(...terminal(text(tool.data.error), "failure"))
  return [h("details", attributes, summary, ...body)]
}

const pre = (name, words) => (words ? [h("pre", { class: name, tabindex: "0" }, words)] : [])

function output(tool) {
  const words = text(tool.data.output) || text(metadata(tool).output)
  return words ? terminal(words) : []
}

function anything(tool) {
  const shown = pre("input", tool.input || plain(text(tool.data.raw)))
  if (JSON_BEGINS.some((begin) => tool.output.startsWith(begin))) return [...shown, codeBlock(tool.output, "json")]
  return [...shown, ...output(tool)]
}

function shell(tool) {
  return [...pre("input", tool.input), ...output(tool)]
}

function read(tool) {
  const lines = tool.output.split("\n").filter((each) => !WRAPPER.test(each))
  while (lines.length && !lines.at(-1)) lines.pop()
  const numbered = lines.filter((each) => NUMBERED.test(each)).map((each) => each.replace(NUMBERED, ""))
  const words = (numbered.length * 2 > lines.length ? numbered : lines).join("\n")
  return words ? [codeBlock(words, extension(text(given(tool).filePath) || text(given(tool).path)))] : []
}

function write(tool) {
  const content = plain(text(given(tool).content))
  const shown = content ? [codeBlock(content, extension(text(given(tool).filePath)))] : []
  shown.push(...problems(tool))
  return shown.length ? shown : anything(tool)
}

function todos(tool) {
  const listed = [given(tool).todos, metadata(tool).todos].find((each) => mappings(each).length) ?? parsed(text(tool.data.output))
  const found = mappings(listed)
  if (!found.length) return anything(tool)
  const statuses = found.map((todo) => TODO_STATUS.get(text(todo.status)) ?? "open")
  const done = statuses.filter((status) => status === "done").length
  const items = found.map((todo, index) =>
    h("li", { "data-status": statuses[index] }, box(statuses[index]), ` ${line(text(todo.content), 1000)}`),
  )
  const bar = h("progress", { max: String(found.length), value: String(done), "aria-label": _("Tasks done") })
  return [
    h("p", { class: "todo-progress" }, bar, ` ${_("%(done)s of %(total)s done", { done, total: found.length })}`),
    h("ul", { class: "todos" }, ...items),
  ]
}

function parsed(words) {
  try {
    return JSON.parse(words)
  } catch {
    return null // no JSON: the output is shown as it is
  }
}

function task(tool) {
  const agent = line(text(given(tool).subagent_type), 64)
  const prompt = plain(text(given(tool).prompt))
  const shown = agent ? [h("p", { class: "note" }, _("Sub-agent: %(agent)s", { agent }))] : []
  if (prompt) {
    const words = h("div", { class: "prose" }, ...prose(prompt))
    shown.push(h("details", { class: "more" }, h("summary", {}, _("Its task")), words))
  }
  return [...shown, ...documentOf(tool)]
}

function documentOf(tool) {
  return tool.output ? [h("div", { class: "prose document", tabindex: "0" }, ...prose(tool.output))] : []
}

function web(tool) {
  const url = line(text(given(tool).url), 2000)
  return [...(url ? [h("p", { class: "note" }, webLink(url))] : []), ...documentOf(tool)]
}

function questions(tool) {
  const answers = array(metadata(tool).answers)
  const asked = mappings(given(tool).questions)
  if (!asked.length) return anything(tool)
  const shown = asked.map((question, position) => {
    const chosen = array(answers[position]).filter((each) => typeof each === "string").map((each) => line(each))
    const options = mappings(question.options).map((option) => line(text(option.label)))
    const items = [
      ...options.map((option) => choice(option, chosen.includes(option))),
      ...chosen.filter((answer) => !options.includes(answer)).map((answer) => choice(answer, true)),
    ]
    const words = line(text(question.question), 1000)
    return h("div", { class: "question" }, h("p", {}, words), h("ul", { class: "todos" }, ...items))
  })
  return answers.length ? shown : [...shown, ...output(tool)]
}

function choice(label, isChosen) {
  const status = isChosen ? gettext_noop("chosen") : gettext_noop("not chosen")
  return h("li", { "data-status": status }, box(status), ` ${label}`)
}

function changesOf(tool) {
  const files = mappings(metadata(tool).files).flatMap(change)
  const patches = [text(metadata(tool).diff), ...mappings(metadata(tool).results).map((each) => text(each.diff))]
  let changes = files.length ? files : patches.filter(Boolean).flatMap((patch) => filesOf(plain(patch)))
  if (EDITORS.has(tool.name) && !changes.length) changes = wanted(given(tool))
  const name = line(text(given(tool).filePath), 400)
  return changes.map((each) => ({ ...each, file: each.file || name }))
}

function change(each) {
  const name = line(text(each.relativePath) || text(each.filePath) || text(each.file), 400)
  const [before, after] = [plain(text(each.before)), plain(text(each.after))]
  const found = filesOf(plain(text(each.diff) || text(each.patch)))
  if (!found.length && (before || after)) found.push(replacement(name, before, after))
  return found.map((file) => ({ ...file, file: name || file.file }))
}

function wanted(arguments_) {
  const pairs = [arguments_, ...mappings(arguments_.edits)].map((edit) => [
    plain(text(edit.oldString)),
    plain(text(edit.newString)),
  ])
  const found = pairs.filter(([before, after]) => before || after).map(([before, after]) => replacement("", before, after))
  const patch = text(arguments_.patchText)
  if (found.length) return found
  return patch ? filesOf(plain(patch)) : []
}

function changed(tool, changes) {
  const [{ lines, file }] = changes
  const shown = changes.length === 1 ? patchNodes(lines, extension(file), file) : changes.map((each) => changeNode(each))
  return [...shown, ...problems(tool)]
}

/** The change of a file, folded. */
export function changeNode(file, { status, additions, deletions } = file) {
  const summary = h("summary", {}, h("b", {}, file.file || _("unnamed file")), span("status", _(status)), ...lineCounts(additions, deletions))
  return h("details", { class: "change" }, summary, ...patchNodes(file.lines, extension(file.file), file.file))
}

const lineCounts = (additions, deletions) => [span("plus", `+${additions}`), span("minus", `−${deletions}`)]

function problems(tool) {
  const found = Object.values(mapping(metadata(tool).diagnostics))
    .flatMap(mappings)
    .filter((each) => each.severity === 1)
  const items = found.slice(0, PROBLEMS).map((each) => {
    const at = Math.trunc(number(mapping(mapping(each.range).start).line) ?? 0) + 1
    return h("li", {}, _("Line %(line)s: %(words)s", { line: at, words: line(text(each.message)) }))
  })
  return items.length ? [h("ul", { class: "problems" }, ...items)] : []
}

function extension(path) {
  const name = path.slice(path.lastIndexOf("/") + 1)
  const dot = name.lastIndexOf(".")
  const found = dot >= 0 && EXTENSION.exec(name.slice(dot))
  return found ? found[1].toLowerCase() : ""
}
