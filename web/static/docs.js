/* The API reference by script: a search while one types, and a form for each operation that sends its request.
   Without it the search is a request to the server, and the reference is as complete. */

import { gettext as _, ngettext } from "./words.js"

const DOCUMENT = "/api/openapi.json"
const WORKSPACES = "/api/v1/workspaces"
const SHOWN_CHARACTERS = 100_000
const articles = [...document.querySelectorAll("article[data-operation]")]

/* ---------------------------------------------------------------------------------------------- search */

function search(words) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean)
  let found = 0
  for (const article of articles) {
    article.hidden = !wanted.every((word) => article.dataset.words.includes(word))
    if (!article.hidden) found += 1
  }
  for (const section of document.querySelectorAll("section[data-tag]")) {
    section.hidden = ![...section.querySelectorAll("article")].some((article) => !article.hidden)
  }
  document.getElementById("models")?.toggleAttribute("hidden", wanted.length > 0)
  return found
}

function offerSearch() {
  const form = document.getElementById("search")
  const status = document.getElementById("found")
  if (!form || form.q.value) return // the server has searched
  form.addEventListener("submit", (event) => event.preventDefault())
  form.q.addEventListener("input", () => {
    const found = search(form.q.value)
    status.textContent = form.q.value.trim() ? ngettext("%(num)s operation", "%(num)s operations", found) : ""
  })
}

/* ---------------------------------------------------------------------------------------------- try it */

let reference = null
let own

async function fetched(address, refused) {
  const answer = await fetch(address, { credentials: "same-origin" })
  if (answer.ok) return answer.json()
  if (answer.status === refused) return null
  throw new Error(`${address}: ${answer.status}`)
}

/** Return the document, and the reader's workspaces with their roles; null for a reader who is not signed in. */
async function loaded() {
  reference ??= await fetched(DOCUMENT)
  if (own === undefined) own = (await fetched(WORKSPACES, 401))?.data ?? null
  return [reference, own]
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "")
    else if (value !== false && value !== null) element.setAttribute(name, value)
  }
  element.append(...children)
  return element
}

const schemeOf = (known, name) => known.components.securitySchemes[name]
const waysOf = (operation) => (operation.security ?? []).map((way) => Object.keys(way)[0] ?? "")

function field(parameter, members) {
  const { name, in: place, required = false, schema = {} } = parameter
  const attributes = { name: `${place}.${name}`, required, autocomplete: "off", spellcheck: "false" }
  let input
  if (name === "workspace" && place === "path" && members?.length) {
    const options = members.map((each) =>
      make("option", { value: each.id, "data-role": each.role }, _("%(name)s (your role: %(role)s)", { name: each.name, role: each.role })),
    )
    input = make("select", attributes, ...options)
  } else if (schema.enum) {
    const options = schema.enum.map((value) => make("option", { value }, value))
    input = make("select", attributes, ...(required ? [] : [make("option", { value: "" })]), ...options)
  } else input = make("input", { ...attributes, type: schema.type === "integer" ? "number" : "text" })
  const mark = required ? " *" : ""
  return make("label", {}, make("span", {}, make("code", {}, name), mark), input)
}

/** Return the fields for a credential: none where the session suffices. */
function credentials(known, operation, members) {
  const ways = waysOf(operation)
  if (!ways.length || ways.includes("")) return [[], null]
  if (ways.includes("session") && members) return [[make("p", {}, _("The request uses your session."))], null]
  const sign = make("a", { href: `/login?continue=${encodeURIComponent("/api/docs")}` }, _("Sign in"))
  const notes = ways.includes("session") ? [make("p", {}, sign, " · ", _("or send a key or an access token."))] : []
  const [way] = ways
  const words = way === "operator" ? _("The operators' secret") : way === "ticket" ? _("Ticket") : _("Key or access token")
  const input = make("input", { type: "password", autocomplete: "off" })
  return [[...notes, make("label", {}, make("span", {}, words), input)], { input, scheme: schemeOf(known, way) }]
}

/** Warn a reader whose role does not have the permission. The server decides in any case. */
function warn(form, article, note) {
  const role = form.elements["path.workspace"]?.selectedOptions?.[0]?.dataset.role
  const roles = article.dataset.roles.split(" ").filter(Boolean)
  note.textContent =
    role && roles.length && !roles.includes(role)
      ? _("Your role there has no permission for this. The server will refuse it.")
      : ""
}

function requestOf(form, path, method, secret) {
  const headers = {}
  const query = new URLSearchParams()
  let address = path
  for (const element of form.elements) {
    const [place, name] = (element.name ?? "").split(/\.(.*)/s)
    if (!name || element.value === "") continue
    if (place === "path") address = address.replace(`{${name}}`, encodeURIComponent(element.value))
    if (place === "query") query.append(name, element.value)
    if (place === "header") headers[name] = element.value
  }
  if (secret?.input.value) {
    const { type, name } = secret.scheme
    if (type === "http") headers.authorization = `Bearer ${secret.input.value}`
    else headers[name] = secret.input.value
  }
  const body = form.elements.body?.value
  if (body) headers["content-type"] = "application/json"
  const asked = query.size ? `${address}?${query}` : address
  // A redirect may lead to the store of objects, which the page must not call.
  return [asked, { method, headers, body: body || undefined, credentials: "same-origin", redirect: "manual" }]
}

async function shown(answer) {
  if (answer.type === "opaqueredirect") return _("The server redirects to another address.")
  const text = await answer.text()
  if (!text) return _("The answer has no body.")
  const short = text.slice(0, SHOWN_CHARACTERS)
  if (!answer.headers.get("content-type")?.includes("json")) return short
  try {
    return JSON.stringify(JSON.parse(text), null, 2).slice(0, SHOWN_CHARACTERS)
  } catch {
    return short
  }
}

/** Give the next request a key of its own. One that got no answer keeps its key, so that sending it again is safe. */
function renewKey(form) {
  const input = form.elements["header.Idempotency-Key"]
  if (input) input.value = crypto.randomUUID()
}

async function send(form, article, path, method, secret, output) {
  const [address, options] = requestOf(form, path, method, secret)
  const question = _("Send %(method)s %(path)s? It changes real data.", { method, path: address })
  if (method !== "GET" && !globalThis.confirm(question)) return
  output.status.textContent = _("Sending…")
  output.body.textContent = ""
  const begun = performance.now()
  try {
    const answer = await fetch(address, options)
    const words = await shown(answer)
    const took = Math.round(performance.now() - begun)
    output.status.textContent = _("%(method)s %(path)s: %(status)s in %(ms)s ms", { method, path: address, status: answer.status || 302, ms: took })
    output.body.textContent = words
    output.body.hidden = false
    renewKey(form)
  } catch {
    output.status.textContent = _("No answer came. Check the connection, and send it again.")
  }
}

async function open(article, button) {
  button.disabled = true
  let known, members
  try {
    ;[known, members] = await loaded()
  } catch {
    button.disabled = false
    button.textContent = _("The API does not answer now. Try again")
    return
  }
  const { method, path } = article.dataset
  const operation = known.paths[path][method.toLowerCase()]
  const [secrets, secret] = credentials(known, operation, members)
  const fields = (operation.parameters ?? []).map((each) => field(each, members))
  const content = operation.requestBody?.content?.["application/json"]
  if (content) {
    const example = JSON.stringify(content.example ?? {}, null, 2)
    const area = make("textarea", { name: "body", rows: Math.min(14, example.split("\n").length + 1), spellcheck: "false" })
    area.value = example
    fields.push(make("label", {}, make("span", {}, _("Body (JSON)")), area))
  }
  const note = make("p", { class: "warning", role: "status" })
  const output = { status: make("p", { role: "status" }), body: make("pre", { tabindex: "0", hidden: true }) }
  const form = make("form", { class: "try" }, ...secrets, ...fields, note, make("button", { class: "button" }, _("Send request")), output.status, output.body)
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    send(form, article, path, method, secret, output)
  })
  form.addEventListener("change", () => warn(form, article, note))
  button.replaceWith(form)
  renewKey(form)
  warn(form, article, note)
  form.querySelector("input, select, textarea, button")?.focus()
}

function offerTries() {
  for (const article of articles) {
    if (article.dataset.path === "/live") continue // a socket
    const button = make("button", { type: "button", class: "button" }, _("Try it"))
    button.addEventListener("click", () => open(article, button))
    article.append(button)
  }
}

offerSearch()
offerTries()
