// Keeps the list of comments live, and leads from a comment to its message or part and back.

const section = document.querySelector("#comments")
const list = document.querySelector("#comments-list")
const form = section?.querySelector(".comment-form")
const choice = form?.querySelector("select")
let fetching = new AbortController()

/** Fetch the list as the server writes it for this reader. A failure leaves the list: the next change fetches again. */
async function refresh() {
  fetching.abort()
  fetching = new AbortController()
  const { signal } = fetching
  try {
    const response = await fetch(section.dataset.href, { headers: { accept: "text/html" }, credentials: "same-origin", signal })
    if (!response.ok) return
    const written = new DOMParser().parseFromString(await response.text(), "text/html") // it runs no scripts
    list.replaceChildren(...written.body.childNodes)
  } catch (error) {
    if (!signal.aborted) console.warn("The comments could not be fetched.", error)
  }
}

/** Return the element of an item, by its key. */
function elementOf(item) {
  const [kind, message] = item.split("/")
  const selector = kind === "message" ? `[data-id="${CSS.escape(message)}"]` : `[data-key="${CSS.escape(item)}"]`
  return document.querySelector(`#messages ${selector}`)
}

/** Return the id that the element of an item has, where it is in the page. */
const anchorOf = (item) => (item.startsWith("part/") ? `p-${item.slice(5)}` : `m-${item.split("/")[1]}`)

/** Return the key of the message or part that an element belongs to. */
function itemOf(element) {
  const part = element.closest(".part[data-key]")
  if (part) return part.dataset.key
  const message = element.closest(".message[data-id]")
  return message ? `message/${message.dataset.id}` : ""
}

function lead(event) {
  const item = event.target.closest(".comment-place")?.closest("li")?.dataset.item
  if (!item) return
  event.preventDefault()
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
    option = new Option("the selected part", item)
    choice.add(option)
  }
  choice.value = item
}

if (section) {
  list.addEventListener("click", lead)
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
