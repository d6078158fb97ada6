// The transcript in the page: applies items one by one and changes only the elements they concern.
// The server renders the same elements (web/templates/message.html): change both together.
// Shared content is hostile: it reaches the page only as text nodes and as data URLs of pictures.

import * as show from "./blocks.js"
import { firstGeneration, isFirstGeneration, isInside, secondGeneration } from "./generations.js"
import { Loader } from "./loading.js"
import { build, h, show as showNodes, span } from "./nodes.js"
import { showTime } from "./times.js"
import { copyButton } from "./prose.js"
import { CONTEXT_TOOLS } from "./tools.js"
import { blockNodes, changesNodes, contextTitle, messageAnchor, partAnchor, partLink, sessionLink, sessionOf } from "./views.js"
import { gettext as _ } from "./words.js"

const ROLES = { __proto__: null, unknown: _("Message"), user: _("User"), assistant: _("Assistant"), system: _("System") }
const SLICE = 100 // milliseconds of work between two chances for the browser to render

/** The first position in a sorted array whose element does not come before `entry`. */
function position(sorted, entry, before) {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (before(sorted[middle], entry)) low = middle + 1
    else high = middle
  }
  return low
}

function compare(a, b) {
  if (a.created !== b.created) return a.created < b.created ? -1 : 1
  return a.id < b.id ? -1 : Number(a.id > b.id)
}

const lesser = (a, b) => a.dataset.key < b.dataset.key

/** Make `nodes` the children of `parent`, and move only those that are not at their place. */
function arrange(parent, nodes) {
  let child = parent.firstElementChild
  for (const node of nodes) {
    if (child === node) child = child.nextElementSibling
    else parent.insertBefore(node, child)
  }
  while (child) {
    const next = child.nextElementSibling
    child.remove()
    child = next
  }
}

/** Set an attribute without a value, or remove it. */
const mark = (node, name, on) => {
  if (node.hasAttribute(name) !== on) node.toggleAttribute(name, on)
}

const looks = (part) => part.dataset.kind === "tool" && CONTEXT_TOOLS.has(part.dataset.tool)

/** Whether a message is a further answer of the agent and the model that answered before. */
function continues(node, before) {
  if (node.dataset.role !== "assistant" || before.dataset.role !== "assistant") return false
  const who = (message) => [".agent", ".model"].map((name) => message.firstElementChild.querySelector(name))
  const [[agent, model], [agentBefore, modelBefore]] = [who(node), who(before)]
  return agent.textContent === agentBefore.textContent && model.dataset.id === modelBefore.dataset.id
}

/** Whether one element of an item is of a later arrival than another. */
function isLater({ dataset: one }, { dataset: other }) {
  const [at, seq] = [Number(one.at ?? -1), Number(one.seq ?? -1)]
  return at > Number(other.at ?? -1) || (at === Number(other.at ?? -1) && seq > Number(other.seq ?? -1))
}

/** Whether a message id was probably made before another. Their time field wraps, so the shorter way round counts. */
export function isOlder(id, other) {
  const [one, two] = [id, other].map((each) => Number.parseInt(/^msg_([0-9a-f]{12})/.exec(each)?.[1] ?? "", 16))
  if (Number.isNaN(one) || Number.isNaN(two) || one === two) return id < other
  return (two - one + 2 ** 48) % 2 ** 48 < 2 ** 47
}

export class Transcript {
  /** Whether there are messages before and after those in the page. Items of these are left to the server. */
  limits = { earlier: false, later: false }
  #messages = new Map() // id -> {id, created, node, parts: [node]}
  #order = [] // the same objects, in page order
  #misplaced = new Set() // messages that are not yet at their place in the page
  #parts = new Map() // key -> node
  #names = new Map() // model id -> name
  #sessions = new Map() // session of a sub-agent -> the address of its share, as the server has said
  #runs = new Map() // key of the first part -> the element around parts that are shown as one
  #regrouped = new Set() // messages whose parts have changed in number or kind
  #whole = { at: -1, seq: -1 } // the latest item of all messages
  #undoneFrom = "" // id of the first message that the user took back
  #changed = false // whether heads must be compared with their neighbours
  #loader

  /** Adopt the elements rendered below `root`; `fetchItem(href)` returns an item, or null if it is outdated. */
  constructor(root, fetchItem) {
    this.list = root.querySelector("#messages")
    this.session = root.querySelector("#session")
    this.models = root.querySelector("#models")
    this.changes = root.querySelector("#changes")
    this.#loader = new Loader(async (href) => {
      const item = await fetchItem(href)
      if (item) await this.apply([item])
    })
    for (const node of this.models.children) this.#names.set(node.dataset.id, node.textContent)
    for (const node of this.list.children) this.#adopt(node)
    this.#undoneFrom = this.session.dataset.undone ?? ""
    for (const node of root.querySelectorAll("[data-href]")) this.#loader.watch(node)
  }

  #adopt(node) {
    const { id, created } = node.dataset
    const parts = [...node.querySelectorAll(":scope > .parts .part")]
    for (const run of node.querySelectorAll(":scope > .parts > .run")) {
      this.#runs.set(run.querySelector(".part").dataset.key, run)
    }
    const message = { id, created: created ? Number(created) : Infinity, node, parts }
    this.#messages.set(id, message)
    this.#order.push(message)
    for (const part of parts) this.#parts.set(part.dataset.key, part)
    for (const link of node.querySelectorAll("a.session")) this.#sessions.set(link.dataset.session, link.getAttribute("href"))
  }

  /** Whether a message is in the page. */
  has(id) {
    return this.#messages.has(id)
  }

  /** Take the messages that the server has rendered in `list`, besides those that are here. */
  take(list) {
    for (const node of [...list.children]) {
      const known = this.#messages.get(node.dataset.id)
      if (known) this.#merge(known, node)
      else {
        this.#adopt(node)
        this.#misplaced.add(this.#messages.get(node.dataset.id))
      }
    }
    this.#finish()
    for (const node of this.list.querySelectorAll("[data-href]")) this.#loader.watch(node)
  }

  /** Remove a message from the page. */
  remove(node) {
    const message = this.#messages.get(node.dataset.id)
    this.#messages.delete(node.dataset.id)
    this.#order.splice(this.#order.indexOf(message), 1)
    for (const part of message.parts) this.#forget(part)
    node.remove()
  }

  #forget(part) {
    this.#parts.delete(part.dataset.key)
    this.#runs.delete(part.dataset.key)
    this.#loader.forget(part)
  }

  /** Remove all messages from the page. */
  clear() {
    for (const { node } of [...this.#order]) this.remove(node)
  }

  /** Take title, models and changes as the server has rendered them, if they are later. */
  freshen(root) {
    for (const name of ["session", "models", "changes"]) {
      const fresh = root.querySelector(`#${name}`)
      const node = this[name]
      if (!isLater(fresh, node)) continue
      delete node.dataset.undone
      Object.assign(node.dataset, fresh.dataset)
      this.#undoneFrom = this.session.dataset.undone ?? ""
      node.hidden = fresh.hidden
      if (name === "session") {
        for (const id of ["title", "created", "version", "usage"]) {
          node.querySelector(`#${id}`).replaceWith(fresh.querySelector(`#${id}`))
        }
      } else if (name === "models") node.replaceChildren(...fresh.childNodes)
      else node.querySelector(".changes").replaceChildren(...fresh.querySelector(".changes").childNodes)
      if (node.dataset.href) this.#loader.watch(node)
    }
  }

  /** Take what is later in a message that the server has rendered. */
  #merge(message, fresh) {
    for (const part of [...fresh.querySelectorAll(":scope > .parts .part")]) {
      const known = this.#parts.get(part.dataset.key)
      if (known && !isLater(part, known)) continue
      if (known) {
        message.parts[message.parts.indexOf(known)] = part
        known.replaceWith(part)
      } else message.parts.splice(position(message.parts, part, lesser), 0, part)
      this.#parts.set(part.dataset.key, part)
      this.#regrouped.add(message)
    }
    if (!isLater(fresh, message.node)) return
    for (const name of ["header", ".error", ".changes", ".usage"]) {
      message.node.querySelector(`:scope > ${name}`).replaceWith(fresh.querySelector(`:scope > ${name}`))
    }
    Object.assign(message.node.dataset, fresh.dataset)
    mark(message.node, "data-unfinished", fresh.hasAttribute("data-unfinished"))
    this.#changed = true
  }

  /** Apply items, in any order and with repetition. Resolves when they are in the page. */
  async apply(items) {
    let begun = performance.now()
    for (const item of items) {
      if (performance.now() - begun > SLICE) {
        await new Promise((resolve) => setTimeout(resolve))
        begun = performance.now()
      }
      this.#take(item)
    }
    this.#finish()
  }

  #finish() {
    this.#arrange()
    for (const message of this.#regrouped) this.#group(message)
    this.#regrouped.clear()
    if (this.#changed) this.#compareNeighbours()
  }

  /** Put parts that only look at files into one element, where they are neighbours. */
  #group(message) {
    const wanted = []
    for (let at = 0; at < message.parts.length; ) {
      let end = at
      while (end < message.parts.length && looks(message.parts[end])) end += 1
      if (end - at > 1) {
        wanted.push(this.#run(message.parts.slice(at, end)))
        at = end
      } else wanted.push(message.parts[at++])
    }
    arrange(message.node.querySelector(":scope > .parts"), wanted)
  }

  #run(parts) {
    const [{ dataset }] = parts
    const known = this.#runs.get(dataset.key)
    const run = known ?? build(h("details", { class: "run" }, h("summary", {}, h("b", {}, _("explored")), span("title", ""))))
    this.#runs.set(dataset.key, run)
    run.querySelector(":scope > summary > .title").textContent = contextTitle(parts.map((part) => part.dataset.tool))
    arrange(run, [run.firstElementChild, ...parts])
    return run
  }

  /** Mark messages that were taken back, and those that repeat agent and model of the message before. */
  #compareNeighbours() {
    this.#changed = false
    let before = null
    const [first] = this.#order
    let undone = Boolean(first && this.limits.earlier && this.#undoneFrom && isOlder(this.#undoneFrom, first.id))
    for (const { id, node } of this.#order) {
      undone ||= id === this.#undoneFrom
      mark(node, "data-undone", undone)
      mark(node, "data-continues", before !== null && continues(node, before))
      const state = undone ? _("undone") : node.hasAttribute("data-unfinished") ? _("not finished") : ""
      const shown = node.firstElementChild.querySelector(":scope > .state")
      if (shown.textContent !== state) shown.textContent = state
      before = node
    }
  }

  /** Put messages at their place: once per batch, because each change makes the browser lay out the page. */
  #arrange() {
    if (this.#misplaced.size === 0) return
    this.#changed = true
    this.#order.sort(compare)
    let next = null
    for (const message of this.#order.toReversed()) {
      if (this.#misplaced.has(message)) this.list.insertBefore(message.node, next)
      next = message.node
    }
    this.#misplaced.clear()
  }

  #take(item) {
    switch (item.type) {
      case "session":
        return this.#fill(this.session, item, () => this.#showSession(item.data))
      case "model":
        return this.#fill(this.models, item, () => this.#showModels(item.data))
      case "session_diff":
        return this.#fill(this.changes, item, () => this.#showChanges(item.data))
      case "message": {
        if (isFirstGeneration(item)) return this.#takeWhole(firstGeneration(item))
        const id = item.key.slice("message/".length)
        if (this.#isElsewhere(id, show.milliseconds(show.mapping(show.mapping(item.data).time).created))) return
        const message = this.#message(id)
        return this.#fill(message.node, item, () => this.#showMessage(message, show.mapping(item.data)))
      }
      case "part":
        return this.#takePart(item)
      case "messages":
        if ("data" in item) this.#takeSession(item)
        else this.#loader.add(item.href)
    }
  }

  /** Take a message with all its parts: those that it had before, and has no longer, go. */
  #takeWhole([item, ...parts]) {
    const id = item.key.slice("message/".length)
    const known = this.#messages.get(id)
    if (known && isLater(known.node, { dataset: item })) return
    for (const each of [item, ...parts]) this.#take(each)
    const message = this.#messages.get(id)
    if (message) this.#keepInside(message, item, new Set(parts.map(({ key }) => key)))
  }

  /** Take all messages of a session: those that it had before, and has no longer, go. */
  #takeSession(item) {
    if (isLater({ dataset: this.#whole }, { dataset: item })) return
    this.#whole = { at: item.at, seq: item.seq }
    const messages = []
    for (const each of secondGeneration(item)) {
      if (each.type === "message") messages.push([each])
      else messages.at(-1).push(each)
    }
    const kept = new Set(messages.map(([{ key }]) => key.slice("message/".length)))
    for (const node of this.#ofWhole()) {
      if (kept.has(node.dataset.id) || isLater(node, { dataset: item })) continue
      this.remove(node)
      this.#changed = true
    }
    for (const each of messages) this.#takeWhole(each)
  }

  /** The messages that came in one item with others, or with their parts. An item by itself has a number of its own. */
  #ofWhole() {
    const numbers = new Map()
    const nodes = this.#order.map(({ node }) => node)
    for (const { dataset } of [...nodes, ...this.#parts.values()]) numbers.set(dataset.seq, (numbers.get(dataset.seq) ?? 0) + 1)
    return nodes.filter(({ dataset }) => dataset.seq && numbers.get(dataset.seq) > 1)
  }

  /** Remove the parts that came inside a message, and are not inside it since the arrival `since`. */
  #keepInside(message, since, keys) {
    for (const part of [...message.parts]) {
      const { key } = part.dataset
      if (!isInside(key) || keys.has(key) || isLater(part, { dataset: since })) continue
      message.parts.splice(message.parts.indexOf(part), 1)
      this.#forget(part)
      part.remove()
      this.#regrouped.add(message)
    }
  }

  /** Let the later arrival win, and fetch referenced items later. */
  #fill(node, item, fill) {
    const at = Number(node.dataset.at ?? -1)
    const seq = Number(node.dataset.seq ?? -1)
    const same = item.at === at && item.seq === seq && node.dataset.href && "data" in item
    if (!same && (item.at < at || (item.at === at && item.seq <= seq))) return
    node.dataset.at = item.at
    node.dataset.seq = item.seq
    if ("data" in item) {
      delete node.dataset.href
      fill()
    } else {
      node.dataset.href = item.href
      if (node === this.changes) node.hidden = false // what is hidden never comes near the window
      this.#loader.watch(node)
    }
  }

  #message(id) {
    const known = this.#messages.get(id)
    if (known) return known
    const node = build(
      h(
        "li",
        { class: "message", id: messageAnchor(id), "data-role": "unknown", "data-id": id, "data-created": "" },
        h(
          "header",
          {},
          h("h2", { class: "role" }, _("Message")),
          span("agent", ""),
          h("span", { class: "model", "data-id": "" }),
          h("time", { class: "time", datetime: "" }),
          span("state", ""),
          h("a", { class: "anchor", href: `#${messageAnchor(id)}`, "aria-label": _("Link to this message") }, "#"),
          copyButton(_("Copy message")),
        ),
        h("div", { class: "parts" }),
        h("p", { class: "error" }),
        h("div", { class: "changes" }),
        h("p", { class: "usage" }),
      ),
    )
    const message = { id, created: Infinity, node, parts: [] }
    this.#messages.set(id, message)
    this.#order.push(message)
    this.#misplaced.add(message)
    return message
  }

  #showMessage(message, data) {
    const { node } = message
    const time = show.mapping(data.time)
    const created = show.milliseconds(time.created)
    if ((created ?? Infinity) !== message.created) {
      message.created = created ?? Infinity
      this.#misplaced.add(message)
    }
    const role = show.line(show.text(data.role), 32) || "unknown"
    const label = role.charAt(0).toUpperCase() + role.slice(1).toLowerCase()
    const model = show.line(show.text(data.modelID) || show.modelId(data.model), 100)
    this.#changed = true
    const unfinished = role === "assistant" && show.milliseconds(time.completed) === null && !data.error
    node.dataset.role = role
    node.dataset.created = created ?? ""
    mark(node, "data-unfinished", unfinished)
    node.querySelector(".model").dataset.id = model
    const words = {
      role: ROLES[role] ?? label,
      agent: show.line(show.text(data.agent) || show.text(data.mode), 64),
      model: this.#names.get(model) ?? model,
    }
    for (const [name, value] of Object.entries(words)) {
      node.querySelector(`:scope > header > .${name}`).textContent = value
    }
    showTime(node.querySelector(":scope > header > .time"), created)
    node.querySelector(":scope > .error").textContent = show.failure(data.error)
    const completed = show.milliseconds(time.completed)
    const taken = show.lasting(created, completed)
    node.dataset.figures = show.figures(data, created, completed).join(",")
    node.querySelector(":scope > .usage").textContent = [taken, show.usage(data)].filter(Boolean).join(" · ")
    showNodes(node.querySelector(":scope > .changes"), changesNodes(show.diffs(show.mapping(data.summary).diffs)))
  }

  /** Whether a message is before or after those in the page. `created` is null if it is not known. */
  #isElsewhere(id, created) {
    if (this.#messages.has(id) || this.#order.length === 0) return false
    if (this.limits.later) {
      const last = this.#order.at(-1)
      if (created === null || compare(last, { id, created }) < 0) return true
    }
    const [first] = this.#order
    return this.limits.earlier && (created === null ? isOlder(id, first.id) : compare({ id, created }, first) < 0)
  }

  #takePart(item) {
    const id = item.key.split("/", 2)[1] ?? ""
    if (this.#isElsewhere(id, null)) return
    const message = this.#message(id)
    let node = this.#parts.get(item.key)
    if (!node) {
      node = build(h("div", { class: "part", id: partAnchor(item.key), "data-key": item.key, "data-kind": "none" }))
      this.#parts.set(item.key, node)
      message.parts.splice(position(message.parts, node, lesser), 0, node)
      this.#regrouped.add(message)
    }
    const { kind, tool } = node.dataset
    this.#fill(node, item, () => {
      const block = show.block(show.mapping(item.data))
      node.dataset.kind = block?.kind ?? "none"
      if (block?.kind === "tool") node.dataset.tool = block.name
      else delete node.dataset.tool
      const session = sessionOf(show.mapping(item.data))
      const link = this.#sessions.has(session) ? [sessionLink(session, this.#sessions.get(session))] : []
      showNodes(node, block ? [...blockNodes(block), ...link, partLink(item.key)] : [])
    })
    if (node.dataset.href && !node.hasChildNodes()) {
      node.dataset.kind = "note"
      node.append(build(h("p", { class: "note" }, _("Large part"))))
    }
    if (kind !== node.dataset.kind || tool !== node.dataset.tool) this.#regrouped.add(message)
  }

  #showSession(data) {
    const session = show.mapping(data)
    const version = show.line(show.text(session.version), 32)
    const title = show.line(show.text(session.title)) || _("Untitled session")
    document.title = `${title} · Opencode Cloud`
    this.session.querySelector("#title").textContent = title
    showTime(this.session.querySelector("#created"), show.milliseconds(show.mapping(session.time).created))
    this.#undoneFrom = show.text(show.mapping(session.revert).messageID)
    if (this.#undoneFrom) this.session.dataset.undone = this.#undoneFrom
    else delete this.session.dataset.undone
    this.#changed = true
    this.session.querySelector("#version").textContent = version ? `opencode ${version}` : ""
    this.session.querySelector("#usage").textContent = show.usage(session)
  }

  #showModels(data) {
    this.#names.clear()
    for (const model of show.mappings(data)) {
      const id = show.line(show.text(model.id), 100)
      if (id) this.#names.set(id, show.line(show.text(model.name), 100) || id)
    }
    showNodes(this.models, [...this.#names].map(([id, name]) => h("span", { "data-id": id }, name)))
    for (const { node: message } of this.#order) {
      const node = message.querySelector(".model")
      node.textContent = this.#names.get(node.dataset.id) ?? node.dataset.id
    }
  }

  #showChanges(data) {
    const diffs = show.diffs(data)
    this.changes.hidden = diffs.length === 0
    showNodes(this.changes.querySelector(".changes"), changesNodes(diffs))
  }
}
