// The live list of calls. opencode_cloud/console/live_calls.py answers it, and says which calls are new.

import { fetchPage, Poller } from "./polling.js"
import { localize } from "./times.js"
import { gettext as _, ngettext } from "./words.js"

const MOST = 200 // as in live_calls.py
const NEWS_MS = 10_000
const STATES = {
  live: () => _("Live. New calls appear by themselves."),
  paused: () => _("Paused. Turn it on to catch up."),
  retrying: () => _("Disconnected. Trying again."),
  "signed out": () => _("You are signed out. Reload the page to sign in."),
  refused: () => _("You may not see these calls any more. Reload the page."),
}

const bar = document.querySelector("#live")
if (bar) offerLive()

function offerLive() {
  const button = bar.querySelector("button")
  const sheet = document.querySelector("#calls")
  const body = sheet.querySelector("tbody")
  const older = document.querySelector("#older")
  const known = new Map([...body.rows].map((row) => [row.dataset.key, row]))
  let after = ""
  let news = 0
  let newsTimer = 0

  /** Put rows at their places: the newest first. Calls of an earlier time may come later. */
  function insert(rows) {
    const newest = body.rows[0]?.dataset.key ?? ""
    const added = rows.filter((row) => !known.has(row.dataset.key))
    for (const row of added) {
      const next = [...body.rows].find((each) => each.dataset.key < row.dataset.key) ?? null
      // The first answer also has older calls than the page, which are no news.
      if (after || row.dataset.key > newest) {
        row.classList.add("fresh")
        news += 1
      }
      localize(row)
      body.insertBefore(row, next)
      known.set(row.dataset.key, row)
    }
    const surplus = [...body.rows].slice(MOST)
    for (const row of surplus) {
      known.delete(row.dataset.key)
      row.remove()
    }
    // The link to older calls begins after a row that may be gone. The page without a cursor has every row.
    if (surplus.length) older.firstElementChild.href = location.search || "?"
    return added.length > 0
  }

  /** Change the list, but leave what the reader looks at where it is. */
  function inPlace(change) {
    const top = sheet.getBoundingClientRect().top
    const anchor = top < 0 ? [...body.rows].find((row) => row.getBoundingClientRect().bottom > 0) : null
    const before = anchor?.getBoundingClientRect().top
    const changed = change()
    if (anchor?.isConnected) scrollBy({ top: anchor.getBoundingClientRect().top - before, behavior: "instant" })
    return changed
  }

  /** Say the number of new calls to screen readers, but not more often than they can read it. */
  function announce() {
    if (!news || newsTimer) return
    bar.querySelector("[data-news]").textContent = ngettext("%(num)s new call", "%(num)s new calls", news)
    news = 0
    newsTimer = setTimeout(() => {
      newsTimer = 0
      announce()
    }, NEWS_MS)
  }

  async function ask() {
    const page = await fetchPage(after ? `${bar.dataset.url}&after=${after}` : bar.dataset.url)
    // An answer that arrives after a pause must not move the list. The next one has the same calls.
    if (!page || !poller.isOn) return false
    const answer = page.querySelector("template[data-after]")
    const changed = inPlace(() => insert([...answer.content.children]))
    after = answer.dataset.after
    sheet.hidden = body.rows.length === 0
    document.querySelector("#none")?.toggleAttribute("hidden", body.rows.length > 0)
    if (answer.dataset.older) older.firstElementChild.href = `?${answer.dataset.older}`
    older.hidden = !older.firstElementChild.hasAttribute("href")
    announce()
    return changed
  }

  const poller = new Poller(ask, (state) => {
    button.setAttribute("aria-pressed", String(poller.isOn))
    bar.dataset.state = state
    bar.querySelector("[data-state]").textContent = STATES[state]()
  })
  button.addEventListener("click", () => (poller.isOn ? poller.stop() : poller.start()))
  // The list keeps its place itself, also where the browser does not.
  document.documentElement.style.overflowAnchor = "none"
  bar.hidden = false
}
