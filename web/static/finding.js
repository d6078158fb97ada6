// Search in the page: it finds words in folded parts too, and opens them. Found words are marked without any change of
// the page's elements, where the browser can do so (CSS Custom Highlight API).

import { gettext as _ } from "./words.js"

const MOST = 2_000 // found places; a reader who has more types another letter
const PAUSE = 150 // milliseconds after the last key

export class Finder {
  #found = []
  #at = -1
  #timer = 0

  constructor(root) {
    this.root = root
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
    this.#found = words.length > 1 ? this.#ranges(words) : []
    this.#at = -1
    CSS.highlights?.delete("here")
    if (this.#found.length) CSS.highlights?.set("found", new Highlight(...this.#found))
    else CSS.highlights?.delete("found")
    this.#tell()
    if (this.#found.length) this.#step(1)
  }

  #ranges(words) {
    const found = []
    const walker = document.createTreeWalker(this.root, NodeFilter.SHOW_TEXT)
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
    const range = this.#found[this.#at]
    const { parentElement } = range.startContainer
    open(parentElement)
    parentElement?.scrollIntoView({ block: "center" })
    CSS.highlights?.set("here", new Highlight(range))
    this.#tell()
  }

  #tell() {
    const total = this.#found.length === MOST ? `${MOST}+` : this.#found.length
    if (!this.input.value) this.count.value = ""
    else this.count.value = this.#found.length ? _("%(position)s of %(total)s", { position: this.#at + 1, total }) : _("Not found")
  }
}

/** Open all folded elements around a node. */
export function open(node) {
  for (let each = node?.closest("details"); each; each = each.parentElement.closest("details")) each.open = true
}
