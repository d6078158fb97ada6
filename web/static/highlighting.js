// Highlights the code blocks of the page, near the window first, in a worker. Code of an unknown language stays plain.

import { keep } from "./nodes.js"

const LONGEST = 50_000 // characters of a block; a longer one stays plain
const PATIENCE = 3_000 // milliseconds for one block; a worker that takes longer is replaced
const NEARBY = "600px"

export class Highlighter {
  #worker = null
  #queue = []
  #present = null
  #timer = 0
  #finished = new WeakMap() // code -> the words that were last looked at
  #seen = new IntersectionObserver((entries) => this.#enter(entries), { rootMargin: NEARBY })
  #mutations = new MutationObserver((records) => records.forEach((record) => this.#take(record)))

  /** Highlight code below `root`, now and as it changes. */
  constructor(root) {
    this.#watch(root)
    this.#mutations.observe(root, { childList: true, characterData: true, subtree: true })
  }

  /** Look only at what is new: a long session arrives as thousands of records. */
  #take({ type, target, addedNodes }) {
    if (type === "characterData") this.#watch(target)
    else addedNodes.forEach((node) => this.#watch(node))
  }

  #watch(node) {
    const within = node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement
    const own = within?.closest("code[class^=language-]")
    const blocks = own ? [own] : (within?.querySelectorAll("pre > code[class^=language-]") ?? [])
    for (const code of blocks) if (this.#finished.get(code) !== code.textContent) this.#seen.observe(code)
  }

  #enter(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue
      this.#seen.unobserve(target)
      this.#queue.push(target)
    }
    this.#next()
  }

  #next() {
    if (this.#present || !this.#queue.length) return
    const code = this.#queue.shift()
    const words = code.textContent
    const language = code.className.slice("language-".length)
    if (!words || words.length > LONGEST || !code.isConnected) return this.#next()
    this.#finished.set(code, words)
    this.#worker ??= this.#start()
    this.#present = { code, words }
    this.#timer = setTimeout(() => this.#giveUp(), PATIENCE)
    this.#worker.postMessage({ words, language })
  }

  #start() {
    const worker = new Worker(new URL("./highlight-worker.js", import.meta.url), { type: "module" })
    worker.addEventListener("message", ({ data }) => this.#show(data.runs))
    worker.addEventListener("error", () => this.#giveUp())
    return worker
  }

  #giveUp() {
    this.#worker?.terminate()
    this.#worker = null
    this.#done()
  }

  #done() {
    clearTimeout(this.#timer)
    this.#present = null
    this.#next()
  }

  #show(runs) {
    const { code, words } = this.#present
    if (runs && code.textContent === words) {
      const nodes = runs.map(([name, piece]) => {
        if (!name) return piece
        const span = document.createElement("span")
        span.className = name
        span.textContent = piece
        return span
      })
      code.replaceChildren(...nodes)
      keep(code, words)
    }
    this.#done()
  }
}
