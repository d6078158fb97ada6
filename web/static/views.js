// Blocks as elements. opencode_cloud/sharing/rendering/views.py has the same rules: change both together.

import { block, mapping, text } from "./blocks.js"
import { h } from "./nodes.js"
import { filesOf, replacement } from "./patches.js"
import { codeBlock, prose } from "./prose.js"
import { CONTEXT_TOOLS, changeNode, toolNodes } from "./tools.js"
import { gettext as _, ngettext } from "./words.js"

const VIEWS = {
  text: (shown) => [h("div", { class: "prose" }, ...prose(shown.text, shown.finished))],
  reasoning: (shown) => [
    h(
      "details",
      { class: "thinking" },
      h("summary", {}, _("Thinking")),
      h("div", { class: "prose" }, ...prose(shown.text, shown.finished)),
    ),
  ],
  file: (shown) => [attachment(shown)],
  tool: (shown) => [...toolNodes(shown), ...shown.attachments.map(attachment)],
  note: (shown) => [
    h("p", { class: "note" }, shown.target ? h("a", { href: `#${messageAnchor(shown.target)}` }, shown.text) : shown.text),
  ],
  unknown: (shown) => [
    h("details", { class: "unknown" }, h("summary", {}, _("Part of type %(type)s", { type: shown.type })), codeBlock(shown.json, "json")),
  ],
}

/** The elements of a block. */
export const blockNodes = (shown) => VIEWS[shown.kind](shown)

/** The elements of a part as the client wrote it; none for bookkeeping. */
export function partNodes(part) {
  const shown = block(part)
  return shown ? blockNodes(shown) : []
}

/** The id of a message's element. The prefix keeps ids of the content apart from those of the page. */
export const messageAnchor = (id) => `m-${id}`

/** The id of the element of the part with this identity key. */
export const partAnchor = (key) => `p-${key.slice(key.indexOf("/") + 1)}`

/** The link to a part; the key `y` and a click copy it. */
export const partLink = (key) =>
  h("a", { class: "anchor", href: `#${partAnchor(key)}`, "aria-label": _("Link to this part"), tabindex: "-1" }, "#")

/** The id of the session that a part started for a sub-agent, as readers see it; empty if there is none. */
export function sessionOf(part) {
  const metadata = mapping(mapping(part.state).metadata)
  return part.tool === "task" ? text(metadata.sessionId) : ""
}

/** The link to the share of a sub-agent's session. */
export const sessionLink = (session, href) =>
  h("p", { class: "note" }, h("a", { class: "session", href, "data-session": session }, _("Session of the sub-agent")))

function attachment(file) {
  const caption = h("figcaption", {}, file.caption)
  if (!file.image) return h("figure", {}, caption)
  const image = h("img", { src: file.image, alt: file.name })
  return h("figure", {}, h("button", { class: "zoom", type: "button", "aria-label": _("Enlarge %(name)s", { name: file.name }) }, image), caption)
}

/** The changes of a session or a message, one folded element for each file. */
export function changesNodes(diffs) {
  return diffs.map((diff) => {
    const lines = diff.patch
      ? filesOf(diff.patch).flatMap((file) => file.lines)
      : replacement(diff.file, diff.before, diff.after).lines
    return changeNode({ file: diff.file, lines }, diff)
  })
}

/** The calls of tools that only look, counted in the order of their first appearance. */
export function contextTitle(tools) {
  const counts = new Map()
  for (const name of tools) {
    const [one] = CONTEXT_TOOLS.get(name)
    counts.set(one, [CONTEXT_TOOLS.get(name), (counts.get(one)?.[1] ?? 0) + 1])
  }
  return [...counts.values()].map(([[one, many], number]) => ngettext(one, many, number)).join(", ")
}
