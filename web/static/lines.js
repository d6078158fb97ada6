// The lines of changes in the page, as comments name them: {item, file, side, first, last, change}.
// opencode_cloud/sharing/rendering/changed_lines.py finds the same lines: change both together.

/** The key of the message or part that an element belongs to; empty outside of them. */
export function itemOf(element) {
  const part = element.closest(".part[data-key]")
  if (part) return part.dataset.key
  const message = element.closest(".message[data-id]")
  return message ? `message/${message.dataset.id}` : ""
}

/** The element that shows the changes of an item; null if it is not in the page, or not yet. */
function rootOf(item) {
  if (item === "session_diff") return loaded(document.querySelector("#changes"))?.querySelector(":scope > .changes")
  const id = item.slice(item.indexOf("/") + 1)
  if (item.startsWith("part/")) return loaded(document.querySelector(`#messages .part[data-key="${CSS.escape(item)}"]`))
  return loaded(document.querySelector(`#messages .message[data-id="${CSS.escape(id)}"]`))?.querySelector(":scope > .changes")
}

const loaded = (element) => (element && !element.dataset.href ? element : null)

/** The changes below an element: {file, change, patches}. `change` counts those of the same file, from 1. */
function changesIn(root) {
  const changes = []
  for (const patch of root.querySelectorAll("pre.patch")) {
    if (patch.parentElement.matches("details.more")) {
      changes.at(-1)?.patches.push(patch) // the rest of a long change
      continue
    }
    const { file } = patch.dataset
    changes.push({ file, change: changes.filter((each) => each.file === file).length + 1, patches: [patch] })
  }
  return changes
}

/** The numbered lines of one side. Where a patch shows a number twice, its first line counts. */
function numbered({ patches }, side) {
  const shown = new Map()
  for (const line of patches.flatMap((patch) => [...patch.querySelectorAll(":scope > .line")])) {
    const number = Number(line.dataset[side])
    if (number && !shown.has(number)) shown.set(number, line)
  }
  return shown
}

/** The change that holds a patch, and its numbered lines: {item, file, change, old, new}. */
export function changeOf(patch) {
  const item = itemOf(patch) || "session_diff"
  const root = rootOf(item)
  const found = root && changesIn(root).find(({ patches }) => patches.includes(patch))
  if (!found) return { item, file: "", change: 0, old: new Map(), new: new Map() } // a newer one is on its way
  return { item, file: found.file, change: found.change, old: numbered(found, "old"), new: numbered(found, "new") }
}

/** The lines of a place, with their text; null if the change does not show them, undefined if it is not in the page. */
export function find(place) {
  if (place.side === "text") return undefined // a block of code or output has no elements for its lines
  const root = rootOf(place.item)
  if (!root) return undefined
  const found = changesIn(root).find(({ file, change }) => file === place.file && change === place.change)
  if (!found) return null
  const shown = numbered(found, place.side)
  const lines = []
  for (let number = place.first; number <= place.last; number += 1) lines.push(shown.get(number))
  if (!lines.length || lines.includes(undefined)) return null
  return { lines, text: lines.map(textOf).join("\n") }
}

/** The text of a line without its sign and its end. */
const textOf = (line) => line.textContent.slice(1, -1)

/** The element that stands for a line where the reader sees it: itself, or its half side by side. */
export function visible(line, side) {
  const patch = line.parentElement
  if (!patch.hidden) return line
  const number = line.dataset[side]
  return patch.nextElementSibling?.querySelector(`.side-${side}[data-number="${number}"]`) ?? line
}

/** The element after which something about a line stands. */
export const rowEnd = (line) => (line.matches(".side-old") ? line.nextElementSibling : line)
