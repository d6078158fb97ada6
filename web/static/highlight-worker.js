// Highlights code beside the page. It answers with runs of one class, [class, words], since the page takes no HTML.

import hljs from "./highlight.js"

const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&#x27;": "'" }
const PIECE = /<span class="([^"]*)">|<\/span>|&(?:amp|lt|gt|quot|#x27);|[^<&]+/g

/** The runs of highlighted HTML: the innermost class counts. */
function runs(html) {
  const found = []
  const classes = [""]
  for (const [piece, name] of html.matchAll(PIECE)) {
    if (piece.startsWith("<span")) classes.push(name)
    else if (piece === "</span>") classes.pop()
    else {
      const words = ENTITIES[piece] ?? piece
      if (found.at(-1)?.[0] === classes.at(-1)) found.at(-1)[1] += words
      else found.push([classes.at(-1), words])
    }
  }
  return found
}

addEventListener("message", ({ data: { id, words, language } }) => {
  const known = hljs.getLanguage(language)
  postMessage({ id, runs: known ? runs(hljs.highlight(words, { language, ignoreIllegals: true }).value) : null })
})
