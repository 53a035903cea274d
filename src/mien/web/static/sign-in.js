// Signing up and in, and resetting a password. Tokens stand behind the #, which no server ever sees.

import { call, handleForm } from "./api.js";
import { _ } from "./texts.js";

const token = location.hash.slice(1);
// A link that is opened from the very page that it leads to loads nothing by itself.
addEventListener("hashchange", () => location.hash && location.reload());

const handlers = {
  "sign-in": async ({ email, password }, form) => {
    await call("POST", "/auth/sign-in", { json: { email, password } });
    location.assign(form.dataset.to);
  },
  "sign-up": async ({ email, password }, form) => {
    const invite = token ? { invite: token } : {};
    await call("POST", "/auth/sign-up", { json: { email, password, ...invite } });
    location.assign(form.dataset.to);
  },
  "ask-reset": async ({ email }, form) => {
    await call("POST", "/auth/password-reset", { json: { email } });
    form.querySelector("[data-done]").hidden = false;
  },
  reset: async ({ new_password }, form) => {
    await call("POST", "/auth/password-reset/confirm", { json: { token, new_password } });
    form.querySelector("[data-done]").hidden = false;
    form.querySelector("button").hidden = true;
    history.replaceState(null, "", location.pathname);
    setTimeout(() => location.assign(form.dataset.to), 1500);
  },
};

for (const form of document.querySelectorAll("form[data-form]")) {
  handleForm(form, handlers[form.dataset.form]);
  if (token && form.dataset.form === "ask-reset") form.hidden = true;
  if (token && form.dataset.form === "reset") form.hidden = false;
}

for (const notice of document.querySelectorAll("[data-needs-invite]")) {
  if (token) notice.textContent = _("You are invited. Choose a password, and you are in.");
}
