// Ways through a session: the list of prompts, keys, links to messages and parts, split changes, enlarged pictures.

import { copyAnchor } from "./copying.js"
import { described, lasting } from "./blocks.js"
import { bring, Finder, open } from "./finding.js"
import { split, unite } from "./splitting.js"
import { gettext as _ } from "./words.js"

const PAUSE = 200 // milliseconds in which updates are taken together
const FIRST_LINE = 80 // characters of a prompt in the list
const NO_WORDS = _("A prompt without text")
const stored = (name) => {
  try {
    return localStorage.getItem(name)
  } catch {
    return null
  }
}
const store = (name, value) => {
  try {
    localStorage.setItem(name, value)
  } catch {
    // the choice then lasts as long as the page
  }
}

export class Reading {
  #pending = ""
  #timer = 0
  #sought = ""
  #shown = ""
  #known = null // the prompts of a long session: [anchor, words, figures], or their fetch

  constructor(root, windows) {
    this.root = root
    this.windows = windows
    this.list = root.querySelector("#messages")
    this.prompts = document.querySelector("#prompts")
    this.help = document.querySelector("#help")
    this.finder = new Finder(root, windows)
    document.querySelector("#tools").hidden = false
    this.#pending = location.hash
    addEventListener("hashchange", () => this.#goTo(location.hash))
    addEventListener("keydown", (event) => this.#key(event))
    root.addEventListener("click", (event) => this.#enlarge(event))
    this.#connect()
    this.#split(stored("split") === "yes")
    this.#update()
  }

  /** Take notice of new messages and parts, soon. */
  refresh() {
    this.#timer ||= setTimeout(() => {
      this.#timer = 0
      this.#update()
    }, PAUSE)
  }

  #update() {
    if (this.#pending) this.#goTo(this.#pending)
    this.#listPrompts()
    if (this.root.classList.contains("is-split")) split(this.root)
  }

  #connect() {
    const actions = {
      search: () => this.finder.open(),
      expand: () => this.#openAll(true),
      collapse: () => this.#openAll(false),
      split: () => this.#split(!this.root.classList.contains("is-split")),
      help: () => this.help.showModal(),
      prompts: () => (this.prompts.hidden = !this.prompts.hidden),
    }
    for (const [name, action] of Object.entries(actions)) {
      for (const button of document.querySelectorAll(`[data-action="${name}"]`)) {
        button.hidden = false
        button.addEventListener("click", action)
      }
    }
    const keys = this.help.querySelector("input")
    keys.checked = stored("keys") !== "off"
    keys.addEventListener("change", () => store("keys", keys.checked ? "on" : "off"))
    this.prompts.addEventListener("click", (event) => {
      if (event.target.closest("a") && matchMedia("(max-width: 75rem)").matches) this.prompts.hidden = true
    })
    this.prompts.hidden = matchMedia("(max-width: 75rem)").matches
  }

  /** Go to the message or part that a link names; wait for one that has not arrived. */
  #goTo(hash) {
    if (!/^#[mp]-/.test(hash)) return (this.#pending = "")
    const anchor = decoded(hash.slice(1))
    const target = document.getElementById(anchor)
    this.#pending = target ? "" : hash
    if (!target) return this.#fetch(hash, anchor)
    open(target)
    const folded = target.querySelector(":scope > details")
    if (folded) folded.open = true
    bring(target)
    for (const node of this.list.querySelectorAll(".is-target")) node.classList.remove("is-target")
    target.classList.add("is-target")
  }

  /** Fetch the messages around a place that is not in the page. Its message may not have arrived yet. */
  async #fetch(hash, anchor) {
    if (this.#sought === hash) return
    this.#sought = hash
    const found = await this.windows.show(anchor)
    if (found && this.#pending === hash) this.#goTo(hash)
    else if (this.windows.isLong) this.#pending = "" // the server does not know it
    this.#sought = ""
  }

  #openAll(isOpen) {
    for (const node of this.root.querySelectorAll("details")) node.open = isOpen
  }

  #split(on) {
    this.root.classList.toggle("is-split", on)
    document.querySelector('[data-action="split"]').setAttribute("aria-pressed", String(on))
    store("split", on ? "yes" : "no")
    if (on) split(this.root)
    else unite(this.root)
  }

  #listPrompts() {
    const prompts = []
    for (const message of this.list.children) {
      if (message.dataset.role === "user") prompts.push({ message, figures: [0, 0, 0, 0, 0] })
      else if (prompts.length) add(prompts.at(-1).figures, message.dataset.figures)
    }
    const here = prompts.map(({ message, figures }) => {
      const words = message.querySelector(".prose")?.textContent.trim().split("\n", 1)[0] ?? ""
      return [message.id, words.slice(0, FIRST_LINE) || NO_WORDS, took(figures)]
    })
    const entries = this.windows.isLong ? this.#withKnown(here) : here
    const shown = JSON.stringify(entries)
    if (shown === this.#shown) return
    this.#shown = shown
    this.prompts.querySelector("ol").replaceChildren(...entries.map(entry))
  }

  /** The prompts of a long session: those that the server knows, then newer ones in the page. */
  #withKnown(here) {
    if (!this.#known) {
      this.#known = []
      this.windows.prompts().then(
        (prompts) => {
          this.#known = prompts.map(([id, words, figures]) => [
            `m-${id}`,
            words.slice(0, FIRST_LINE) || NO_WORDS,
            took(figures),
          ])
          this.refresh()
        },
        () => (this.#known = null), // the next change asks again
      )
    }
    const ids = new Set(this.#known.map(([id]) => id))
    // A turn that is whole in the page has its newest figures there.
    const whole = new Map(here.slice(1, this.windows.isAtEnd ? undefined : -1).map((each) => [each[0], each]))
    return [...this.#known.map((each) => whole.get(each[0]) ?? each), ...here.filter(([id]) => !ids.has(id))]
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.help.querySelector("input").checked) return
    if (event.target.closest("input, textarea, select, dialog, [contenteditable]")) return
    const keys = {
      j: () => this.#step(1),
      k: () => this.#step(-1),
      g: () => this.windows.toBeginning().then(() => scrollTo(0, 0)),
      G: () => this.windows.toEnd().then(() => bring(document.body, { block: "end" })),
      "/": () => this.finder.open(),
      "?": () => this.help.showModal(),
      e: () => this.#openAll(true),
      c: () => this.#openAll(false),
      y: () => this.#copyPlace(event.target),
    }
    if (!Object.hasOwn(keys, event.key)) return
    event.preventDefault()
    keys[event.key]()
  }

  #step(by) {
    const messages = [...this.list.children]
    if (!messages.length) return
    const top = parseFloat(getComputedStyle(messages[0]).scrollMarginTop) + 8 // where a message stands after a step
    const next = messages.findIndex((message) => message.getBoundingClientRect().top > top)
    const first = next < 0 ? messages.length : next
    const present = messages[first - 1]
    const aligned = present && Math.abs(present.getBoundingClientRect().top - top) < 24
    const target = by > 0 ? messages[first] : messages[aligned ? first - 2 : first - 1]
    if (!target) return
    target.tabIndex = -1
    target.focus({ preventScroll: true })
    bring(target)
  }

  #copyPlace(node) {
    const link = (node.closest(".part") ?? node.closest(".message"))?.querySelector("a.anchor")
    if (link) copyAnchor(link)
  }

  #enlarge(event) {
    const button = event.target.closest("button.zoom")
    if (!button) return
    const dialog = document.querySelector("#lightbox")
    const image = button.querySelector("img").cloneNode()
    dialog.querySelector("div").replaceChildren(image)
    dialog.showModal()
  }
}

function decoded(words) {
  try {
    return decodeURIComponent(words)
  } catch {
    return words
  }
}

/** Duration, tokens and cost of a turn in words. */
function took([ms, ...used]) {
  return [ms ? lasting(0, ms) : "", described(...used)].filter(Boolean).join(" · ")
}

function add(total, figures) {
  for (const [index, figure] of (figures ?? "").split(",").entries()) total[index] += Number(figure) || 0
}

function entry([id, words, used]) {
  const item = document.createElement("li")
  const link = document.createElement("a")
  link.href = `#${id}`
  link.textContent = words
  item.append(link)
  if (used) {
    const small = document.createElement("small")
    small.textContent = used
    item.append(small)
  }
  return item
}
