// The API tester: from two pictures to a result, with everything that is sent and answered in sight.

import { base, call, isDemo, isSignedIn, onThisSite, publicAddress } from "../api.js";
import { watchPastes } from "../files.js";
import { announce, element } from "../parts.js";
import { _, language } from "../texts.js";
import { hasCamera, takePicture } from "./camera.js";
import { FaceSlot } from "./face.js";
import { follow } from "./follow.js";
import * as history from "./history.js";
import { completed } from "./outcome.js";
import * as requests from "./request.js";
import { Slot } from "./slot.js";

const STAGES = {
  queued: _("Waiting for its turn"),
  fetching: _("Fetching the pictures"),
  detecting: _("Finding the faces"),
  swapping: _("Swapping"),
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
const isKnown = () => isSignedIn || key() !== "" || isDemo();

if (keyInput) {
  keyInput.value = storedKey();
  // What moves others is done while it's typed: a click elsewhere, which changes it, must find what it meets.
  keyInput.addEventListener("input", () => {
    tell(find("key-row"), "");
    for (const slot of allSlots()) slot.find("address").hidden = isDemo(key());
  });
  keyInput.addEventListener("change", () => {
    try {
      sessionStorage.setItem("mien-key", key());
    } catch {
      // It stays in the field.
    }
    for (const slot of allSlots()) if (!slot.picture?.faces) slot.look();
    update();
  });
}

// Pictures ------------------------------------------------------------------------------------------------------

const credentials = () => ({ key: key(), isKnown: isKnown() });
const scenePlace = root.querySelector("[data-slot=image]");
const facePlace = root.querySelector("[data-slot=face_image]");
const emptyFacePlace = facePlace.cloneNode(true);

const scene = prepared(new Slot(scenePlace, { credentials, onChange: () => matchFaces() }));
let made = 1;
/** For each chosen face of the scene the place of the face that is put in, in the same order. */
let faces = [{ target: 0, slot: prepared(new FaceSlot(facePlace, { credentials, onChange: () => update() })) }];

function allSlots() {
  return [scene, ...faces.map(({ slot }) => slot)];
}

function prepared(slot) {
  const button = slot.find("camera");
  button.hidden = !hasCamera;
  button.addEventListener("click", () => takePicture((file) => slot.take(file)));
  slot.find("address").hidden = isDemo(key());
  return slot;
}

function newFaceSlot() {
  const place = emptyFacePlace.cloneNode(true);
  made += 1;
  for (const part of [place, ...place.querySelectorAll("*")]) {
    for (const name of ["id", "for", "aria-labelledby", "aria-describedby"]) {
      const value = part.getAttribute(name);
      if (value) part.setAttribute(name, value.replaceAll("face_image-", `face_image-${made}-`));
    }
  }
  scenePlace.parentElement.append(place);
  return prepared(new FaceSlot(place, { credentials, onChange: () => update() }));
}

/** Have a place for each face that is chosen in the scene: one that stays chosen keeps its own. */
function matchFaces() {
  const isFor = (index) => faces.find(({ target }) => target === index);
  const spare = faces.filter(({ target }) => !scene.chosen.includes(target));
  faces = scene.chosen.map((target) => isFor(target) ?? { target, slot: spare.shift()?.slot ?? newFaceSlot() });
  for (const { slot } of spare) slot.root.remove();
  for (const { target, slot } of faces) slot.name(faces.length > 1 ? target : null);
  scenePlace.parentElement.classList.toggle("several", faces.length > 1);
  const places = faces.map(({ slot }) => slot.root);
  if (places.some((place, number) => place !== scenePlace.parentElement.children[number + 1])) scenePlace.parentElement.append(...places);
  update();
}

watchPastes((file, name) => {
  const focused = allSlots().find((slot) => slot.root.contains(document.activeElement));
  const empty = allSlots().find((slot) => !slot.picture);
  (focused ?? empty ?? scene).take(file, name);
});

// Options -------------------------------------------------------------------------------------------------------

const options = find("options");
const option = (name) => options.querySelector(`[name=${name}]`);
const consent = find("consent");

options.addEventListener("input", () => {
  const isLossless = options.querySelector("[name=output_format]:checked").value === "png";
  const quality = option("quality");
  quality.disabled = isLossless;
  if (isLossless) quality.value = "";
  quality.placeholder = isLossless ? _("lossless") : _("95 for JPG, 90 for WebP");
  tell(options, "");
  update();
});
consent.addEventListener("change", () => {
  tell(find("consent-row"), "");
  update();
});

function request() {
  const number = (name) => (option(name).value === "" ? null : Number(option(name).value));
  const label = option("label").checked;
  return {
    model: "face-swap",
    image: scene.picture,
    swaps: faces.map(({ target, slot }) => ({ target_index: target, face_index: slot.face, pictures: slot.pictures })),
    output_format: options.querySelector("[name=output_format]:checked").value,
    quality: number("quality"),
    max_size: number("max_size"),
    label,
    label_language: label && language !== "en" ? language : null,
    exif: option("exif").value,
    // What was agreed to is kept as it was read.
    consent: consent.checked ? find("consent-text").textContent.trim() : null,
  };
}

const sendButton = find("send");
const codes = Object.fromEntries(["curl", "python", "json"].map((id) => [id, document.querySelector(`[data-code=${id}]`)]));

/** Show the request as it would be sent now, and what it costs. */
function update() {
  const wanted = request();
  const address = publicAddress(`/api/v1${FACE_SWAP}`);
  codes.curl.textContent = requests.curl(wanted, address, key() || PLACEHOLDER);
  codes.python.textContent = requests.python(wanted, address, key() || PLACEHOLDER);
  codes.json.textContent = requests.json(wanted);
  const isFile = [wanted.image, ...wanted.swaps.flatMap(({ pictures }) => pictures)].some((picture) => picture?.file);
  find("code-hint").textContent = isFile ? _("Files go along as a form. As JSON, their bytes would be in the place of the dots.") : "";
  sendButton.textContent = faces.length > 1 ? _("Swap {count} faces", { count: faces.length }) : _("Swap the face");
  find("send-hint").textContent = price(faces.length);
}

function price(count) {
  const credits = count * Number(root.dataset.price);
  if (isDemo(key())) return _("Free in the demo");
  if (credits === 0) return _("Free on this service");
  return count > 1 ? _("{credits} credits for {count} faces, if it works", { credits, count }) : _("{credits} credits, if it works", { credits });
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
  for (const place of [...allSlots().map((slot) => slot.root), options, find("consent-row"), find("key-row"), sendButton.parentElement]) tell(place, "");
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
  for (const slot of allSlots()) {
    if (!slot.picture) {
      slot.fail(slot === scene ? _("Choose the scene first.") : _("Choose the face first."));
      slot.find("file").focus();
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
  if (!consent.checked) {
    tell(find("consent-row"), _("Confirm this first. If they don't agree, take pictures of people who do."));
    consent.focus();
    return false;
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
  const parts = completed(task, wanted, { zoom });
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
  const place = placeOf(error.type, error.param ?? "");
  const more = error.requestId && error.status >= 500 ? ` ${_("Request id: {id}", { id: error.requestId })}` : "";
  // Hours, not moments: it's the demo that is used up.
  const isUsedUp = isDemo(key()) && error.type === "rate_limited" && error.retryAfter > 60;
  tell(place, isUsedUp ? _("The demo gives no more swaps today.") : `${error.message}${more}`);
  const wayOut = error.type === "insufficient_credits" && isSignedIn ? ["/dashboard/credits", _("Get credits")] : isUsedUp ? wayIn() : null;
  if (wayOut) find("problem", place).append(" ", element("a", { href: base + wayOut[0], text: wayOut[1] }));
  place.scrollIntoView({ block: "nearest" });
  outcome.replaceChildren(raw(shown, answer));
  outcome.hidden = false;
}

const wayIn = () => ("signup" in root.dataset ? ["/sign-up", _("Sign up to go on")] : ["/sign-in", _("Sign in to go on")]);

/** Where a refusal of a field is shown, such as `face_images[1]`, `swaps[1].face_image` or `quality`. */
function placeOf(type, param) {
  if (type === "authentication_error" && keyInput) return find("key-row");
  const [, number = 0, field] = /^(?:swaps\[(\d+)\]\.)?(\w*)/.exec(param);
  if (["image", "target_index"].includes(field)) return scene.root;
  if (["face_image", "face_images", "face_index"].includes(field)) return (faces[number] ?? faces[0]).slot.root;
  if (["quality", "max_size", "output_format", "label", "exif"].includes(field)) return options;
  if (field === "consent") return find("consent-row");
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
    face: wanted.swaps.map(({ pictures }) => pictures[0].name).join(", "),
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
