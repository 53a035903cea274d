// Small parts of pages.

import { _ } from "./texts.js";

/** An element with attributes; `text` is its text, `on` its listeners, and `children` what is inside. */
export function element(name, { text, on = {}, children = [], ...attributes } = {}) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
  }
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, listener);
  if (text !== undefined) made.textContent = text;
  made.append(...children);
  return made;
}

/** Say something to who can't see the page change. */
export function announce(text) {
  let region = document.querySelector("#announcements");
  if (!region) {
    region = element("p", { id: "announcements", class: "visually-hidden", role: "status" });
    document.body.append(region);
  }
  region.textContent = text;
}

/** [data-copy] copies the text of the element that it names, or of the code beside it. */
export function watchCopyButtons() {
  for (const code of document.querySelectorAll("pre.code:not(.has-copy)")) {
    code.classList.add("has-copy");
    const button = element("button", { type: "button", class: "copy", text: _("Copy"), "data-copy": true });
    const frame = element("div", { class: "code-frame" });
    code.replaceWith(frame);
    frame.append(code, button);
  }
  document.addEventListener("click", async (event) => {
    const button = event.target.closest?.("[data-copy]");
    if (!button) return;
    const named = button.dataset.copy;
    const source = named ? document.getElementById(named) : button.parentElement.querySelector("pre, code, input");
    await navigator.clipboard.writeText(source.value ?? source.textContent);
    const before = button.textContent;
    button.textContent = _("Copied");
    announce(_("Copied"));
    setTimeout(() => (button.textContent = before), 1500);
  });
}

/** [role=tablist]: arrow keys move, as the ARIA practices say; the choice of a [data-tabs] name is kept. */
export function watchTabs() {
  for (const list of document.querySelectorAll("[role=tablist]")) {
    const tabs = [...list.querySelectorAll("[role=tab]")];
    const choose = (tab) => {
      for (const one of tabs) {
        const isChosen = one === tab;
        one.setAttribute("aria-selected", String(isChosen));
        one.tabIndex = isChosen ? 0 : -1;
        document.getElementById(one.getAttribute("aria-controls")).hidden = !isChosen;
      }
    };
    list.hidden = false;
    choose(tabs.find((tab) => tab.getAttribute("aria-selected") === "true") ?? tabs[0]);
    list.addEventListener("click", (event) => {
      const tab = event.target.closest("[role=tab]");
      if (tab) choose(tab);
    });
    list.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
      choose(next);
      next.focus();
    });
  }
}
