// The page that checks where a picture comes from: what is chosen is sent at once, and the answer is a part of the page
// that comes back, so that its words stand in one place.

import { isPicture, sizeOf, watchDrops, watchPastes } from "./files.js";
import { element } from "./parts.js";
import { _ } from "./texts.js";

const form = document.querySelector("[data-check]");
const input = form.querySelector("input[type=file]");
const preview = form.querySelector("[data-preview]");
const maxBytes = Number(form.dataset.maxBytes);
let latest = null;

form.querySelector("[data-send]").hidden = true;
input.addEventListener("change", () => input.files[0] && take(input.files[0]));
watchDrops(document.body, form.querySelector("[data-drop]"), take);
watchPastes(take);
if (input.files[0]) take(input.files[0]); // chosen before this was loaded

async function take(file, name = file.name || "picture") {
  latest = file;
  show(file, name);
  if (!isPicture(file)) return fail(_("This is no picture. Choose a JPEG, PNG, WebP, AVIF or HEIC."));
  if (file.size > maxBytes) return fail(_("This file has {size}; at most {limit} MB are accepted.", { size: sizeOf(file), limit: maxBytes / 1e6 }));
  say(element("p", { class: "notice", role: "status", text: _("Looking for marks…") }));
  const body = new FormData();
  body.append("image", file, name);
  form.setAttribute("aria-busy", "true");
  try {
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
    const text = await answer.text();
    if (file !== latest) return;
    const found = new DOMParser().parseFromString(text, "text/html").querySelector("[data-outcome]");
    if (found) say(...found.childNodes);
    else fail(_("The service answered with status {status}.", { status: answer.status }));
  } catch {
    if (file === latest) fail(_("The service can't be reached. Check the connection and try again."));
  } finally {
    if (file === latest) form.removeAttribute("aria-busy");
    input.value = ""; // so that the same file can be chosen again
  }
}

function show(file, name) {
  const image = element("img", { src: URL.createObjectURL(file), alt: "" });
  image.addEventListener("error", () => image.remove()); // HEIC, in most browsers
  preview.replaceChildren(image, element("p", { class: "faint", text: `${name} · ${sizeOf(file)}` }));
  preview.hidden = false;
}

function fail(message) {
  say(element("p", { class: "notice error", role: "alert", text: message }));
}

function say(...nodes) {
  const outcome = document.querySelector("[data-outcome]");
  outcome.replaceChildren(...nodes);
  outcome.querySelector("h2")?.focus();
}
