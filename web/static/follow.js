// Follows a share: one cursor, three ways to move it (frames, a snapshot, polling). Independent of the page.
// The protocol is in docs/protocol.md, "Live protocol".

const FIRST_DELAY = 500 // milliseconds before the first new attempt to connect; doubles up to MAXIMUM_DELAY
const MAXIMUM_DELAY = 30_000
const PING = 240_000 // the gateway closes sockets after ten idle minutes
const SETTLE = 150 // frames may overtake each other: time for a late one to arrive
const PATIENCE = 20_000 // for the answer to a ping, or for progress while catching up
const TRIES = 3 // failures in a row before polling begins beside further attempts
const POLL = 3_000 // between two polls; grows while nothing changes
const MAXIMUM_POLL = 30_000
const STALLED = 300_000 // a fetch that takes longer has stalled
const RENEW = 120_000 // time before its expiry when a ticket is exchanged for a new one
const OVER = new Set(["share_gone", "share_not_found"])
const AHEAD = "cursor_ahead"
const REFUSED = new Set(["login_required", "password_required"])

const jitter = (delay) => delay * (0.5 + Math.random() / 2)

/** The share was removed. */
class Gone extends Error {}

/** The share exists, but this reader has lost access, or must sign in again. */
class Refused extends Error {}

export class Follower {
  #socket = null
  #work = Promise.resolve() // frames are handled in sequence
  #fetching = new AbortController() // fetches of the state, for the present connection
  #failures = 0
  #tail = 0 // the highest sequence number seen in any frame
  #ranges = [] // [after, seq] of frames that arrived before their predecessors
  #unfilled = 0 // consecutive answers to a resume that were incomplete
  #catchingUp = false
  #stopped = false
  #timers = {}
  #renewAt = 0 // when to exchange the ticket, by performance.now()
  #doubted = false // whether the ticket was refused since it was issued

  /**
   * @param share the share's id
   * @param cursor everything up to this sequence number is known
   * @param ticket what the server wants to see of readers of shares that are not for everybody; empty for the others
   * @param lifetime of the ticket, in milliseconds
   * @param address of the live protocol, ws: or wss:
   * @param handlers apply(items), status(state), gone(), refused(); refresh() fetches the newest state of a long session
   *   another way than whole, and resolves to the number up to which it reaches, or null
   */
  constructor({ share, cursor, ticket, lifetime, address, apply, status, gone, refused, refresh = () => null }) {
    Object.assign(this, { share, cursor, ticket, address, apply, status, gone, refused, refresh })
    this.#renewAt = performance.now() + lifetime - RENEW
  }

  start() {
    this.#stopped = false
    this.status("connecting")
    this.#connect()
  }

  /** Close connections and timers, until `start`. */
  stop() {
    this.#stopped = true
    this.#clear()
    this.#release()
  }

  /** The network is down: do not wait until the socket detects it. */
  offline() {
    this.#clear()
    this.#release()
    this.status("offline")
  }

  /** The network or the reader has returned: connect now, or check that the connection is alive. */
  retry() {
    if (this.#stopped) return
    if (this.#socket?.readyState === WebSocket.OPEN) return this.#ping()
    if (this.#socket) return
    this.#failures = 0
    this.#clear()
    this.status("reconnecting")
    this.#connect()
  }

  /** Fetch one item by its URL; null if a newer one has replaced it. */
  async fetchItem(href) {
    try {
      const response = await this.#get(href, AbortSignal.timeout(STALLED))
      return response ? await response.json() : null
    } catch (error) {
      if (!this.#isFinal(error)) throw error
      return null
    }
  }

  #connect() {
    let socket
    try {
      socket = new WebSocket(this.address)
    } catch (error) {
      return this.#failed(null, error) // in some browsers 'self' does not include a socket of the same host
    }
    this.#socket = socket
    this.#after("patience", PATIENCE, () => this.#lost(socket))
    socket.onopen = () => this.#resume().catch((error) => this.#failed(socket, error))
    socket.onmessage = (event) => this.#receive(socket, event.data)
    socket.onclose = () => this.#lost(socket)
  }

  async #resume() {
    this.#catchingUp = true
    await this.#renew()
    this.#send({ action: "resume", share: this.share, after: this.cursor, ...this.#proof() })
  }

  #proof() {
    return this.ticket ? { ticket: this.ticket } : {}
  }

  /** Exchange the ticket when it is about to expire or was refused. A reader who still has access gets a new one. */
  async #renew() {
    if (!this.#doubted && (!this.ticket || performance.now() < this.#renewAt)) return
    const response = await this.#fetch(`/share/${this.share}/ticket`, "POST", AbortSignal.timeout(PATIENCE))
    if (response.status === 404) throw new Gone()
    const { ticket, expires_in } = await response.json()
    this.#doubted = false
    this.ticket = ticket ?? ""
    this.#renewAt = performance.now() + (expires_in ?? 0) * 1000 - RENEW
  }

  #send(frame) {
    const socket = this.#socket
    if (socket?.readyState !== WebSocket.OPEN) return
    socket.send(JSON.stringify(frame))
    this.#after("patience", PATIENCE, () => this.#lost(socket))
  }

  #receive(socket, data) {
    this.#work = this.#work
      .then(() => (this.#socket === socket ? this.#handle(socket, JSON.parse(data)) : undefined))
      .catch((error) => this.#failed(socket, error))
  }

  #failed(socket, error) {
    if (this.#isFinal(error)) return
    console.warn("The connection is given up and made anew.", error)
    this.#lost(socket)
  }

  async #handle(socket, frame) {
    const known = this.cursor
    if (frame.seq > this.#tail) this.#tail = frame.seq
    switch (frame.type) {
      case "items":
        await this.apply(frame.items)
        this.#cover(frame.after, frame.seq)
        break
      case "snapshot":
        clearTimeout(this.#timers.patience) // the fetch has its own timeout
        await this.#fetchState(frame.href)
        await this.#resume() // get commits since the snapshot, and later ones
        break
      case "ready":
        this.#catchingUp = false
        if (this.cursor >= this.#tail) this.#live()
        else if ((this.#unfilled += 1) === TRIES) throw new Error(`ready, and nothing after ${this.cursor} came`)
        break
      case "comments":
        dispatchEvent(new Event("comments")) // comments.js fetches them
        break
      case "gone":
        throw new Gone()
      case "error":
        if (OVER.has(frame.code)) throw new Gone()
        if (frame.code === AHEAD) return location.reload() // the log was restored from a backup
        if (REFUSED.has(frame.code)) this.#doubted = true // the next connection tries a new ticket
        throw new Error(`${frame.code}: ${frame.message}`)
      case undefined: // from the gateway in front of the server
        throw new Error(frame.message)
    }
    this.#check(socket, this.cursor > known)
  }

  /** The items after `after` up to `seq` have arrived: move the cursor, also over remembered early ranges. */
  #cover(after, seq) {
    this.#ranges.push([after, seq])
    this.#ranges.sort(([a], [b]) => a - b)
    while (this.#ranges[0]?.[0] <= this.cursor) this.cursor = Math.max(this.cursor, this.#ranges.shift()[1])
  }

  /** Request the missing items, unless a request is running, and limit the wait for them. */
  #check(socket, moved) {
    if (this.#catchingUp) {
      if (moved) this.#after("patience", PATIENCE, () => this.#lost(socket))
      return
    }
    clearTimeout(this.#timers.patience)
    if (this.cursor < this.#tail) this.#after("resume", SETTLE, () => this.#fill())
  }

  #fill() {
    if (this.cursor >= this.#tail) return
    const socket = this.#socket
    this.#resume().catch((error) => this.#failed(socket, error))
  }

  #live() {
    this.#failures = 0
    this.#unfilled = 0
    clearTimeout(this.#timers.poll)
    this.status("live")
    this.#after("ping", jitter(PING), () => this.#ping())
  }

  async #ping() {
    const socket = this.#socket
    try {
      await this.#renew()
    } catch (error) {
      return this.#failed(socket, error)
    }
    this.#send({ action: "ping", share: this.share, after: this.cursor, ...this.#proof() })
    this.#after("ping", jitter(PING), () => this.#ping())
  }

  /** The connection is lost or useless: connect again later, and poll meanwhile if that fails. */
  #lost(socket) {
    if (this.#socket !== socket) return
    this.#release()
    for (const name of ["ping", "patience", "resume"]) clearTimeout(this.#timers[name])
    if (this.#stopped) return
    this.#failures += 1
    if (this.#failures === TRIES) this.#poll(POLL)
    if (this.#failures < TRIES) this.status(navigator.onLine ? "reconnecting" : "offline")
    const delay = Math.min(MAXIMUM_DELAY, FIRST_DELAY * 2 ** (this.#failures - 1))
    this.#after("connect", Math.random() * delay, () => this.#connect())
  }

  #release() {
    const socket = this.#socket
    this.#socket = null
    this.#catchingUp = false
    this.#unfilled = 0
    this.#fetching.abort()
    this.#fetching = new AbortController()
    socket?.close()
  }

  async #poll(delay) {
    const known = this.cursor
    try {
      await this.#fetchState(`/share/${this.share}/items`)
      if (this.#stopped || this.#failures < TRIES) return
      this.status("polling")
    } catch (error) {
      if (this.#isFinal(error)) return
      if (this.#stopped || this.#failures < TRIES) return
      this.status(navigator.onLine ? "reconnecting" : "offline")
    }
    const next = this.cursor > known ? POLL : Math.min(MAXIMUM_POLL, delay * 1.5)
    this.#after("poll", jitter(next), () => this.#poll(next))
  }

  async #fetchState(href) {
    const signal = AbortSignal.any([this.#fetching.signal, AbortSignal.timeout(STALLED)])
    const response = await this.#get(`${href}?after=${this.cursor}`, signal, "manual")
    if (!response) throw new Gone()
    if (response.type === "opaqueredirect") {
      // The gap is long: the answer is the whole state.
      const seq = await this.refresh()
      return seq === null ? this.#fetchWhole(href, signal) : this.#cover(0, seq)
    }
    await this.#takeState(response)
  }

  async #fetchWhole(href, signal) {
    const response = await this.#get(`${href}?after=${this.cursor}`, signal)
    if (!response) throw new Gone()
    await this.#takeState(response)
  }

  async #takeState(response) {
    const state = await response.json()
    await this.apply(state.items)
    this.#cover(0, state.seq)
  }

  /** GET; null for 404. */
  async #get(href, signal, redirect = "follow") {
    const response = await this.#fetch(href, "GET", signal, redirect)
    return response.status === 404 ? null : response
  }

  /** Request from our own server. Cookies authenticate the reader: a ticket in a header would not survive redirects. */
  async #fetch(href, method, signal, redirect = "follow") {
    const headers = { accept: "application/json" }
    const response = await fetch(href, { method, headers, credentials: "same-origin", signal, redirect })
    if (response.type === "opaqueredirect") return response
    if (response.status === 410) throw new Gone()
    if (response.status === 401) throw new Refused()
    if (response.status === 404) return response
    if (!response.ok) throw new Error(`${response.status} for ${href}`)
    return response
  }

  /** Return whether an error is final, and stop following if it is. */
  #isFinal(error) {
    if (!(error instanceof Gone || error instanceof Refused)) return false
    if (this.#stopped) return true
    this.stop()
    this.status(error instanceof Gone ? "unshared" : "refused")
    if (error instanceof Gone) this.gone()
    else this.refused()
    return true
  }

  #after(name, delay, action) {
    clearTimeout(this.#timers[name])
    this.#timers[name] = setTimeout(action, delay)
  }

  #clear() {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer)
  }
}
