// Times as the reader's clock shows them. The server writes them in UTC, which stays as the title.

import { moment } from "./blocks.js"
import { locale } from "./words.js"

const local = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" })

/** Show a time in milliseconds, or none, in a <time>. */
export function showTime(node, time) {
  const utc = moment(time)
  node.dateTime = time === null ? "" : `${new Date(time).toISOString().slice(0, 19)}Z`
  node.textContent = time === null ? "" : local.format(time)
  if (utc) node.title = utc
  else node.removeAttribute("title")
}

/** Show all times of the rendered page by the reader's clock. */
export function localize(root) {
  for (const node of root.querySelectorAll("time[datetime]")) {
    const time = Date.parse(node.dateTime)
    if (!Number.isNaN(time)) showTime(node, time)
  }
}
