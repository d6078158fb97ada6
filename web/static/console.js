/* The console by script: times in the zone of the reader, copy buttons, and forms that outlive a session.
   Every page works without it. */

import { gettext as _, locale } from "./words.js";

const DRAFTS = "opencode-cloud.form";
const COPIED_MS = 2000;

function showLocalTimes() {
  const format = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
  for (const element of document.querySelectorAll("time[datetime]")) {
    const at = new Date(element.dateTime);
    if (!Number.isNaN(at.getTime())) element.textContent = format.format(at);
  }
}

function offerCopies() {
  for (const button of document.querySelectorAll("button[data-copy]")) {
    const source = document.getElementById(button.dataset.copy);
    if (!source || !navigator.clipboard) continue;
    const label = button.textContent;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(source.value ?? source.textContent);
      button.textContent = _("Copied");
      setTimeout(() => { button.textContent = label; }, COPIED_MS);
    });
  }
}

/* Keep what was typed until the server has taken it. Passwords and tokens are left out. */
function keptFields(form) {
  return [...form.elements].filter((each) => each.name && !["hidden", "password", "submit", "button"].includes(each.type));
}

function keepForm(form) {
  const fields = keptFields(form).map((each) => [each.name, each.type === "checkbox" || each.type === "radio" ? each.checked : each.value]);
  sessionStorage.setItem(DRAFTS, JSON.stringify({ action: form.getAttribute("action"), fields }));
}

function restoreForm() {
  const kept = JSON.parse(sessionStorage.getItem(DRAFTS) ?? "null");
  sessionStorage.removeItem(DRAFTS);
  if (!kept || !document.querySelector("[data-unsent]")) return;
  const form = [...document.forms].find((each) => each.getAttribute("action") === kept.action);
  if (!form) return;
  const fields = keptFields(form);
  kept.fields.forEach(([name, value], index) => {
    const field = fields[index]?.name === name ? fields[index] : fields.find((each) => each.name === name);
    if (field && typeof value === "boolean") field.checked = value;
    else if (field) field.value = value;
  });
}

/* A second click must not send a form twice; the server refuses the second one anyway. */
function guardForms() {
  for (const form of document.querySelectorAll("form[method=post]")) {
    form.addEventListener("submit", (event) => {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = "1";
      keepForm(form);
    });
  }
  addEventListener("pageshow", () => document.querySelectorAll("form[data-sent]").forEach((each) => { delete each.dataset.sent; }));
}

/* Only one menu is open, and a click elsewhere or Escape closes it. */
function closeMenus() {
  const menus = document.querySelectorAll("details.menu");
  const close = (except) => menus.forEach((each) => { if (each !== except) each.open = false; });
  document.addEventListener("click", (event) => close(event.target.closest("details.menu")));
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") close(null); });
}

/* Ctrl-K: a list of all pages and workspaces, and searches for what was typed. The links are those of the page itself. */
function offerPalette() {
  const menu = [...document.querySelectorAll("nav.sections a, .switcher a, nav.account a")];
  const base = document.querySelector("nav.sections a")?.getAttribute("href");
  if (!base) return;
  const dialog = document.createElement("dialog");
  const field = document.createElement("input");
  const list = document.createElement("ul");
  dialog.className = "palette";
  dialog.setAttribute("aria-label", _("Go to"));
  field.type = "search";
  field.placeholder = _("Go to a page, or search");
  field.setAttribute("aria-label", _("Go to a page, or search"));
  list.className = "rows";
  dialog.append(field, list);
  document.body.append(dialog);

  const searches = {
    [_("Members")]: "members?search=", [_("Shares")]: "shares?search=", [_("Calls")]: "calls?model=", [_("Audit")]: "audit?target=",
  };
  const reachable = new Set(menu.map((link) => link.getAttribute("href")));

  const fill = () => {
    const wanted = field.value.trim();
    const found = menu
      .map((link) => [link.textContent.replace(/\s+/g, " ").trim(), link.getAttribute("href")])
      .filter(([label]) => label.toLowerCase().includes(wanted.toLowerCase()));
    for (const [label, path] of Object.entries(searches)) {
      if (wanted && reachable.has(`${base}/${path.split("?")[0]}`)) {
        found.push([_("%(page)s with “%(words)s”", { page: label, words: wanted }), `${base}/${path}${encodeURIComponent(wanted)}`]);
      }
    }
    list.replaceChildren(...found.slice(0, 12).map(([label, href]) => {
      const row = document.createElement("li");
      const link = document.createElement("a");
      link.href = href;
      link.textContent = label;
      row.append(link);
      return row;
    }));
  };

  field.addEventListener("input", fill);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") list.querySelector("a")?.click();
    if (event.key === "ArrowDown") { event.preventDefault(); list.querySelector("a")?.focus(); }
  });
  list.addEventListener("keydown", (event) => {
    const rows = [...list.querySelectorAll("a")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    (rows[rows.indexOf(document.activeElement) + step] ?? field).focus();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    field.value = "";
    fill();
    dialog.showModal();
  });
}

showLocalTimes();
offerPalette();
offerCopies();
restoreForm();
guardForms();
closeMenus();
