// Keeps the list of comments live, and leads from a comment to its lines, message or part and back.

import { keepFocus, LineComments, placeOfComment } from "./line-comments.js"
import { itemOf } from "./lines.js"
import { gettext as _ } from "./words.js"

const NOT_SENT = _("The comment was not sent. Try again.")
const NOT_CHANGED = _("The comment was not changed. Try again.")
const REASONS = {
  __proto__: null,
  comments_off: _("This share takes no comments any more."),
  invalid_lines: _("The change does not show these lines any more. Choose them again."),
  lines_changed: _("These lines have changed since you read them. Read them again, then choose their number."),
  too_many_comments: _("This share has as many comments as it may have. Delete some first."),
}

const section = document.querySelector("#comments")
const list = document.querySelector("#comments-list")
const form = section?.querySelector(".comment-form")
const choice = form?.querySelector("select")
let fetching = new AbortController()
let fetched = Promise.resolve() // the last fetch of the list
let lines = null

/** Fetch the list. Resolves when it is shown, also if a later fetch takes the place of this one. */
async function refresh() {
  fetched = fetchList()
  for (let last = null; last !== fetched; ) {
    last = fetched
    await last
  }
}

/** Fetch the list as the server writes it for this reader. A failure leaves the list: the next change fetches again. */
async function fetchList() {
  fetching.abort()
  fetching = new AbortController()
  const { signal } = fetching
  try {
    const response = await fetch(section.dataset.href, { headers: { accept: "text/html" }, credentials: "same-origin", signal })
    if (!response.ok) return
    const written = new DOMParser().parseFromString(await response.text(), "text/html") // it runs no scripts
    if (signal.aborted) return
    keepFocus(list, "li", () => list.replaceChildren(...written.body.childNodes))
    lines.refresh()
  } catch (error) {
    if (!signal.aborted) console.warn("The comments could not be fetched.", error)
  }
}

/** Send a comment, and show it. Raises an error whose message is for people. */
async function send(body) {
  let response
  try {
    response = await fetch(section.dataset.href, { method: "POST", credentials: "same-origin", body: JSON.stringify(body) })
  } catch {
    throw new Error(NOT_SENT) // the network
  }
  if (!response.ok) {
    const { error } = await response.json().catch(() => ({}))
    throw new Error(REASONS[error] ?? NOT_SENT)
  }
  await refresh()
}

/** Resolve, open again or delete a comment without leaving the page; the focus stays at the comment. */
async function act(event) {
  const sent = event.target.closest(".comment-actions")
  if (!sent) return
  event.preventDefault()
  const id = sent.elements.comment.value
  const place = placeOfComment(list, id)
  const isInRow = sent.closest(".line-row") !== null
  const { value } = event.submitter
  const request =
    value === "delete" ? { method: "DELETE" } : { method: "POST", body: JSON.stringify({ resolved: value === "resolve" }) }
  // A comment that another member has deleted is gone, as the list then shows.
  const isDone = await fetch(`${section.dataset.href}/${id}`, { ...request, credentials: "same-origin" }).then(
    (response) => response.ok || response.status === 404,
    () => false, // the network
  )
  await refresh()
  const shown = isInRow ? document.querySelector(`[data-comment="${CSS.escape(id)}"]`) : document.getElementById(id)
  if (!isDone) tell(shown)
  const button = shown?.querySelector("[name=action]")
  if (button) button.focus()
  else if (isInRow) lines.focusLine(place)
  else section.querySelector("h2").focus()
}

/** Say at a comment that it was not changed. */
function tell(comment) {
  const words = document.createElement("p")
  words.className = "problem"
  words.role = "alert"
  words.textContent = NOT_CHANGED
  comment?.querySelector(".problem")?.remove()
  comment?.append(words)
}

/** Return the element of an item, by its key. */
function elementOf(item) {
  if (item === "session_diff") return document.querySelector("#changes")
  const [kind, message] = item.split("/")
  const selector = kind === "message" ? `[data-id="${CSS.escape(message)}"]` : `[data-key="${CSS.escape(item)}"]`
  return document.querySelector(`#messages ${selector}`)
}

/** Return the id that the element of an item has, where it is in the page. */
const anchorOf = (item) => (item.startsWith("part/") ? `p-${item.slice(5)}` : `m-${item.split("/")[1]}`)

function lead(event) {
  const comment = event.target.closest(".comment-place")?.closest("li")
  const item = comment?.dataset.item
  if (!item) return
  event.preventDefault()
  if (lines.show(comment)) return
  const element = elementOf(item)
  if (!element) {
    location.hash = anchorOf(item) // reading.js fetches it
    return
  }
  element.scrollIntoView({ block: "center" })
  element.tabIndex = -1
  element.focus({ preventScroll: true })
}

/** Choose the message or part in which the reader has selected text or put the focus last. */
function choose(event) {
  const item = itemOf(event.target)
  if (!item || !choice) return
  let option = [...choice.options].find((each) => each.value === item)
  if (!option) {
    option = new Option(_("the selected part"), item)
    choice.add(option)
  }
  choice.value = item
}

if (section) {
  lines = new LineComments(document.querySelector("#share"), section, list, send)
  list.addEventListener("click", lead)
  document.addEventListener("submit", act)
  document.querySelector("#messages")?.addEventListener("pointerup", (event) => {
    if (!getSelection()?.isCollapsed) choose(event)
  })
  addEventListener("comments", refresh)
  let known = true // the page was rendered with the present comments
  const status = document.querySelector("#status")
  if (status) {
    new MutationObserver(() => {
      if (["unshared", "refused"].includes(status.dataset.state)) section.remove()
      else if (status.dataset.state !== "live") known = false
      else if (!known) {
        known = true
        refresh()
      }
    }).observe(status, { attributeFilter: ["data-state"] })
  }
}
