// Output of terminals as elements. opencode_cloud/sharing/rendering/terminal.py has the same rules: change both together.

import { styled, withoutHome } from "./blocks.js"
import { h, span } from "./nodes.js"
import { ngettext } from "./words.js"

const HEAD = 12 // lines that are shown of a longer output, at its beginning and at its end
const TAIL = 12
const FOLDED = 40 // lines from which an output is folded
const GRAPHICS = /^\x1b\[([0-9;]*)m$/
const STYLES = { 1: "bold", 2: "dim", 3: "italic", 4: "underline", 7: "inverse" }
const ENDS = { 22: ["bold", "dim"], 23: ["italic"], 24: ["underline"], 27: ["inverse"] }
const MODES = ["bold", "dim", "italic", "underline", "inverse"]
const SEQUENCE = 100 // characters; a longer one is no sequence of a color

class Style {
  modes = new Set()
  ink = ""
  back = ""

  take(sequence) {
    const found = sequence.length <= SEQUENCE && GRAPHICS.exec(sequence)
    const codes = found ? found[1].split(";").map(Number) : []
    while (codes.length) {
      const code = codes.shift()
      if (code === 38 || code === 48) this.#extended(code, codes)
      else this.#simple(code)
    }
  }

  #extended(code, codes) {
    const kind = codes.shift() ?? 0
    const values = codes.splice(0, { 2: 3, 5: 1 }[kind] ?? 0)
    const color = kind === 5 && values.length && values[0] < 16 ? values[0] : null
    const name = color === null ? "" : String(color < 8 ? color : color + 52)
    if (code === 38) this.ink = name && `ink-${name}`
    else this.back = name && `back-${name}`
  }

  #simple(code) {
    const within = (low) => (code >= low && code <= low + 7) || (code >= low + 60 && code <= low + 67)
    if (code === 0) {
      this.modes.clear()
      this.ink = this.back = ""
    } else if (STYLES[code]) this.modes.add(STYLES[code])
    else if (ENDS[code]) for (const mode of ENDS[code]) this.modes.delete(mode)
    else if (within(30)) this.ink = `ink-${code - 30}`
    else if (within(40)) this.back = `back-${code - 40}`
    else if (code === 39) this.ink = ""
    else if (code === 49) this.back = ""
  }

  get classes() {
    return [...MODES.filter((mode) => this.modes.has(mode)), this.ink, this.back].filter(Boolean).join(" ")
  }
}

function linesOf(output) {
  const lines = [[]]
  const style = new Style()
  for (const [sequence, words] of styled(output)) {
    style.take(sequence)
    const [first, ...others] = withoutHome(words).split("\n")
    if (first) lines.at(-1).push([style.classes, first])
    for (const piece of others) lines.push(piece ? [[style.classes, piece]] : [])
  }
  return lines
}

/** The elements of a terminal's output. The middle of a long one is folded, and its lines are counted. */
export function terminal(output, name = "output") {
  const lines = linesOf(output)
  const last = lines.at(-1).length === 0 ? lines.length - 1 : lines.length
  if (last <= FOLDED) return [pre(name, lines)]
  const hidden = last - HEAD - TAIL
  const summary = h("summary", {}, ngettext("%(num)s line hidden", "%(num)s lines hidden", hidden))
  const more = h("details", { class: "more" }, summary, pre(name, lines.slice(HEAD, HEAD + hidden)))
  return [pre(name, lines.slice(0, HEAD)), more, pre(name, lines.slice(HEAD + hidden))]
}

function pre(name, lines) {
  const made = h("pre", { class: name, tabindex: "0" })
  lines.forEach((line, index) => {
    if (index) made.children.push("\n")
    for (const [classes, words] of line) made.children.push(classes ? span(classes, words) : words)
  })
  return made
}
