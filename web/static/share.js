// The page of a share: connects the rendered page, the live connection, and the reader's scroll position.

import { Follower } from "./follow.js"
import { bring } from "./finding.js"
import { takeAlong } from "./copying.js"
import { Highlighter } from "./highlighting.js"
import { Reading } from "./reading.js"
import { localize } from "./times.js"
import { Transcript } from "./transcript.js"
import { Windows } from "./windows.js"
import { gettext as _ } from "./words.js"

const STATES = {
  connecting: _("Connecting"),
  live: _("Live"),
  polling: _("Live, with delay"),
  reconnecting: _("Reconnecting"),
  offline: _("Offline"),
  unshared: _("No longer shared"),
  refused: _("Not shared with you"),
}
const AT_END = 160 // pixels from the end of the page within which the page follows new messages

const root = document.querySelector("#share")
const status = document.querySelector("#status")
const latest = document.querySelector("#latest")
const silent = document.querySelector("#silent") // on the page of an empty share: why nothing may arrive
const page = document.documentElement

const atEnd = () => windows.isAtEnd && page.scrollHeight - page.scrollTop - page.clientHeight < AT_END
const toEnd = () => (page.scrollTop = page.scrollHeight)

function showStatus(state) {
  status.hidden = false
  status.dataset.state = state
  status.textContent = STATES[state]
}

/** Apply items. A reader at the end of a live session stays at the end; another one gets a notice. */
async function apply(items) {
  if (items.length > 0) silent?.remove()
  const along = status.dataset.state === "live" && atEnd()
  await transcript.apply(items)
  if (items.length > 0) {
    windows.letGo()
    reading.refresh()
  }
  if (!along) return showLatest(items.length > 0)
  toEnd()
  requestAnimationFrame(toEnd) // elements out of view get their height only now
}

function showLatest(changed) {
  if (atEnd()) latest.hidden = true
  else if (changed && status.dataset.state === "live") latest.hidden = false
}

/** Replace the session with a message; `link` is the target of a button. */
function replaceBy(title, words, link) {
  const heading = document.createElement("h1")
  const paragraph = document.createElement("p")
  heading.textContent = title
  paragraph.textContent = words
  root.className = "notice"
  root.replaceChildren(heading, paragraph)
  if (link) {
    const button = document.createElement("a")
    button.className = "action"
    button.href = link.href
    button.textContent = link.label
    root.append(button)
  }
  document.title = `${title} · Opencode Cloud`
  silent?.remove()
  latest.remove()
  for (const node of document.querySelectorAll("#tools, #prompts, #search, .site [data-action]")) node.remove()
}

function showGone() {
  replaceBy(_("No longer shared"), _("This session is no longer shared: its owner removed it, or it has expired."))
}

/** Reload: the server explains the reason, and offers the password form or the sign-in. */
function showRefused() {
  const link = { href: location.pathname, label: _("Try again") }
  replaceBy(_("Not shared with you any more"), _("Access to this session has changed, or you are signed out."), link)
}

const follower = new Follower({
  share: root.dataset.share,
  cursor: Number(root.dataset.seq),
  ticket: root.dataset.ticket ?? "",
  lifetime: Number(root.dataset.lifetime ?? 0) * 1000,
  address: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/live`,
  apply,
  status: showStatus,
  gone: showGone,
  refused: showRefused,
  refresh: () => (windows.isLong ? windows.refresh() : null),
})
localize(root)
const transcript = new Transcript(root, (href) => follower.fetchItem(href))
const windows = new Windows(root, transcript, () => reading.refresh())
const reading = new Reading(root, windows)
new Highlighter(root)
takeAlong(root)

if (silent) setTimeout(() => (silent.hidden = false), Number(silent.dataset.after))
latest.addEventListener("click", async () => {
  latest.hidden = true
  await windows.toEnd()
  bring(document.body, { block: "end" })
})
addEventListener("scroll", () => showLatest(false), { passive: true })
addEventListener("online", () => follower.retry())
addEventListener("offline", () => follower.offline())
addEventListener("pagehide", () => follower.stop())
addEventListener("pageshow", (event) => event.persisted && root.className !== "notice" && follower.start())
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && follower.retry())
follower.start()
