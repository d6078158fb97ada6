// Elements as data, and how they reach the page. opencode_cloud/sharing/rendering/nodes.py makes the same elements.
// Shared content is hostile: it reaches the page only as text nodes and as values of attributes.

/** An element; children that are null are left out. */
export const h = (tag, attributes = {}, ...children) => ({
  tag,
  attributes,
  children: children.filter((child) => child !== null),
})

export const span = (name, words) => h("span", { class: name }, ...(words ? [words] : []))

export const wordsOf = (nodes) =>
  nodes.map((node) => (typeof node === "string" ? node : wordsOf(node.children))).join("")

const shown = new WeakMap() // element -> the text from which another module made its present children

/** Remember that `node` shows `words`, in elements of its own, so that an update with the same words keeps them. */
export const keep = (node, words) => shown.set(node, words)

/** Whether another module has put an element between those of the content, such as a comment under its line. */
const isBeside = (node) => node?.nodeType === Node.ELEMENT_NODE && node.dataset.beside !== undefined

/** The node, or the first one after it that is of the content. */
function ofContent(node) {
  while (isBeside(node)) node = node.nextSibling
  return node
}

/** Make the children of `parent` those of `nodes`, and change only what differs. Opened details stay open. */
export function show(parent, nodes) {
  if (shown.has(parent)) {
    if (shown.get(parent) === wordsOf(nodes)) return
    shown.delete(parent)
    parent.replaceChildren()
  }
  let child = ofContent(parent.firstChild)
  for (const node of joined(nodes)) {
    if (typeof node === "string") {
      if (child?.nodeType === Node.TEXT_NODE) {
        if (child.data !== node) child.data = node
        child = ofContent(child.nextSibling)
      } else parent.insertBefore(document.createTextNode(node), child)
    } else if (child?.nodeType === Node.ELEMENT_NODE && child.localName === node.tag) {
      update(child, node)
      child = ofContent(child.nextSibling)
    } else parent.insertBefore(build(node), child)
  }
  while (child) {
    const next = ofContent(child.nextSibling)
    child.remove()
    child = next
  }
}

function* joined(nodes) {
  let words = ""
  for (const node of nodes) {
    if (typeof node === "string") words += node
    else {
      if (words) yield words
      words = ""
      yield node
    }
  }
  if (words) yield words
}

function update(element, { attributes, children }) {
  for (const { name } of [...element.attributes]) {
    if (!(name in attributes) && name !== "open") element.removeAttribute(name)
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (element.getAttribute(name) !== value) element.setAttribute(name, value)
  }
  show(element, children)
}

/** Create the element of a node. */
export function build({ tag, attributes, children }) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  for (const child of joined(children)) element.append(typeof child === "string" ? child : build(child))
  return element
}
