// The API tester: from two pictures to a result, with everything that is sent and answered in sight.

import { call, isSignedIn, onThisSite, publicAddress } from "../api.js";
import { announce, element } from "../parts.js";
import { _, language } from "../texts.js";
import { hasCamera, takePicture } from "./camera.js";
import { follow } from "./follow.js";
import * as history from "./history.js";
import { completed } from "./outcome.js";
import * as requests from "./request.js";
import { Slot } from "./slot.js";

const STAGES = {
  queued: _("Waiting for its turn"),
  fetching: _("Fetching the pictures"),
  detecting: _("Finding the faces"),
  swapping: _("Swapping the face"),
  marking: _("Marking the picture as made by software"),
  storing: _("Storing the result"),
};
const FACE_SWAP = "/images/tools/face-swap";
const PLACEHOLDER = "YOUR_KEY";

const root = document.querySelector("[data-tester]");
const find = (what, within = root) => within.querySelector(`[data-${what}]`);

// The key -------------------------------------------------------------------------------------------------------

const keyInput = find("key");
const storedKey = () => {
  try {
    return sessionStorage.getItem("mien-key") ?? "";
  } catch {
    return "";
  }
};
const key = () => keyInput?.value.trim() ?? "";
const isKnown = () => isSignedIn || key() !== "";

if (keyInput) {
  keyInput.value = storedKey();
  keyInput.addEventListener("change", () => {
    try {
      sessionStorage.setItem("mien-key", key());
    } catch {
      // It stays in the field.
    }
    tell(find("key-row"), "");
    for (const slot of Object.values(slots)) slot.look();
    update();
  });
}

// Pictures and options ------------------------------------------------------------------------------------------

const credentials = () => ({ key: key(), isKnown: isKnown() });
const slots = Object.fromEntries(
  [...root.querySelectorAll("[data-slot]")].map((place) => [place.dataset.slot, new Slot(place, { credentials, onChange: () => update() })]),
);
const options = find("options");
const option = (name) => options.querySelector(`[name=${name}]`);

for (const slot of Object.values(slots)) {
  const button = slot.find("camera");
  button.hidden = !hasCamera;
  button.addEventListener("click", () => takePicture((file) => slot.take(file)));
}

document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData.files;
  if (!file) return;
  event.preventDefault();
  const focused = Object.values(slots).find((slot) => slot.root.contains(document.activeElement));
  const empty = Object.values(slots).find((slot) => !slot.picture);
  (focused ?? empty ?? slots.image).take(file, file.name || `pasted.${file.type.split("/")[1]}`);
});
// A picture that misses its place must not replace the page.
for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());

options.addEventListener("input", () => {
  const isLossless = options.querySelector("[name=output_format]:checked").value === "png";
  const quality = option("quality");
  quality.disabled = isLossless;
  if (isLossless) quality.value = "";
  quality.placeholder = isLossless ? _("lossless") : _("95 for JPG, 90 for WebP");
  tell(options, "");
  update();
});

function request() {
  const number = (name) => (option(name).value === "" ? null : Number(option(name).value));
  return {
    model: "face-swap",
    image: slots.image.picture,
    face_image: slots.face_image.picture,
    target_index: slots.image.face,
    face_index: slots.face_image.face,
    output_format: options.querySelector("[name=output_format]:checked").value,
    quality: number("quality"),
    max_size: number("max_size"),
  };
}

const sendButton = find("send");
const codes = Object.fromEntries(["curl", "python", "json"].map((id) => [id, document.querySelector(`[data-code=${id}]`)]));

/** Show the request as it would be sent now. */
function update() {
  const wanted = request();
  const address = publicAddress(`/api/v1${FACE_SWAP}`);
  codes.curl.textContent = requests.curl(wanted, address, key() || PLACEHOLDER);
  codes.python.textContent = requests.python(wanted, address, key() || PLACEHOLDER);
  codes.json.textContent = requests.json(wanted);
  const isFile = Boolean(wanted.image?.file || wanted.face_image?.file);
  find("code-hint").textContent = isFile ? _("Files go along as a form. As JSON, their bytes would be in the place of the dots.") : "";
}

// Sending -------------------------------------------------------------------------------------------------------

const progress = find("progress");
const outcome = find("outcome");
const empty = find("empty");
let running = null;

sendButton.addEventListener("click", send);
find("cancel").addEventListener("click", async () => {
  if (running?.taskId) await call("POST", `/tasks/${running.taskId}/cancel`, { key: key() }).catch(() => null);
});

async function send() {
  for (const place of [...Object.values(slots).map((slot) => slot.root), options, find("key-row"), sendButton.parentElement]) tell(place, "");
  const wanted = request();
  if (!check(wanted)) return;
  sendButton.disabled = true;
  running = { taskId: null };
  outcome.hidden = empty.hidden = true;
  showStage("queued");
  progress.hidden = false;
  progress.scrollIntoView({ block: "nearest" });
  const shown = requests.json(wanted);
  try {
    const { data } = await call("POST", FACE_SWAP, { key: key(), ...requests.body(wanted) });
    running.taskId = data.task_id;
    const task = await follow(data.task_id, { key: key(), onStage: showStage });
    if (task.status === "completed") showCompleted(task, wanted, shown);
    else fail(task.error, { shown, answer: task });
  } catch (error) {
    fail(error, { shown, answer: error.answer });
  } finally {
    sendButton.disabled = false;
    progress.hidden = true;
    running = null;
  }
}

/** Whether all that is needed is there; what isn't is said in its place. */
function check(wanted) {
  if (!isKnown()) {
    tell(find("key-row"), _("Enter a key, or sign in."));
    keyInput.focus();
    return false;
  }
  for (const [name, message] of [["image", _("Choose the scene first.")], ["face_image", _("Choose the face first.")]]) {
    if (!wanted[name]) {
      slots[name].fail(message);
      slots[name].find("file").focus();
      return false;
    }
  }
  for (const input of options.querySelectorAll("input")) {
    if (!input.checkValidity()) {
      tell(options, input.validationMessage);
      input.focus();
      return false;
    }
  }
  return true;
}

function showStage(stage) {
  const names = Object.keys(STAGES);
  const reached = names.indexOf(stage);
  const items = names.map((name, number) =>
    element("li", { class: number < reached ? "done" : null, "aria-current": number === reached ? "step" : null, text: STAGES[name] }),
  );
  find("stages").replaceChildren(...items);
  announce(STAGES[stage] ?? "");
}

function showCompleted(task, wanted, shown) {
  const parts = completed(task, wanted.image.preview ?? null, { zoom });
  outcome.replaceChildren(...parts, raw(shown, task));
  outcome.hidden = false;
  announce(_("The swap is done."));
  const picture = outcome.querySelector("[data-result-picture]");
  picture.addEventListener("load", () => remember(task, wanted, history.thumbnail(picture)), { once: true });
}

function raw(shown, answer) {
  const part = (title, text) => element("details", { children: [element("summary", { text: title }), element("pre", { class: "code", tabindex: 0, text })] });
  return element("div", { class: "raw", children: [part(_("What was sent"), shown), part(_("What was answered"), JSON.stringify(answer ?? null, null, 2))] });
}

/** Say what went wrong where it belongs. */
function fail(error, { shown, answer }) {
  empty.hidden = false;
  const field = (error.param ?? "").split(/[.[]/)[0];
  const place = placeOf(error.type, field);
  const more = error.requestId && error.status >= 500 ? ` ${_("Request id: {id}", { id: error.requestId })}` : "";
  tell(place, `${error.message}${more}`);
  if (error.type === "insufficient_credits" && isSignedIn) {
    place.querySelector("[data-problem]").append(" ", element("a", { href: `${document.documentElement.dataset.base}/dashboard/credits`, text: _("Get credits") }));
  }
  place.scrollIntoView({ block: "nearest" });
  outcome.replaceChildren(raw(shown, answer));
  outcome.hidden = false;
}

function placeOf(type, field) {
  if (type === "authentication_error" && keyInput) return find("key-row");
  if (["image", "target_index"].includes(field)) return slots.image.root;
  if (["face_image", "face_images", "face_index"].includes(field)) return slots.face_image.root;
  if (["quality", "max_size", "output_format"].includes(field)) return options;
  return sendButton.parentElement;
}

function tell(place, message) {
  const problem = place && find("problem", place);
  if (!problem) return;
  problem.textContent = message;
  problem.hidden = !message;
}

// Full size -----------------------------------------------------------------------------------------------------

const zoomDialog = document.querySelector("[data-zoom-dialog]");

function zoom(address) {
  zoomDialog.querySelector("img").src = address;
  zoomDialog.showModal();
}
zoomDialog.querySelector("[data-close]").addEventListener("click", () => zoomDialog.close());

// History -------------------------------------------------------------------------------------------------------

const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

function remember(task, wanted, picture) {
  history.add({
    taskId: task.task_id,
    at: Date.now(),
    image: wanted.image.name,
    face: wanted.face_image.name,
    picture,
    address: task.output.image_url,
    expiresAt: task.output.expires_at,
  });
  showHistory();
}

function showHistory() {
  const entries = history.read();
  find("history").hidden = entries.length === 0;
  find("entries").replaceChildren(
    ...entries.map(({ at, image, face, picture, address, expiresAt }) => {
      const isThere = new Date(expiresAt) > new Date();
      const open = isThere ? element("a", { class: "button quiet small", href: onThisSite(address), target: "_blank", rel: "noopener", text: _("Open") }) : element("span", { class: "badge", text: _("Expired") });
      const what = element("span", { class: "what", children: [_("{face} in {image}", { face, image }), element("br"), element("span", { class: "faint", text: moment.format(at) })] });
      return element("li", { children: [element("img", { src: picture, alt: "", width: 56, height: 56 }), what, open] });
    }),
  );
}

find("forget").addEventListener("click", () => {
  history.forget();
  showHistory();
});

showHistory();
update();
