// Comments on lines of changes: numbers of lines that open a form, and comments in rows under their lines.
// Numbers, rows and the form have `data-beside`, so that updates of the change leave them alone.

import { bring, open } from "./finding.js"
import { changeOf, find, rowEnd, visible } from "./lines.js"
import { gettext as _ } from "./words.js"

const PAUSE = 100 // milliseconds in which changes of the page are taken together
const NEARBY = "400px"
const LONGEST_QUOTE = 2_000 // characters
const CHANGED = _("These lines have changed since you chose them. Choose their number again.")

const letters = (words) => Array.from(words)
const isSame = (one, other) => ["item", "file", "side", "change"].every((name) => one[name] === other[name])

/** The lines that a comment of the list is about; null for other comments. */
function placeOf({ dataset }) {
  if (!dataset.first) return null
  const { item, file, side } = dataset
  return { item, file, side, first: Number(dataset.first), last: Number(dataset.last), change: Number(dataset.change) }
}

function inWords({ side, first, last, file }) {
  const values = { line: first, end: last, file: file || _("unnamed file") }
  if (side === "new") {
    return first === last ? _("On line %(line)s of %(file)s", values) : _("On lines %(line)s to %(end)s of %(file)s", values)
  }
  return first === last
    ? _("On old line %(line)s of %(file)s", values)
    : _("On old lines %(line)s to %(end)s of %(file)s", values)
}

function labelOf(side, line) {
  return side === "new" ? _("Comment on line %(line)s, new side", { line }) : _("Comment on line %(line)s, old side", { line })
}

export class LineComments {
  #place = null // the lines that the form is about
  #text = "" // their text when they were chosen
  #timer = 0
  #near = new Set() // blocks of lines near the window, whose numbers can be chosen
  #rows = new WeakMap() // row -> the comments in it, as HTML
  #seen = new IntersectionObserver((entries) => this.#enter(entries), { rootMargin: NEARBY })

  /** Show the comments of `list` below `root`. `send(body)` sends a comment; it raises an error with words for people. */
  constructor(root, section, list, send) {
    this.root = root
    this.section = section
    this.list = list
    this.send = send
    const template = section.querySelector("#line-form")
    if (template) this.#prepare(template)
    new MutationObserver(() => this.#soon()).observe(root, { childList: true, characterData: true, subtree: true })
    this.refresh()
  }

  #prepare(template) {
    this.form = template.content.firstElementChild.cloneNode(true)
    this.form.dataset.beside = ""
    this.root.classList.add("takes-lines")
    this.root.addEventListener("click", (event) => {
      const button = event.target.closest(".line-number")
      if (button) this.#choose(button, event.shiftKey)
    })
    this.root.addEventListener("mousedown", (event) => {
      if (event.shiftKey && event.target.closest(".line-number")) event.preventDefault() // it would select text
    })
    this.root.addEventListener("keydown", (event) => this.#key(event))
    this.form.addEventListener("submit", (event) => this.#submit(event))
    this.form.addEventListener("keydown", (event) => event.key === "Escape" && this.#close())
    this.form.elements.cancel.addEventListener("click", () => this.#close())
    this.form.elements.last.addEventListener("input", () => this.#extend())
  }

  #soon() {
    this.#timer ||= setTimeout(() => this.refresh(), PAUSE)
  }

  /** Bring rows, numbers and the form to their places. */
  refresh() {
    clearTimeout(this.#timer)
    this.#timer = 0
    this.#showRows()
    if (!this.form) return
    for (const block of this.root.querySelectorAll("pre.patch, .sides")) this.#seen.observe(block)
    for (const block of this.#near) {
      if (block.isConnected) this.#number(block)
      else this.#near.delete(block)
    }
    if (this.#place) this.#placeForm()
  }

  /** Lead to the row of a comment. Return whether its lines are in the page. */
  show(comment) {
    const article = this.root.querySelector(`.line-row [data-comment="${CSS.escape(comment.id)}"]`)
    if (!article) return false
    open(article)
    bring(article, { block: "center" })
    article.focus({ preventScroll: true })
    return true
  }

  /** Put the focus on the number of the last line of a place. */
  focusLine(place) {
    const found = place && find(place)
    if (found) visible(found.lines.at(-1), place.side).querySelector(":scope > .line-number")?.focus()
  }

  #showRows() {
    const wanted = new Map() // element -> the comments in the row after it
    for (const comment of this.list.querySelectorAll("li[data-first]")) {
      const place = placeOf(comment)
      const found = find(place)
      if (found === undefined) continue // the server has told whether it is outdated
      const quote = comment.querySelector(".comment-quote").textContent
      const text = letters(found?.text ?? "")
      const isCurrent = found !== null && text.length === Number(comment.dataset.length) && startsWith(text, quote)
      comment.classList.toggle("outdated", !isCurrent)
      if (!isCurrent) continue
      const end = rowEnd(visible(found.lines.at(-1), place.side))
      wanted.set(end, [...(wanted.get(end) ?? []), comment])
    }
    const rows = new Set([...wanted].map(([end, comments]) => this.#row(end, comments)))
    for (const row of this.root.querySelectorAll(".line-row")) if (!rows.has(row)) row.remove()
  }

  #row(end, comments) {
    let row = end.nextElementSibling
    if (!row?.matches(".line-row")) {
      row = document.createElement("div")
      row.className = "line-row"
      row.dataset.beside = ""
      end.after(row)
    }
    const shown = comments.map((each) => each.outerHTML).join("")
    if (this.#rows.get(row) !== shown) keepFocus(row, "article", () => row.replaceChildren(...comments.map(articleOf)))
    this.#rows.set(row, shown)
    return row
  }

  #enter(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) this.#near.delete(target)
      else {
        this.#near.add(target)
        this.#number(target)
      }
    }
  }

  /** Give the lines of a block their buttons. */
  #number(block) {
    const isSplit = block.matches(".sides")
    const change = changeOf(isSplit ? block.previousElementSibling : block)
    let isFirst = !block.querySelector('.line-number[tabindex="0"]')
    for (const line of block.querySelectorAll(":scope > .line")) {
      const side = sideOf(line)
      const number = Number(isSplit ? line.dataset.number : line.dataset[side])
      const isNumbered = isSplit ? change[side].has(number) : change[side].get(number) === line
      const button = line.querySelector(":scope > .line-number")
      if (!isNumbered) button?.remove()
      else {
        const shown = button ?? line.insertBefore(buttonOf(isFirst), line.firstChild)
        isFirst = false
        const label = labelOf(side, number)
        if (shown.ariaLabel !== label) shown.ariaLabel = label
      }
    }
  }

  /** Arrow keys lead from number to number; a block has one stop of the tabulator. */
  #key(event) {
    const button = event.target.closest(".line-number")
    if (!button) return
    if (event.key === "Enter" && event.shiftKey) {
      event.preventDefault()
      return this.#choose(button, true)
    }
    const buttons = [...button.closest("pre.patch, .sides").querySelectorAll(".line-number")]
    const at = buttons.indexOf(button)
    const next = { ArrowDown: buttons[at + 1], ArrowUp: buttons[at - 1], Home: buttons[0], End: buttons.at(-1) }[event.key]
    if (!next) return
    event.preventDefault()
    for (const each of buttons) each.tabIndex = each === next ? 0 : -1
    next.focus()
  }

  /** Open the form on a line, or on all lines from those that were chosen before. */
  #choose(button, isExtending) {
    const line = button.parentElement
    const block = line.parentElement
    const side = sideOf(line)
    const isSplit = block.matches(".sides")
    const { item, file, change } = changeOf(isSplit ? block.previousElementSibling : block)
    const number = Number(isSplit ? line.dataset.number : line.dataset[side])
    const place = { item, file, change, side, first: number, last: number }
    if (isExtending && this.#place && isSame(place, this.#place)) {
      place.first = Math.min(number, this.#place.first)
      place.last = Math.max(number, this.#place.last)
    }
    const found = find(place)
    if (!found) return // a line between them is not in the change
    this.#take(place, found)
    this.form.elements.last.min = place.first
    this.form.elements.last.max = place.first + Number(this.form.dataset.mostLines) - 1
    this.form.elements.last.value = place.last
    this.form.elements.text.focus()
    this.form.scrollIntoView({ block: "nearest" })
  }

  #take(place, found) {
    this.#place = place
    this.#text = found.text
    this.form.querySelector(".line-form-place").textContent = inWords(place)
    this.form.elements.last.setCustomValidity("")
    this.#tell("")
    this.#placeForm()
  }

  #extend() {
    const { last } = this.form.elements
    const place = { ...this.#place, last: Number(last.value) }
    const found = last.validity.rangeUnderflow || last.validity.rangeOverflow ? null : find(place)
    if (found) this.#take(place, found)
    else last.setCustomValidity(_("The change shows no such line."))
  }

  #tell(words) {
    this.form.querySelector(".problem").textContent = words
  }

  #placeForm() {
    const found = find(this.#place)
    const isCurrent = found?.text === this.#text
    const lines = isCurrent ? found.lines.map((line) => visible(line, this.#place.side)) : []
    for (const line of this.root.querySelectorAll(".line.is-chosen")) if (!lines.includes(line)) line.classList.remove("is-chosen")
    for (const line of lines) line.classList.add("is-chosen")
    if (!isCurrent) this.#tell(CHANGED)
    if (!isCurrent && this.form.isConnected) return
    let before = isCurrent ? rowEnd(lines.at(-1)) : this.section.lastElementChild
    if (before.nextElementSibling?.matches(".line-row")) before = before.nextElementSibling
    if (before.nextElementSibling === this.form || before === this.form) return
    const focused = this.form.contains(document.activeElement) ? document.activeElement : null
    const wasLost = this.form.isConnected === false && document.activeElement === document.body
    before.after(this.form)
    if (focused) focused.focus({ preventScroll: true })
    else if (wasLost) this.form.elements.text.focus({ preventScroll: true })
  }

  #close() {
    const place = this.#place
    this.#place = null
    this.form.remove()
    this.form.reset()
    for (const line of this.root.querySelectorAll(".line.is-chosen")) line.classList.remove("is-chosen")
    this.focusLine(place)
  }

  async #submit(event) {
    event.preventDefault()
    const { item, ...place } = this.#place
    const button = this.form.querySelector("button[type=submit]")
    button.disabled = true
    try {
      const quote = letters(this.#text).slice(0, LONGEST_QUOTE).join("")
      await this.send({ item, text: this.form.elements.text.value, lines: { ...place, quote } })
      this.#close()
    } catch (error) {
      this.#tell(error.message)
    } finally {
      button.disabled = false
    }
  }
}

/** Replace comments in `root`, and put the focus where it was: on the same control of the same comment. */
export function keepFocus(root, kind, replace) {
  const comments = () => [...root.querySelectorAll(kind)]
  const idOf = (comment) => comment.dataset.comment ?? comment.id
  const controls = (comment) => [...comment.querySelectorAll("a, button, pre")]
  const focused = root.contains(document.activeElement) ? document.activeElement : null
  const before = comments().find((each) => each.contains(focused))
  const at = before ? controls(before).indexOf(focused) : -1
  replace()
  const after = before && comments().find((each) => idOf(each) === idOf(before))
  if (after) (controls(after)[at] ?? after).focus({ preventScroll: true })
}

/** The lines that a comment of the list is about, by its id; null if it has none or is gone. */
export const placeOfComment = (list, id) => {
  const comment = list.querySelector(`[id="${CSS.escape(id)}"]`)
  return comment ? placeOf(comment) : null
}

const sideOf = (line) => (line.matches(".side-old") || (line.matches(".removed") && !line.matches(".side-new")) ? "old" : "new")

const startsWith = (text, quote) => text.slice(0, LONGEST_QUOTE).join("") === quote

function buttonOf(isStop) {
  const button = document.createElement("button")
  button.type = "button"
  button.className = "line-number"
  button.tabIndex = isStop ? 0 : -1
  button.dataset.beside = ""
  return button
}

/** A comment of the list as it is shown under its line. */
function articleOf(comment) {
  const article = document.createElement("article")
  article.className = comment.className
  article.dataset.comment = comment.id
  article.tabIndex = -1
  for (const child of comment.cloneNode(true).querySelectorAll(".comment-head, .comment-text, .comment-actions")) {
    article.append(child)
  }
  const place = article.querySelector(".comment-place")
  if (comment.dataset.first === comment.dataset.last) place.remove()
  else place.replaceWith(place.textContent) // a row stands under the last line
  return article
}
