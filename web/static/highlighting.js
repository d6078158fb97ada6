// Highlights code and changes in a worker: the first blocks of a session at once, the others near the window. Code of an unknown language stays plain.
// Code gets elements with classes. The lines of a change keep their elements, which mark what changed: their colors are
// ranges, where the browser can color these (CSS Custom Highlight API).

import { keep } from "./nodes.js"

const LONGEST = 50_000 // characters of a block; a longer one stays plain
const PATIENCE = 3_000 // milliseconds for one block; a worker that takes longer is replaced
const NEARBY = "600px"
const AT_ONCE = 200 // blocks
const BLOCKS = "pre > code[class^=language-], pre.patch[data-language]"

export class Highlighter {
  #worker = null
  #queue = []
  #atOnce = AT_ONCE
  #present = null
  #timer = 0
  #ranges = new WeakMap() // block of a change -> its colors
  #finished = new WeakMap() // block -> the words that were last looked at
  #seen = new IntersectionObserver((entries) => this.#enter(entries), { rootMargin: NEARBY })
  #mutations = new MutationObserver((records) => records.forEach((record) => this.#take(record)))

  /** Highlight blocks below `root`, now and as they change. */
  constructor(root) {
    this.#watch(root)
    this.#mutations.observe(root, { childList: true, characterData: true, subtree: true })
  }

  /** Look only at what is new: a long session arrives as thousands of records. */
  #take({ type, target, addedNodes, removedNodes }) {
    if (type === "characterData") this.#watch(target)
    else addedNodes.forEach((node) => this.#watch(node))
    removedNodes.forEach((node) => this.#forget(node))
  }

  /** Give up the colors of blocks that left the page, which would keep their elements. */
  #forget(node) {
    if (node.nodeType !== Node.ELEMENT_NODE || node.isConnected) return
    for (const block of node.querySelectorAll(BLOCKS)) {
      this.#seen.unobserve(block)
      for (const [group, range] of this.#ranges.get(block) ?? []) CSS.highlights.get(group).delete(range)
    }
  }

  #watch(node) {
    const within = node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement
    const own = within?.closest(BLOCKS)
    for (const block of own ? [own] : (within?.querySelectorAll(BLOCKS) ?? [])) {
      if (this.#finished.get(block) === codeOf(block)) continue
      if (this.#atOnce > 0) this.#queue.push(block)
      else this.#seen.observe(block)
      this.#atOnce -= 1
    }
    this.#next()
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
    const block = this.#queue.shift()
    const words = codeOf(block)
    this.#finished.set(block, words)
    const places = block.matches(".patch") ? placesOf(block) : null
    const language = block.dataset.language ?? block.className.slice("language-".length)
    if (!words || words.length > LONGEST || !block.isConnected || (places && !CSS.highlights)) return this.#next()
    this.#worker ??= this.#start()
    this.#present = { block, words, places }
    this.#timer = setTimeout(() => this.#giveUp(), PATIENCE)
    this.#worker.postMessage({ words: places ? places.words : words, language })
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
    const { block, words, places } = this.#present
    if (runs && codeOf(block) === words) {
      if (places) this.#ranges.set(block, colorRanges(places, runs))
      else colorElements(block, words, runs)
    }
    this.#done()
  }
}

/** The code in a block, without what other modules put between the lines of a change. */
function codeOf(block) {
  return block.matches(".patch") ? linesOf(block).map((line) => line.textContent).join("") : block.textContent
}

const linesOf = (patch) => [...patch.children].filter((each) => each.matches(".line"))

function colorElements(code, words, runs) {
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

/** The code of a change without signs and heads of hunks, and the text nodes that show it: [node, offset, from]. */
function placesOf(patch) {
  const nodes = []
  let words = ""
  for (const line of linesOf(patch)) {
    if (line.classList.contains("hunk")) continue
    const walker = document.createTreeWalker(line, NodeFilter.SHOW_TEXT)
    for (let offset = 1; walker.nextNode(); offset = 0) {
      nodes.push([walker.currentNode, offset, words.length])
      words += walker.currentNode.data.slice(offset)
    }
  }
  return { nodes, words }
}

/** Color the words of a change; return the ranges, with their groups. */
function colorRanges({ nodes }, runs) {
  const made = []
  let at = 0 // in the code
  let index = 0 // of the node that shows it
  for (const [name, { length }] of runs) {
    const end = at + length
    while (index < nodes.length) {
      const [node, offset, from] = nodes[index]
      const last = from + node.length - offset
      if (name && Math.min(end, last) > at) made.push(color(name, node, offset + at - from, offset + Math.min(end, last) - from))
      at = Math.min(end, last)
      if (last > end) break
      index += 1
      if (last === end) break
    }
    at = end
  }
  return made
}

function color(name, node, start, end) {
  const group = name.split(" ", 1)[0]
  if (!CSS.highlights.has(group)) CSS.highlights.set(group, new Highlight())
  const range = new StaticRange({ startContainer: node, startOffset: start, endContainer: node, endOffset: end })
  CSS.highlights.get(group).add(range)
  return [group, range]
}
