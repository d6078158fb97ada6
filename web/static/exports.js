// Keeps the list of exports up to date while one of them is being written.

import { fetchPage, Poller } from "./polling.js"
import { localize } from "./times.js"
import { gettext as _ } from "./words.js"

const STATES = {
  live: () => _("An export is being written. This list updates itself."),
  paused: () => _("No export is being written any more."),
  retrying: () => _("Disconnected. Trying again."),
  "signed out": () => _("You are signed out. Reload the page to sign in."),
  refused: () => _("You may not see these exports any more. Reload the page."),
}

const list = document.querySelector("[data-refresh]")
if (list) follow()

function follow() {
  const status = document.querySelector("[data-state]")
  const written = new Map() // what the server wrote of each row, before its times became local

  /** Return the row to show: the present one, if it is the same or the reader is in it. */
  function rowOf(fresh) {
    const present = document.getElementById(fresh.id)
    const text = fresh.outerHTML
    if (present && (written.get(fresh.id) === text || present.contains(document.activeElement))) return present
    written.set(fresh.id, text)
    const row = document.importNode(fresh, true)
    if (present?.querySelector("details[open]")) row.querySelector("details")?.setAttribute("open", "")
    localize(row)
    return row
  }

  async function ask() {
    const page = await fetchPage(location.href)
    const fresh = page?.querySelector("#exports")
    if (!fresh) return false
    const rows = [...fresh.children].map(rowOf)
    const same = rows.length === list.children.length && rows.every((row, index) => row === list.children[index])
    if (!same) list.replaceChildren(...rows)
    const isWaiting = rows.some((row, index) => written.get(row.id) !== fresh.children[index].outerHTML)
    return fresh.hasAttribute("data-refresh") || isWaiting ? !same : null
  }

  const poller = new Poller(ask, (state) => {
    status.textContent = STATES[state]()
  })
  document.querySelector("[data-without-script]").hidden = true
  status.hidden = false
  poller.start()
}
