// Follows a share: one cursor, three ways to move it (frames, a snapshot, polling). Knows nothing of the page.
// The protocol is in docs/protocol.md, "Live protocol".

const FIRST_DELAY = 500 // milliseconds before the first new attempt to connect; doubles up to MAXIMUM_DELAY
const MAXIMUM_DELAY = 30_000
const PING = 240_000 // the gateway closes sockets that are idle for ten minutes
const SETTLE = 150 // frames may overtake each other: time for the late one to come
const PATIENCE = 20_000 // for the answer to a ping, or for progress while catching up
const TRIES = 3 // failures in a row before polling begins beside further attempts
const POLL = 3_000 // between two polls; grows while nothing changes
const MAXIMUM_POLL = 30_000
const STALLED = 300_000 // a fetch that takes longer has stalled
const RENEW = 120_000 // before its end a ticket is exchanged for a new one
const OVER = new Set(["share_gone", "share_not_found"])
const REFUSED = new Set(["login_required", "password_required"])

const jitter = (delay) => delay * (0.5 + Math.random() / 2)

/** The share is no longer there. */
class Gone extends Error {}

/** The share is there, and not for this reader any more, or not before they sign in again. */
class Refused extends Error {}

export class Follower {
  #socket = null
  #work = Promise.resolve() // frames are handled one after the other
  #fetching = new AbortController() // of the state, for the present connection
  #failures = 0
  #tail = 0 // the highest sequence number heard of
  #ranges = [] // [after, seq] of frames that came before something that precedes them
  #unfilled = 0 // times in a row that the answer to a resume left something out
  #catchingUp = false
  #stopped = false
  #timers = {}
  #renewAt = 0 // when the ticket has to be exchanged, by performance.now()
  #doubted = false // whether the ticket was refused since it was new

  /**
   * @param share the share's id
   * @param cursor everything up to this sequence number is known
   * @param ticket what the server wants to see of readers of shares that are not for everybody; empty for the others
   * @param lifetime of the ticket, in milliseconds
   * @param address of the live protocol, ws: or wss:
   * @param handlers apply(items), status(state), gone(), refused()
   */
  constructor({ share, cursor, ticket, lifetime, address, apply, status, gone, refused }) {
    Object.assign(this, { share, cursor, ticket, address, apply, status, gone, refused })
    this.#renewAt = performance.now() + lifetime - RENEW
  }

  start() {
    this.#stopped = false
    this.status("connecting")
    this.#connect()
  }

  /** Let go of the network, until `start`. */
  stop() {
    this.#stopped = true
    this.#clear()
    this.#release()
  }

  /** The network has gone: do not wait until the socket notices. */
  offline() {
    this.#clear()
    this.#release()
    this.status("offline")
  }

  /** The network is back, or the reader is: connect now, or make sure that the connection lives. */
  retry() {
    if (this.#stopped) return
    if (this.#socket?.readyState === WebSocket.OPEN) return this.#ping()
    if (this.#socket) return
    this.#failures = 0
    this.#clear()
    this.status("reconnecting")
    this.#connect()
  }

  /** Fetch one item by its address; null if a newer one has taken its place. */
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
      return this.#failed(null, error) // some browsers do not count a socket of the same host as 'self'
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

  /** Exchange the ticket when its time is nearly over, or when it was refused: who may still read gets a new one. */
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
        clearTimeout(this.#timers.patience) // the fetch has its own
        await this.#fetchState(frame.href)
        await this.#resume() // what was committed meanwhile, and from then on
        break
      case "ready":
        this.#catchingUp = false
        if (this.cursor >= this.#tail) this.#live()
        else if ((this.#unfilled += 1) === TRIES) throw new Error(`ready, and nothing after ${this.cursor} came`)
        break
      case "gone":
        throw new Gone()
      case "error":
        if (OVER.has(frame.code)) throw new Gone()
        if (REFUSED.has(frame.code)) this.#doubted = true // the next connection finds out with a new ticket
        throw new Error(`${frame.code}: ${frame.message}`)
      case undefined: // not from the server but from the gateway before it
        throw new Error(frame.message)
    }
    this.#check(socket, this.cursor > known)
  }

  /** The items over `after` up to `seq` are here: move the cursor, also over what had come too early. */
  #cover(after, seq) {
    this.#ranges.push([after, seq])
    this.#ranges.sort(([a], [b]) => a - b)
    while (this.#ranges[0]?.[0] <= this.cursor) this.cursor = Math.max(this.cursor, this.#ranges.shift()[1])
  }

  /** Ask for what is missing, unless it is on its way; and do not wait for ever for that. */
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

  /** The connection is gone or of no use: make a new one later, and poll meanwhile if none can be had. */
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
    const response = await this.#get(`${href}?after=${this.cursor}`, signal)
    if (!response) throw new Gone()
    const state = await response.json()
    await this.apply(state.items)
    this.#cover(0, state.seq)
  }

  /** GET; null for what is not there. */
  async #get(href, signal) {
    const response = await this.#fetch(href, "GET", signal)
    return response.status === 404 ? null : response
  }

  /** Ask our own server. Cookies prove who the reader is: a ticket in a header would not survive redirects. */
  async #fetch(href, method, signal) {
    const response = await fetch(href, { method, headers: { accept: "application/json" }, credentials: "same-origin", signal })
    if (response.status === 410) throw new Gone()
    if (response.status === 401) throw new Refused()
    if (response.status === 404) return response
    if (!response.ok) throw new Error(`${response.status} for ${href}`)
    return response
  }

  /** Whether an error ends the following for good; if so, it has been ended. */
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
