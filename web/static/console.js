/* The console by script: times in the zone of the reader, copy buttons, and forms that outlive a session.
   Every page works without it. */

const DRAFTS = "opencode-cloud.form";
const COPIED_MS = 2000;

function showLocalTimes() {
  const format = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
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
      button.textContent = "Copied";
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

showLocalTimes();
offerCopies();
restoreForm();
guardForms();
closeMenus();
