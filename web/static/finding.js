// Search in the page: it finds words in folded parts too, and opens them. Where the page does not hold the whole session,
// the server finds the messages and parts that hold the words. Found words are marked without any change of the page's
// elements, where the browser can do so (CSS Custom Highlight API).

import { gettext as _ } from "./words.js"

const MOST = 2_000 // found places; a reader who has more types another letter
const PAUSE = 150 // milliseconds after the last key

export class Finder {
  #found = [] // ranges in the page, or the anchors of elements that the server has found
  #at = -1
  #timer = 0
  #asked = new AbortController() // the present search of the server
  #searching = false

  constructor(root, windows) {
    this.root = root
    this.windows = windows
    this.form = document.querySelector("#search")
    this.input = this.form.querySelector("input")
    this.count = this.form.querySelector("output")
    this.input.addEventListener("input", () => {
      clearTimeout(this.#timer)
      this.#timer = setTimeout(() => this.#search(), PAUSE)
    })
    this.form.addEventListener("submit", (event) => {
      event.preventDefault()
      this.#step(event.submitter?.value === "back" ? -1 : 1)
    })
    this.input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close()
      else if (event.key === "Enter" && event.shiftKey) {
        event.preventDefault()
        this.#step(-1)
      }
    })
    this.form.querySelector("[value=close]").addEventListener("click", () => this.close())
  }

  open() {
    this.form.hidden = false
    this.input.focus()
    this.input.select()
  }

  close() {
    this.form.hidden = true
    this.input.value = ""
    this.#search()
    document.querySelector("#content").focus({ preventScroll: true })
  }

  #search() {
    const words = this.input.value.toLowerCase()
    this.#asked.abort()
    this.#at = -1
    this.#searching = false
    CSS.highlights?.delete("here")
    if (this.windows.isLong && words.length > 1) return this.#ask(words)
    this.#found = words.length > 1 ? this.#ranges(words) : []
    if (this.#found.length) CSS.highlights?.set("found", new Highlight(...this.#found))
    else CSS.highlights?.delete("found")
    this.#tell()
    if (this.#found.length) this.#step(1)
  }

  /** Have the server search the whole session, answer by answer. */
  async #ask(words) {
    this.#asked = new AbortController()
    const { signal } = this.#asked
    this.#found = []
    this.#searching = true
    this.#tell()
    try {
      for (let from = ""; this.#searching && this.#found.length < MOST; ) {
        const { matches, next } = await this.windows.search(words, from, signal)
        const isFirst = this.#found.length === 0 && matches.length > 0
        this.#found.push(...matches.map(({ anchor }) => anchor))
        this.#searching = next !== ""
        from = next
        this.#tell()
        if (isFirst) this.#step(1)
      }
    } catch (error) {
      if (signal.aborted) return
      console.warn("The server could not search.", error)
    }
    this.#searching = false
    this.#tell()
  }

  #ranges(words, root = this.root) {
    const found = []
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT)
    while (walker.nextNode() && found.length < MOST) {
      const { data, parentElement } = walker.currentNode
      if (parentElement.closest("button, .anchor")) continue
      const text = data.toLowerCase()
      if (text.length !== data.length) continue // letters whose small form is longer would move the places
      for (let at = text.indexOf(words); at >= 0 && found.length < MOST; at = text.indexOf(words, at + words.length)) {
        const range = document.createRange()
        range.setStart(walker.currentNode, at)
        range.setEnd(walker.currentNode, at + words.length)
        found.push(range)
      }
    }
    return found
  }

  #step(by) {
    if (!this.#found.length) return
    this.#at = (this.#at + by + this.#found.length) % this.#found.length
    const place = this.#found[this.#at]
    this.#tell()
    if (typeof place === "string") this.#showElement(place)
    else this.#showRange(place)
  }

  /** Show an element that the server has found, and the words in it. */
  async #showElement(anchor) {
    const words = this.input.value.toLowerCase()
    const { signal } = this.#asked
    const element = await this.windows.show(anchor)
    if (signal.aborted || !element || this.#found[this.#at] !== anchor) return
    const ranges = this.#ranges(words, element)
    CSS.highlights?.set("found", new Highlight(...this.#ranges(words)))
    if (ranges.length) return this.#showRange(ranges[0])
    open(element) // the words stand in what the page does not show, or has not fetched yet
    const folded = element.querySelector(":scope > details")
    if (folded) folded.open = true
    bring(element, { block: "center" })
  }

  #showRange(range) {
    const { parentElement } = range.startContainer
    open(parentElement)
    bring(parentElement, { block: "center" })
    CSS.highlights?.set("here", new Highlight(range))
  }

  #tell() {
    const total = this.#found.length >= MOST || this.#searching ? `${this.#found.length}+` : this.#found.length
    if (!this.input.value) this.count.value = ""
    else if (this.#searching && !this.#found.length) this.count.value = _("Searching…")
    else this.count.value = this.#found.length ? _("%(position)s of %(total)s", { position: this.#at + 1, total }) : _("Not found")
  }
}

/** Open all folded elements around a node. */
export function open(node) {
  for (let each = node?.closest("details"); each; each = each.parentElement.closest("details")) each.open = true
}

const SETTLE = 12 // frames in which elements that come into view get their height, and move what is below them
const MOVES = ["wheel", "touchmove", "keydown", "pointerdown"]

/** Scroll to a node, and stay there while the elements around it get their height, unless the reader moves on. */
export function bring(node, options = {}) {
  let left = SETTLE
  const stop = () => (left = 0)
  for (const name of MOVES) addEventListener(name, stop, { once: true, passive: true })
  const again = () => {
    if (left <= 0) return
    left -= 1
    node?.scrollIntoView({ ...options, behavior: "instant" })
    if (left > 0) requestAnimationFrame(again)
    else for (const name of MOVES) removeEventListener(name, stop)
  }
  again()
}
