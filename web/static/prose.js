// Markdown of users and models as elements. opencode_cloud/sharing/rendering/prose.py has the same rules, and says why:
// change both together.

import MarkdownIt from "./markdown-it.js"
import { h } from "./nodes.js"
import { gettext as _ } from "./words.js"

const LIMIT = 100_000 // characters of one text
const HEADINGS = { h1: "h3", h2: "h3", h3: "h4", h4: "h5", h5: "h6", h6: "h6" }
const CONTAINERS = new Set(["p", "ul", "ol", "li", "blockquote", "thead", "tbody", "tr", "th", "td", "strong", "em", "s"])
const TARGET = /^(?:https?:\/\/|mailto:)[^\x00-\x20]/i
const BARE_URL = /https?:\/\/[^<>"'`\x00-\x20]+/g
const LANGUAGE = /^[A-Za-z0-9_+#.-]{1,40}/
const TASK = /^\[([ xX])\](?= )/
const SHORTEST_URL = 9 // characters: a scheme and a letter
const BLANK = " \t\n"
const ENDS_A_URL = new Set(".,;:!?*_~]}")
const LINK_RELATION = "nofollow noopener noreferrer"

const parser = new MarkdownIt({ maxNesting: 20 })
parser.disable(["lheading", "html_block", "html_inline"])
parser.inline.ruler.before("escape", "math", math)
parser.normalizeLink = parser.normalizeLinkText = (target) => target
parser.validateLink = () => true // `link` decides

/** The elements of a text in Markdown. A text that is not finished is shown as if its marks were closed. */
export function prose(words, finished = true) {
  if (words.length > LIMIT) return [h("p", { class: "plain" }, words)]
  return blocks(parser.parse(finished ? words : settled(words), {}))
}

function math(state, silent) {
  const { src, pos } = state
  if (src[pos] !== "$") return false
  const mark = src.startsWith("$$", pos) ? "$$" : "$"
  const end = src.indexOf(mark, pos + mark.length)
  const inner = end > 0 ? src.slice(pos + mark.length, end) : ""
  const after = src[end + mark.length] ?? ""
  if (!inner) return false
  if (mark === "$" && (BLANK.includes(inner[0]) || BLANK.includes(inner.at(-1)) || /^[0-9]/.test(after))) return false
  if (!silent) state.push("math", "", 0).content = src.slice(pos, end + mark.length)
  state.pos = end + mark.length
  return true
}

function blocks(tokens) {
  const root = []
  const lists = [root]
  for (const token of tokens) {
    const here = lists.at(-1)
    if (token.type === "inline") here.push(...inline(token.children))
    else if (token.nesting < 0) lists.pop()
    else if (token.nesting === 0) here.push(leaf(token))
    else if (token.hidden) lists.push(here)
    else {
      const [made, children] = opened(token)
      here.push(made)
      lists.push(children)
    }
  }
  markTasks(root)
  return root
}

function opened(token) {
  if (token.tag === "table") {
    const table = h("table")
    const around = { class: "table", role: "group", "aria-label": _("Table"), tabindex: "0" }
    return [h("div", around, table), table.children]
  }
  const made = h(HEADINGS[token.tag] ?? (CONTAINERS.has(token.tag) ? token.tag : "div"))
  const start = token.attrGet("start")
  const style = token.attrGet("style")
  if (token.tag === "ol" && start !== null) made.attributes.start = String(start)
  if ((token.tag === "th" || token.tag === "td") && style) made.attributes.class = style.replace("text-align:", "")
  return [made, made.children]
}

function leaf(token) {
  if (token.type === "hr") return h("hr")
  const [language = ""] = (token.type === "fence" && LANGUAGE.exec(token.info.trim())) || []
  return codeBlock(token.content, language.toLowerCase())
}

/** A block of code. */
export function codeBlock(words, language = "") {
  const head = h("div", { class: "code-head" }, h("span", { class: "language" }, language), copyButton(_("Copy code")))
  const code = h("code", language ? { class: `language-${language}` } : {}, words)
  return h("div", { class: "code" }, head, h("pre", { tabindex: "0" }, code))
}

/** A button that copies; `label` says what. */
export const copyButton = (label) => h("button", { class: "copy", type: "button", "aria-label": label }, _("Copy"))

function inline(tokens) {
  const root = []
  const lists = [root]
  let links = 0
  for (const token of tokens) {
    const here = lists.at(-1)
    if (token.nesting > 0) {
      const isLink = token.type === "link_open"
      const made = isLink ? link(token.attrGet("href") ?? "") : h(CONTAINERS.has(token.tag) ? token.tag : "span")
      links += Number(isLink)
      here.push(made)
      lists.push(made.children)
    } else if (token.nesting < 0) {
      links -= Number(token.type === "link_close")
      lists.pop()
    } else if (token.type === "code_inline") here.push(h("code", {}, token.content))
    else if (token.type === "math") here.push(h("code", { class: "math" }, token.content))
    else if (token.type === "hardbreak") here.push(h("br"))
    else if (token.type === "softbreak") here.push("\n")
    else if (token.type === "image") here.push(picture(token, links > 0))
    else here.push(...(links ? [token.content] : withLinks(token.content)))
  }
  return root.filter((node) => node !== "")
}

/** A link to the web under its own URL; other URLs become plain text. */
export function webLink(url) {
  const made = link(url)
  made.children.push(url)
  return made
}

function link(target) {
  if (!TARGET.test(target)) return h("span", { class: "no-link", title: target })
  return h("a", { href: target, rel: LINK_RELATION, target: "_blank" })
}

function picture(token, inLink) {
  const made = inLink ? h("span") : link(token.attrGet("src") ?? "")
  made.attributes.class = "picture"
  made.children.push(_("Image: %(words)s", { words: alternative(token.children ?? []) || _("no description") }))
  return made
}

const alternative = (tokens) =>
  tokens.map((token) => (token.type === "image" ? alternative(token.children ?? []) : token.content)).join("")

function withLinks(words) {
  const found = []
  let at = 0
  for (const match of words.matchAll(BARE_URL)) {
    const url = trimmed(match[0])
    if (match.index > at) found.push(words.slice(at, match.index))
    found.push(webLink(url))
    at = match.index + url.length
  }
  if (at < words.length) found.push(words.slice(at))
  return found
}

function trimmed(url) {
  let surplus = url.split(")").length - url.split("(").length
  let end = url.length
  while (end > SHORTEST_URL) {
    const last = url[end - 1]
    if (last === ")" && surplus > 0) surplus -= 1
    else if (!ENDS_A_URL.has(last)) break
    end -= 1
  }
  return url.slice(0, end)
}

function markTasks(nodes) {
  for (const node of nodes) {
    if (typeof node === "string") continue
    if (node.tag === "li") markTask(node)
    markTasks(node.children)
  }
}

function markTask(item) {
  const line = item.children[0]?.tag === "p" ? item.children[0] : item
  const first = line.children[0]
  const found = typeof first === "string" && TASK.exec(first)
  if (!found) return
  item.attributes.class = "task"
  line.children[0] = first.slice(found[0].length)
  line.children.unshift(box(found[1] === " " ? "open" : "done"))
}

/** The box of a task. */
export const box = (status) => h("span", { class: "box", role: "img", "aria-label": _(status), "data-status": status })

const FENCE = /^ {0,3}(`{3,}|~{3,})/
const ONLY_MARKS = /^[ \t]*(?:[-=*+#>|:`~_ \t]+|\d{1,9}[.)])[ \t]*$/
const OPEN_LINK = /^!?\[([^\[\]\n]*)\]\([^()\n]*$/
const stripped = (words, marks) => {
  let begin = 0
  let end = words.length
  while (begin < end && marks.includes(words[begin])) begin += 1
  while (end > begin && marks.includes(words[end - 1])) end -= 1
  return words.slice(begin, end)
}

/** A text that is still arriving, as it will probably look. */
export function settled(words) {
  let begin = 0
  let at = 0
  let fence = ""
  for (const line of words.split("\n")) {
    const mark = FENCE.exec(line)?.[1]
    if (mark && (!fence || (mark.startsWith(fence) && !stripped(stripped(line, BLANK), fence[0])))) fence = fence ? "" : mark
    at += line.length + 1
    if (!stripped(line, BLANK)) begin = at
  }
  if (fence) return words
  const lines = words.slice(begin).split("\n")
  if (ONLY_MARKS.test(lines.at(-1))) lines.pop()
  return words.slice(0, begin) + closed(lines.join("\n"))
}

function closed(paragraph) {
  const opening = paragraph.lastIndexOf("[")
  const found = opening >= 0 && OPEN_LINK.exec(paragraph.slice(opening))
  if (found) {
    const before = paragraph.slice(0, opening)
    paragraph = (before.endsWith("!") ? before.slice(0, -1) : before) + found[1]
  }
  if ((paragraph.split("`").length - 1) % 2) return `${paragraph}\``
  for (const mark of ["**", "~~"]) {
    if ((paragraph.split(mark).length - 1) % 2 === 0) continue
    if (paragraph.endsWith(mark)) paragraph = paragraph.slice(0, -mark.length)
    else {
      let end = paragraph.length
      while (end > 0 && BLANK.includes(paragraph[end - 1])) end -= 1
      paragraph = paragraph.slice(0, end) + mark
    }
  }
  return paragraph
}
