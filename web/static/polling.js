// Asks the server again and again while the page is visible: faster after news, slower without, and slower after failures.

const QUICK_MS = 3_000
const SLOW_MS = 10_000
const FIRST_RETRY_MS = 2_000
const LAST_RETRY_MS = 60_000
const TIMEOUT_MS = 20_000

/** An answer that repetition does not change: `state` is `signed out` or `refused`. */
export class Ended extends Error {
  constructor(state) {
    super(state)
    this.state = state
  }
}

/** Fetch a page of this site for the signed-in person; null without content. Raises Ended, or an error to retry after. */
export async function fetchPage(url) {
  const response = await fetch(url, {
    headers: { accept: "text/html" },
    redirect: "manual",
    cache: "no-store",
    signal: AbortSignal.timeout(TIMEOUT_MS),
  })
  // The server redirects people without a session to the page of signing in.
  if (response.type === "opaqueredirect" || response.status === 401) throw new Ended("signed out")
  if (response.status === 403 || response.status === 404) throw new Ended("refused")
  if (!response.ok) throw new Error(`The server answered ${response.status}.`)
  if (response.status === 204) return null
  return new DOMParser().parseFromString(await response.text(), "text/html") // it runs no scripts
}

/** Return the milliseconds until the next question, after `failures` or `idle` answers without news in a row. */
export function pause({ failures, idle }, random = Math.random) {
  const spread = 0.75 + random() / 2 // so that many pages do not ask at the same moment
  if (failures) return Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (failures - 1)) * spread
  return Math.min(SLOW_MS, QUICK_MS * 1.3 ** idle) * spread
}

export class Poller {
  /**
   * @param ask asks once, and returns whether there was news; null ends the polling
   * @param told takes each new state: `live`, `retrying`, `paused`, or that of an Ended
   */
  constructor(ask, told) {
    this.ask = ask
    this.told = told
    this.state = "paused"
    this.timer = 0
    this.asking = false
    document.addEventListener("visibilitychange", () => this.#now())
    addEventListener("online", () => this.#now())
  }

  get isOn() {
    return this.state === "live" || this.state === "retrying"
  }

  start() {
    this.failures = 0
    this.idle = 0
    this.#become("live")
    this.#now()
  }

  stop(state = "paused") {
    clearTimeout(this.timer)
    this.#become(state)
  }

  #become(state) {
    if (state === this.state) return
    this.state = state
    this.told(state)
  }

  #now() {
    clearTimeout(this.timer)
    if (this.isOn && !document.hidden) this.#tick()
  }

  async #tick() {
    if (this.asking) return
    this.asking = true
    try {
      const news = await this.ask()
      this.failures = 0
      this.idle = news ? 0 : this.idle + 1
      if (this.isOn) {
        if (news === null) this.stop()
        else this.#become("live")
      }
    } catch (error) {
      if (!this.isOn) return
      if (error instanceof Ended) this.stop(error.state)
      else {
        this.failures += 1
        this.#become("retrying")
      }
    } finally {
      this.asking = false
      clearTimeout(this.timer)
      if (this.isOn && !document.hidden) this.timer = setTimeout(() => this.#tick(), pause(this))
    }
  }
}
