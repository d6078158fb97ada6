// The transcript in the page: applies items one by one and changes only the elements they concern.
// The server renders the same elements (web/templates/message.html): change both together.
// Shared content is hostile: it reaches the page only as text nodes and as data URLs of pictures.

import * as show from "./blocks.js"

const SLICE = 100 // milliseconds of work between two chances for the browser to render
const LOADS = 4 // concurrent fetches of large items
const NEARBY = "800px" // distance below the window at which a large item is fetched

/** Create an element; strings become text nodes. */
function element(tag, attributes, ...children) {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value)
  node.append(...children.filter((child) => child !== null))
  return node
}

const span = (name, words) => element("span", { class: name }, words)
const pre = (name, words) => (words ? element("pre", { class: name }, words) : null)

function patch(words) {
  if (!words) return null
  const lines = show.runs(words).map(([kind, run]) => (kind ? span(kind, run) : run))
  return element("pre", { class: "patch" }, ...lines.flatMap((run, index) => (index ? ["\n", run] : [run])))
}

function attachment(file) {
  const image = file.image ? element("img", { src: file.image, alt: file.name }) : null
  return element("figure", {}, image, element("figcaption", {}, file.caption))
}

function changes(diffs) {
  return diffs.map((diff) => {
    const counts = [span("status", diff.status), span("plus", `+${diff.additions}`), span("minus", `−${diff.deletions}`)]
    const summary = element("summary", {}, element("b", {}, diff.file), ...counts)
    return element("details", { class: "change" }, summary, patch(diff.patch))
  })
}

const render = {
  text: (block) => [element("div", { class: "prose" }, block.text)],
  reasoning: (block) => [
    element("details", {}, element("summary", {}, "Thinking"), element("div", { class: "prose" }, block.text)),
  ],
  file: (block) => [attachment(block)],
  note: (block) => [element("p", { class: "note" }, block.text)],
  unknown: (block) => [
    element("details", {}, element("summary", {}, `Part of type ${block.type}`), pre("json", block.json)),
  ],
  tool: (block) => [
    element(
      "details",
      { "data-status": block.status },
      element("summary", {}, element("b", {}, block.name), span("title", block.title), span("state", block.state)),
      pre("input", block.input),
      block.patch ? patch(block.patch) : pre("output", block.output),
      pre("failure", block.error),
    ),
    ...block.attachments.map(attachment),
  ],
}

/** Replace the content of an element, and keep opened details open. */
function refill(node, children) {
  const opened = [...node.querySelectorAll(":scope > details")].map((each) => each.open)
  node.replaceChildren(...children)
  node.querySelectorAll(":scope > details").forEach((each, index) => (each.open = opened[index] ?? false))
}

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

export class Transcript {
  #messages = new Map() // id -> {id, created, node, parts: [node]}
  #order = [] // the same objects, in page order
  #misplaced = new Set() // messages that are not yet at their place in the page
  #parts = new Map() // key -> node
  #names = new Map() // model id -> name
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
    for (const node of root.querySelectorAll("[data-href]")) this.#loader.watch(node)
  }

  #adopt(node) {
    const { id, created } = node.dataset
    const parts = [...node.querySelectorAll(":scope > .parts > .part")]
    const message = { id, created: created ? Number(created) : Infinity, node, parts }
    this.#messages.set(id, message)
    this.#order.push(message)
    for (const part of parts) this.#parts.set(part.dataset.key, part)
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
    this.#arrange()
  }

  /** Put messages at their place: once per batch, because each change makes the browser lay out the page. */
  #arrange() {
    if (this.#misplaced.size === 0) return
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
        const message = this.#message(item.key.slice("message/".length))
        return this.#fill(message.node, item, () => this.#showMessage(message, show.mapping(item.data)))
      }
      case "part":
        return this.#takePart(item)
      case "messages":
        if ("data" in item) for (const each of show.secondGeneration(item)) this.#take(each)
        else this.#loader.add(item.href)
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
      this.#loader.watch(node)
    }
  }

  #message(id) {
    const known = this.#messages.get(id)
    if (known) return known
    const node = element(
      "li",
      { class: "message", "data-role": "unknown", "data-id": id, "data-created": "" },
      element(
        "header",
        {},
        element("strong", { class: "role" }, "Message"),
        span("agent", ""),
        element("span", { class: "model", "data-id": "" }, ""),
        span("time", ""),
        span("state", ""),
      ),
      element("div", { class: "parts" }),
      element("p", { class: "error" }),
      element("div", { class: "changes" }),
      element("p", { class: "usage" }),
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
    const unfinished = role === "assistant" && show.milliseconds(time.completed) === null && !data.error
    node.dataset.role = role
    node.dataset.created = created ?? ""
    node.querySelector(".model").dataset.id = model
    const words = {
      role: role === "unknown" ? "Message" : label,
      agent: show.line(show.text(data.agent) || show.text(data.mode), 64),
      model: this.#names.get(model) ?? model,
      time: show.moment(created),
      state: unfinished ? "not finished" : "",
    }
    for (const [name, value] of Object.entries(words)) {
      node.querySelector(`:scope > header > .${name}`).textContent = value
    }
    node.querySelector(":scope > .error").textContent = show.failure(data.error)
    node.querySelector(":scope > .usage").textContent = show.usage(data)
    refill(node.querySelector(":scope > .changes"), changes(show.diffs(show.mapping(data.summary).diffs)))
  }

  #takePart(item) {
    let node = this.#parts.get(item.key)
    if (!node) {
      const [, id = ""] = item.key.split("/", 2)
      const message = this.#message(id)
      node = element("div", { class: "part", "data-key": item.key, "data-kind": "none" })
      this.#parts.set(item.key, node)
      const index = position(message.parts, node, lesser)
      message.parts.splice(index, 0, node)
      message.node.querySelector(":scope > .parts").insertBefore(node, message.parts[index + 1] ?? null)
    }
    this.#fill(node, item, () => {
      const block = show.block(show.mapping(item.data))
      node.dataset.kind = block?.kind ?? "none"
      refill(node, block ? render[block.kind](block) : [])
    })
    if (node.dataset.href && !node.hasChildNodes()) {
      node.dataset.kind = "note"
      node.append(element("p", { class: "note" }, "Large part"))
    }
  }

  #showSession(data) {
    const session = show.mapping(data)
    const version = show.line(show.text(session.version), 32)
    const title = show.line(show.text(session.title)) || "Untitled session"
    document.title = `${title} · Opencode Cloud`
    this.session.querySelector("#title").textContent = title
    this.session.querySelector("#created").textContent = show.moment(
      show.milliseconds(show.mapping(session.time).created),
    )
    this.session.querySelector("#version").textContent = version ? `opencode ${version}` : ""
    this.session.querySelector("#usage").textContent = show.usage(session)
  }

  #showModels(data) {
    this.#names.clear()
    for (const model of show.mappings(data)) {
      const id = show.line(show.text(model.id), 100)
      if (id) this.#names.set(id, show.line(show.text(model.name), 100) || id)
    }
    const names = [...this.#names].map(([id, name]) => element("span", { "data-id": id }, name))
    this.models.replaceChildren(...names)
    for (const { node: message } of this.#order) {
      const node = message.querySelector(".model")
      node.textContent = this.#names.get(node.dataset.id) ?? node.dataset.id
    }
  }

  #showChanges(data) {
    const diffs = show.diffs(data)
    this.changes.hidden = diffs.length === 0
    refill(this.changes.querySelector(".changes"), changes(diffs))
  }
}

/** Fetches large items: parts when they come near the window, everything else at once. */
class Loader {
  #queue = []
  #active = 0
  #watching = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: NEARBY })

  constructor(load) {
    this.load = load
  }

  watch(node) {
    if (node.matches(".part")) this.#watching.observe(node)
    else this.#enqueue(() => node.dataset.href)
  }

  add(href) {
    this.#enqueue(() => href)
  }

  #seen(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue
      this.#watching.unobserve(target)
      this.#enqueue(() => target.dataset.href)
    }
  }

  #enqueue(href, failures = 0) {
    this.#queue.push({ href, failures })
    this.#next()
  }

  async #next() {
    if (this.#active >= LOADS || this.#queue.length === 0) return
    const { href, failures } = this.#queue.shift()
    const address = href()
    if (!address) return this.#next() // a newer item has arrived complete
    this.#active += 1
    try {
      await this.load(address)
    } catch (error) {
      console.warn("A large item could not be fetched and will be tried again.", error)
      setTimeout(() => this.#enqueue(href, failures + 1), Math.min(60_000, 1_000 * 2 ** failures) * (0.5 + Math.random()))
    } finally {
      this.#active -= 1
      this.#next()
    }
  }
}
