// Calls our own API: with the session of who is signed in, or with a key.

import { _ } from "./texts.js";

export const base = document.documentElement.dataset.base;
const csrfToken = document.querySelector('meta[name="csrf-token"]')?.content ?? "";
export const isSignedIn = csrfToken !== "";
const publicUrl = document.querySelector('meta[name="public-url"]').content;

const hasDemo = Boolean(document.querySelector('meta[name="demo"]'));

/** Whether what is done without this key is done in the demo, which needs neither key nor session. */
export const isDemo = (key = "") => hasDemo && !isSignedIn && !key;

/** The address of a path of the API, or of the same in the demo. */
export const address = (path, key) => `${base}${isDemo(key) ? "/demo" : "/api/v1"}${path}`;

/** A refusal, as the API worded it, or as it must be worded where there was no answer. */
export class Refusal extends Error {
  constructor({ message, type, param = null, code = 0, request_id = null }, answer = null, retryAfter = 0) {
    super(message);
    Object.assign(this, { type, param, status: code, requestId: request_id, answer, retryAfter });
  }
}

/** What goes along with each request: the key if there is one, else the session's token. */
export function credentials(key = "") {
  if (key) return { Authorization: `Bearer ${key}` };
  return csrfToken ? { "X-CSRF-Token": csrfToken } : {};
}

/**
 * Call the API. `json` or `body` is sent; the answer's JSON is returned, or null if there is none.
 * Throws `Refusal`.
 */
export async function call(method, path, { json, body, headers = {}, key = "", signal } = {}) {
  const sent = { ...credentials(key), ...headers };
  if (json !== undefined) sent["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(address(path, key), {
      method,
      headers: sent,
      body: json === undefined ? body : JSON.stringify(json),
      credentials: key ? "omit" : "same-origin",
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal({ message: _("The service can't be reached. Check the connection and try again."), type: "unreachable" });
  }
  const text = await answer.text();
  let content = null;
  try {
    content = text ? JSON.parse(text) : null;
  } catch {
    content = null;
  }
  if (!answer.ok) {
    const fallback = { message: _("The service answered with status {status}.", { status: answer.status }), type: "unknown", code: answer.status };
    throw new Refusal(content?.error ?? fallback, content, Number(answer.headers.get("Retry-After")));
  }
  return content;
}

/** An address that the API gave, as one of this very site: it may be open under another name of the host. */
export function onThisSite(address) {
  return address?.startsWith(`${publicUrl}/`) ? base + address.slice(publicUrl.length) : address;
}

/** Whether the address is one of this service. */
export function isOurs(address) {
  return address.startsWith(`${publicUrl}/`) || address.startsWith(`${location.origin}${base}/`);
}

/** The address that the API knows a path of this site by. */
export function publicAddress(path) {
  return publicUrl + path;
}

/** A refusal in the page's language, where it's one that is known. */
function worded({ message, type, retryAfter }) {
  const isTooOften = type === "rate_limited" && retryAfter;
  return isTooOften ? _("This was tried too often. Try again in {minutes} minutes.", { minutes: Math.ceil(retryAfter / 60) }) : _(message);
}

/** Send a form to the API: shows that it's busy, and refusals in the form's [data-error]. */
export function handleForm(form, send) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector("button:not([type=button])");
    const problem = form.querySelector("[data-error]");
    problem.hidden = true;
    for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
    button.disabled = true;
    form.setAttribute("aria-busy", "true");
    try {
      await send(Object.fromEntries(new FormData(form)), form);
    } catch (error) {
      problem.textContent = worded(error);
      problem.hidden = false;
      const input = error.param && form.elements[error.param];
      if (input) {
        input.setAttribute("aria-invalid", "true");
        input.focus();
      }
    } finally {
      button.disabled = false;
      form.removeAttribute("aria-busy");
    }
  });
}
