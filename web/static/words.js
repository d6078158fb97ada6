// Messages of scripts in the language of the page. opencode_cloud/kit/languages.py has the same functions.
// `make messages` writes the catalogue of a language beside this module. English is in the messages themselves.

const language = globalThis.document?.documentElement.lang || "en"
const catalogue = language === "en" ? {} : (await import(`./words-${language}.js`)).default
const CONTEXT_MARK = "\x04"

const filled = (words, values) => words.replace(/%(?:\((\w+)\)s|%)/g, (_mark, name) => (name ? String(values[name]) : "%"))

/** Translate a message. With `values`, replace its placeholders `%(name)s`. */
export function gettext(message, values = null) {
  const words = catalogue[message] ?? message
  return values ? filled(words, values) : words
}

/** Translate a message with a number: `one` for 1, else `many`. The number replaces `%(num)s`. */
export const ngettext = (one, many, num, values = {}) =>
  filled(catalogue[one] ?? (num === 1 ? one : many), { num, ...values })

/** Translate a message whose English has several meanings; `context` tells which. */
export function pgettext(context, message, values = null) {
  const words = catalogue[context + CONTEXT_MARK + message] ?? message
  return values ? filled(words, values) : words
}

/** Mark a message for the catalogue. It is translated where it is shown. */
export const gettext_noop = (message) => message

/** Mark a message with a number for the catalogue. Both its forms are returned. */
export const ngettext_noop = (one, many) => [one, many]

/** The locale of dates and numbers: the reader's own, unless it is of another language than the page. */
export const locale =
  globalThis.navigator?.language?.split("-")[0] === language.split("-")[0] ? globalThis.navigator.language : language
