// Windows of a long session: the page holds some neighbouring messages. Those before and after are fetched as the server
// renders them when a reader comes near, and those far from the window are let go.

import { build, h } from "./nodes.js"
import { localize } from "./times.js"
import { gettext as _ } from "./words.js"

const NEARBY = 1_500 // pixels from the end of what is here at which more is fetched
const MOST = 30_000 // elements in the list of messages, beyond which far messages are let go
const FAR = 4 // heights of the browser's window beyond which a message is far from it
const ABSENT = {
  earlier: _("%(number)s earlier messages are not on this page."),
  later: _("%(number)s later messages are not on this page."),
}
const UP = new Set(["ArrowUp", "PageUp", "Home"])

export class Windows {
  #busy = null
  #scrolled = scrollY

  /** `changed` is called after messages have come or gone. */
  constructor(root, transcript, changed) {
    this.root = root
    this.transcript = transcript
    this.changed = changed
    this.list = root.querySelector("#messages")
    this.ends = { earlier: root.querySelector("#earlier"), later: root.querySelector("#later") }
    this.#tell()
    for (const [name, nav] of Object.entries(this.ends)) {
      nav.addEventListener("click", (event) => {
        if (!event.target.closest("a.button")) return
        event.preventDefault()
        this.#extend(name)
      })
    }
    addEventListener("scroll", () => this.#scroll(), { passive: true })
    // At the very top nothing scrolls, but a reader who tries to wants what was before.
    addEventListener("wheel", ({ deltaY }) => deltaY < 0 && scrollY < NEARBY && this.#extend("earlier"), { passive: true })
    addEventListener("keydown", ({ key }) => UP.has(key) && scrollY < NEARBY && this.#extend("earlier"))
  }

  /** Whether the page holds a part of the session only. */
  get isLong() {
    return this.#has("earlier") || this.#has("later")
  }

  /** Whether the newest messages are here. */
  get isAtEnd() {
    return !this.#has("later")
  }

  /** Bring the message or part with an anchor (`m-…`, `p-…`) into the page, and return its element or null. */
  async show(anchor) {
    const present = document.getElementById(anchor)
    if (present || !this.isLong) return present
    await this.#replace(`at=${encodeURIComponent(anchor.slice(2))}`)
    return document.getElementById(anchor)
  }

  /** Bring the newest messages into the page. */
  async toEnd() {
    if (!this.isAtEnd) await this.#replace("from=end")
  }

  /** Bring the first messages into the page. */
  async toBeginning() {
    if (this.#has("earlier")) await this.#replace("from=beginning")
  }

  /** All prompts of the session: [message, words, figures]. */
  async prompts() {
    return (await (await this.#get("prompts", "application/json")).json()).prompts
  }

  /** One answer to a search from a cursor on: {matches, next, searched, total}. */
  async search(words, from, signal) {
    const query = new URLSearchParams({ q: words, from })
    return (await this.#get(`search?${query}`, "application/json", signal)).json()
  }

  /** Take the newest state from the server instead of what was missed; return the number up to which it reaches. */
  async refresh() {
    const page = parsed(await (await this.#get("?from=end", "text/html")).text())
    const fresh = page.querySelector("#share")
    localize(fresh)
    this.transcript.freshen(fresh)
    const seq = Number(fresh.dataset.seq)
    const [first] = fresh.querySelector("#messages").children
    if (!this.isAtEnd || !first) return seq
    if (this.transcript.has(first.dataset.id)) this.#keepPlace(() => this.transcript.take(fresh.querySelector("#messages")))
    else if (this.#nearEnd()) this.#reset(fresh)
    else this.#end("later", this.list.lastElementChild.dataset.id, null)
    this.changed()
    return seq
  }

  /** Let go of messages far from the window, if there are many. */
  letGo() {
    if (this.list.getElementsByTagName("*").length <= MOST) return
    const { top, bottom } = this.list.getBoundingClientRect()
    this.#keepPlace(() => this.#remove(-top > bottom - innerHeight ? "earlier" : "later"))
  }

  #has(name) {
    return Boolean(this.ends[name].dataset.cursor)
  }

  #nearEnd() {
    return this.list.getBoundingClientRect().bottom - innerHeight < NEARBY
  }

  #scroll() {
    const up = scrollY < this.#scrolled
    this.#scrolled = scrollY
    if (up && this.ends.earlier.getBoundingClientRect().bottom > -NEARBY) this.#extend("earlier")
    if (!up && this.ends.later.getBoundingClientRect().top < innerHeight + NEARBY) this.#extend("later")
  }

  /** Fetch the messages beyond one end. */
  async #extend(name) {
    const { cursor } = this.ends[name].dataset
    if (this.#busy || !cursor) return
    await this.#alone(async () => {
      const query = name === "earlier" ? "before" : "since"
      const fresh = await this.#window(`${query}=${encodeURIComponent(cursor)}`)
      this.#keepPlace(() => {
        this.#copyEnd(name, fresh)
        this.transcript.take(fresh.querySelector("#messages"))
        if (this.list.getElementsByTagName("*").length > MOST) this.#remove(name === "earlier" ? "later" : "earlier")
      })
    })
  }

  async #replace(query) {
    await this.#busy
    await this.#alone(async () => this.#reset(await this.#window(query)))
  }

  /** Do one thing at a time. A failure is told, and the next attempt of the reader tries again. */
  async #alone(work) {
    let finish
    this.#busy = new Promise((resolve) => (finish = resolve))
    try {
      await work()
      this.changed()
    } catch (error) {
      console.warn("Messages could not be fetched.", error)
    } finally {
      this.#busy = null
      finish()
    }
  }

  #reset(fresh) {
    this.transcript.clear()
    this.#copyEnd("earlier", fresh)
    this.#copyEnd("later", fresh)
    this.transcript.take(fresh.querySelector("#messages"))
  }

  /** Remove far messages at one end, until there are no more than a page should hold. */
  #remove(name) {
    const atStart = name === "earlier"
    const nodes = atStart ? [...this.list.children] : [...this.list.children].reverse()
    let rest = this.list.getElementsByTagName("*").length
    let far = 0
    while (rest > MOST * 0.8 && far < nodes.length - 1) {
      const { top, bottom } = nodes[far].getBoundingClientRect()
      if (atStart ? bottom > -FAR * innerHeight : top < (FAR + 1) * innerHeight) break
      rest -= nodes[far].getElementsByTagName("*").length + 1
      far += 1
    }
    if (!far) return
    const cursor = (atStart ? nodes[far] : nodes[far - 1]).dataset.id
    for (const node of nodes.slice(0, far)) this.transcript.remove(node)
    this.#end(name, cursor, far + Number(this.ends[name].dataset.count ?? 0))
  }

  /** Change the list, and keep what the reader sees at its place. */
  #keepPlace(change) {
    const shown = document.elementFromPoint(innerWidth / 2, innerHeight / 4)
    const anchor = shown?.closest(".part, .message") ?? this.#firstInView()
    const before = anchor?.getBoundingClientRect().top
    change()
    if (!anchor?.isConnected) return
    const moved = anchor.getBoundingClientRect().top - before
    if (moved) scrollBy({ top: moved, behavior: "instant" })
    this.#scrolled = scrollY
  }

  #firstInView() {
    return [...this.list.children].find((node) => node.getBoundingClientRect().bottom > 0)
  }

  #copyEnd(name, fresh) {
    const { cursor, count } = fresh.querySelector(`#${name}`).dataset
    this.#end(name, cursor, count)
  }

  /** Say what is beyond one end; `window.html` has the same words. */
  #end(name, cursor, count) {
    const nav = this.ends[name]
    nav.hidden = !cursor
    for (const [key, value] of Object.entries({ cursor, count })) {
      if (cursor && value !== null && value !== undefined) nav.dataset[key] = value
      else delete nav.dataset[key]
    }
    if (!cursor) nav.replaceChildren()
    else {
      const path = `/share/${this.root.dataset.share}`
      const query = `${name === "earlier" ? "before" : "since"}=${encodeURIComponent(cursor)}`
      const number = count === null ? _("More") : Number(count).toLocaleString("en-US")
      const [before, after] = ABSENT[name].split("%(number)s")
      nav.replaceChildren(
        build(h("a", { class: "button", href: `${path}?${query}` }, nav.getAttribute("aria-label"))),
        build(
          h(
            "p",
            { class: "note" },
            before,
            h("b", {}, number),
            `${after} ${_("The whole session:")} `,
            h("a", { href: `${path}.md` }, "Markdown"),
            ", ",
            h("a", { href: `${path}.json` }, "JSON"),
          ),
        ),
      )
    }
    this.#tell()
  }

  #tell() {
    this.transcript.limits = { earlier: this.#has("earlier"), later: this.#has("later") }
  }

  async #window(query) {
    const page = parsed(await (await this.#get(`messages?${query}`, "text/html")).text())
    localize(page)
    return page
  }

  async #get(path, accept, signal) {
    const place = path.startsWith("?") ? path : `/${path}`
    const href = `/share/${this.root.dataset.share}${place}`
    const response = await fetch(href, { headers: { accept }, credentials: "same-origin", signal })
    if (!response.ok) throw new Error(`${response.status} for ${href}`)
    return response
  }
}

/** A document that runs no scripts. */
const parsed = (html) => new DOMParser().parseFromString(html, "text/html")
