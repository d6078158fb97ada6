// Large items: the page has placeholders for them, and fetches them when they come near the window.

const LOADS = 4 // concurrent fetches
const NEARBY = "800px" // distance from the window at which an item is fetched

/** Fetches large items: parts and changes when they come near the window, everything else at once. */
export class Loader {
  #queue = []
  #active = 0
  #watching = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: NEARBY })

  constructor(load) {
    this.load = load
  }

  watch(node) {
    if (node.matches(".part, #changes")) this.#watching.observe(node)
    else this.#enqueue(() => node.dataset.href)
  }

  forget(node) {
    this.#watching.unobserve(node)
  }

  add(href) {
    this.#enqueue(() => href)
  }

  #seen(entries) {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue
      this.#watching.unobserve(target)
      this.#enqueue(() => target.dataset.href)
    }
  }

  #enqueue(href, failures = 0) {
    this.#queue.push({ href, failures })
    this.#next()
  }

  async #next() {
    if (this.#active >= LOADS || this.#queue.length === 0) return
    const { href, failures } = this.#queue.shift()
    const address = href()
    if (!address) return this.#next() // a newer item has arrived complete
    this.#active += 1
    try {
      await this.load(address)
    } catch (error) {
      console.warn("A large item could not be fetched and will be tried again.", error)
      setTimeout(() => this.#enqueue(href, failures + 1), Math.min(60_000, 1_000 * 2 ** failures) * (0.5 + Math.random()))
    } finally {
      this.#active -= 1
      this.#next()
    }
  }
}
