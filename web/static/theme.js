// The theme of the page: light, dark, or the system's. Loaded before the first paint, so that no page flashes.
// A button with the class `theme` switches; pages show it only where scripts run.

{
  const THEMES = ["system", "light", "dark"]
  const root = document.documentElement

  const stored = () => {
    try {
      return localStorage.getItem("theme")
    } catch {
      return null // the reader's browser stores nothing
    }
  }

  const show = (theme) => {
    if (theme === "light" || theme === "dark") root.dataset.theme = theme
    else delete root.dataset.theme
  }

  const present = () => root.dataset.theme ?? "system"

  const label = (button) => {
    const words = button.dataset[present()] // this script has no catalogue: the page has the words
    button.hidden = false
    button.title = words
    button.setAttribute("aria-label", `${words}${button.dataset.change}`)
  }

  const change = (button) => {
    const theme = THEMES[(THEMES.indexOf(present()) + 1) % THEMES.length]
    try {
      localStorage.setItem("theme", theme)
    } catch {
      // the choice then lasts as long as the page
    }
    show(theme)
    label(button)
  }

  root.dataset.scripts = ""
  show(stored())
  addEventListener("DOMContentLoaded", () => {
    for (const button of document.querySelectorAll("button.theme")) {
      label(button)
      button.addEventListener("click", () => change(button))
    }
  })
  addEventListener("storage", (event) => event.key === "theme" && show(event.newValue))
}
