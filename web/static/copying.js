// Things to take along: links, code and messages by the clipboard, the page as one file, and print.

import { gettext as _ } from "./words.js"

const LASTING = 1_500 // milliseconds for which a button says that it has copied

/** Copy words, and tell it by the button's own text. */
async function copy(button, words) {
  const label = button.textContent
  try {
    await navigator.clipboard.writeText(words)
    button.textContent = _("Copied")
  } catch {
    button.textContent = _("Not allowed") // the browser, or the reader's settings
  }
  button.disabled = true
  setTimeout(() => {
    button.textContent = label
    button.disabled = false
  }, LASTING)
}

const linkTo = (anchor) => new URL(anchor, location.href).href

/** The words of a message, without the heads of its code blocks. */
function wordsOf(message) {
  const parts = [...message.querySelectorAll(":scope > .parts .part")]
  return parts.map((part) => part.querySelector(".prose")?.innerText ?? "").filter(Boolean).join("\n\n")
}

/** Copy the link to a message or part, and show it in the address bar. */
export function copyAnchor(link) {
  history.replaceState(null, "", link.hash)
  return copy(link, linkTo(link.hash))
}

/** The page as one file that needs no server: styles inside, no scripts, no forms and nothing of the owner's panel. */
async function asFile() {
  const page = document.documentElement.cloneNode(true)
  for (const node of page.querySelectorAll("script, link, button, dialog, aside, form, template, .scripts-only, #tools, #prompts, noscript")) node.remove()
  for (const node of page.querySelectorAll(".more a")) node.setAttribute("href", new URL(node.getAttribute("href"), location.href))
  for (const node of page.querySelectorAll("[data-ticket]")) node.removeAttribute("data-ticket")
  for (const { href } of document.querySelectorAll("link[rel=stylesheet]")) {
    const style = document.createElement("style")
    style.textContent = await (await fetch(href)).text()
    page.querySelector("head").append(style)
  }
  return new Blob(["<!doctype html>\n", page.outerHTML], { type: "text/html" })
}

async function download() {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(await asFile())
  link.download = `${document.querySelector("#title").textContent.replace(/[^\p{L}\p{N}]+/gu, "-").slice(0, 60)}.html`
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), LASTING)
}

/** Listen to the buttons and links below `root`. */
export function takeAlong(root) {
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button.copy, a.anchor")
    if (!button) return
    if (button.matches("a.anchor")) copyAnchor(button)
    else if (button.closest(".code")) copy(button, button.closest(".code").querySelector("code").textContent)
    else copy(button, wordsOf(button.closest(".message")))
  })
  const actions = {
    link: (button) => copy(button, linkTo(location.pathname)),
    html: download,
    print: () => print(),
  }
  for (const [name, action] of Object.entries(actions)) {
    const button = document.querySelector(`#tools [data-action="${name}"]`)
    button?.addEventListener("click", () => action(button))
  }
  const closed = new Set()
  addEventListener("beforeprint", () => {
    for (const node of root.querySelectorAll("details:not([open])")) {
      closed.add(node)
      node.open = true
    }
  })
  addEventListener("afterprint", () => {
    for (const node of closed) node.open = false
    closed.clear()
  })
}
