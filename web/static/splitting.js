// Changes side by side: old lines on the left, new lines on the right. Made from the lines of the unified change.

const NAMES = ["line", "added", "removed", "hunk"]

/** Show all changes below `root` side by side. */
export function split(root) {
  for (const patch of root.querySelectorAll("pre.patch:not([hidden])")) {
    const sides = document.createElement("div")
    sides.className = "sides"
    sides.append(...rows(patch))
    patch.hidden = true
    patch.after(sides)
  }
}

/** Show all changes below `root` in one column. */
export function unite(root) {
  for (const sides of root.querySelectorAll(".sides")) sides.remove()
  for (const patch of root.querySelectorAll("pre.patch[hidden]")) patch.hidden = false
}

function* rows(patch) {
  const lines = [...patch.children].filter((each) => each.matches(".line"))
  for (let at = 0; at < lines.length; ) {
    const removed = run(lines, at, "removed")
    const added = run(lines, at + removed.length, "added")
    if (!removed.length && !added.length) {
      const line = lines[at]
      if (line.classList.contains("hunk")) yield half(line, "hunk")
      else yield* [half(line, "old"), half(line, "new")]
      at += 1
      continue
    }
    for (let n = 0; n < Math.max(removed.length, added.length); n += 1) {
      yield half(removed[n], "old")
      yield half(added[n], "new")
    }
    at += removed.length + added.length
  }
}

function run(lines, at, name) {
  let end = at
  while (lines[end]?.classList.contains(name)) end += 1
  return lines.slice(at, end)
}

function half(line, side) {
  const copy = line ? line.cloneNode(true) : document.createElement("span")
  for (const node of copy.querySelectorAll("[data-beside]")) node.remove()
  copy.classList.remove(...NAMES.filter((name) => !line?.classList.contains(name)))
  copy.classList.add("line", `side-${side}`)
  if (side !== "hunk") copy.dataset.number = (side === "old" ? line?.dataset.old : line?.dataset.new) ?? ""
  return copy
}
