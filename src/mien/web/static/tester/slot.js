// A place for a picture: chosen from samples, dropped, pasted, taken, or given by its address. Its faces are shown as
// numbered boxes, of which one is chosen, or several.

import { base, call, isOurs, onThisSite, publicAddress } from "../api.js";
import { isPicture, sizeOf, watchDrops } from "../files.js";
import { element } from "../parts.js";
import { _, language } from "../texts.js";

const list = new Intl.ListFormat(language);

export class Slot {
  /** `credentials()` gives {key, isKnown}; `onChange` is called when the picture or the faces are others. */
  constructor(root, { credentials, onChange }) {
    this.root = root;
    this.picture = null;
    this.chosen = [0];
    this.credentials = credentials;
    this.onChange = onChange;
    this.find = (what) => root.querySelector(`[data-${what}]`);
    this.find("file").addEventListener("change", (event) => event.target.files[0] && this.take(event.target.files[0]));
    this.find("change").addEventListener("click", () => this.clear({ focus: true }));
    for (const button of root.querySelectorAll("[data-sample]")) {
      button.addEventListener("click", () => this.takeAddress(publicAddress(`/samples/${button.dataset.sample}.jpg`)));
    }
    this.find("address").addEventListener("submit", (event) => {
      event.preventDefault();
      this.takeAddress(event.target.querySelector("input").value.trim());
    });
    this.find("several")?.addEventListener("change", () => this.#choose(this.chosen.slice(0, 1)));
    watchDrops(this.root, this.find("drop"), (file) => this.take(file));
  }

  /** The chosen face, or the first of them. */
  get face() {
    return this.chosen[0];
  }

  /** Whether more than one face can be chosen. */
  get isForSeveral() {
    return this.find("several")?.checked ?? false;
  }

  /** Take a file, with a name for those that have none. */
  take(file, name = file.name || "picture.jpg") {
    if (!isPicture(file)) {
      this.clear();
      this.fail(_("This is no picture. Choose a JPEG, PNG, WebP, AVIF or HEIC."));
      return;
    }
    this.show({ file, name, preview: URL.createObjectURL(file), caption: `${name} · ${sizeOf(file)}` });
  }

  /** Take an address. Pictures of other hosts are never loaded by this page: our server looks at them. */
  takeAddress(address) {
    const preview = isOurs(address) ? onThisSite(address).replace(`${location.origin}${base}`, base) : null;
    const name = address.split("/").pop();
    this.show({ address, name, preview, caption: preview ? name : address });
  }

  clear({ focus = false } = {}) {
    this.picture = null;
    this.#offerSeveral(0);
    this.chosen = [0];
    this.find("chosen").hidden = true;
    this.find("drop").hidden = false;
    this.find("file").value = "";
    this.fail("");
    if (focus) this.find("file").focus();
    this.onChange();
  }

  /** Show what is wrong with the picture; nothing for an empty message. */
  fail(message) {
    const problem = this.find("problem");
    problem.textContent = message;
    problem.hidden = !message;
  }

  show(picture) {
    this.picture = picture;
    this.#offerSeveral(0);
    this.chosen = [0];
    this.fail("");
    this.find("drop").hidden = true;
    this.find("chosen").hidden = false;
    this.find("caption").textContent = picture.caption;
    this.find("faces").textContent = "";
    this.find("stage").replaceChildren();
    if (picture.preview) this.#showPreview(picture, picture.preview);
    this.onChange();
    this.look();
  }

  #showPreview(picture, address) {
    const image = element("img", { src: address, alt: picture.name });
    image.addEventListener("error", () => {
      // HEIC, in most browsers: our server makes a picture of it that they can show.
      image.remove();
      picture.preview = null;
      if (picture === this.picture) this.look();
    });
    this.find("stage").prepend(image);
  }

  /** Ask for the picture's faces, if there is somebody to ask for. */
  async look() {
    const { picture } = this;
    const { key, isKnown } = this.credentials();
    const status = this.find("faces");
    if (!picture) return;
    if (!isKnown) {
      status.textContent = _("With a key, the faces are numbered here.");
      return;
    }
    status.textContent = _("Looking for faces…");
    const annotate = !picture.preview;
    try {
      const { data } = await call("POST", "/images/tools/face-detect", { key, ...question(picture, annotate) });
      if (picture !== this.picture) return;
      if (annotate && data.annotated && !picture.preview) this.#showPreview({ name: picture.name }, onThisSite(data.annotated.image_url));
      picture.faces = data.faces;
      this.#showFaces(data);
    } catch (error) {
      if (picture !== this.picture) return;
      status.textContent = "";
      if (error.type !== "authentication_error") this.fail(error.message);
      this.onChange();
    }
  }

  #showFaces({ width, height, faces }) {
    const stage = this.find("stage");
    for (const old of stage.querySelectorAll(".face")) old.remove();
    for (const { index, box: [left, top, right, bottom], usable, problem } of faces) {
      const label = usable ? _("Face {number}", { number: index }) : _("Face {number} can't be used: {problem}", { number: index, problem });
      const button = element("button", {
        type: "button",
        class: "face",
        title: label,
        "aria-label": label,
        "aria-disabled": String(!usable),
        children: [element("span", { text: String(index), "aria-hidden": "true" })],
        on: { click: () => usable && this.click(index) },
      });
      Object.assign(button.style, {
        left: `${(100 * Math.max(0, left)) / width}%`,
        top: `${(100 * Math.max(0, top)) / height}%`,
        width: `${(100 * (Math.min(right, width) - Math.max(0, left))) / width}%`,
        height: `${(100 * (Math.min(bottom, height) - Math.max(0, top))) / height}%`,
      });
      stage.append(button);
    }
    const usable = faces.filter((face) => face.usable);
    this.#offerSeveral(usable.length);
    this.#choose([usable[0]?.index ?? 0]);
  }

  /** Let several be chosen where there are so many. */
  #offerSeveral(count) {
    const row = this.find("several-row");
    if (!row) return;
    row.hidden = count < 2;
    if (count < 2) this.find("several").checked = false;
  }

  /** A click on a box chooses that one alone; where there may be several, it adds or removes it. */
  click(index) {
    if (!this.isForSeveral) this.#choose([index]);
    else if (!this.chosen.includes(index)) this.#choose([...this.chosen, index].sort((a, b) => a - b));
    else if (this.chosen.length > 1) this.#choose(this.chosen.filter((one) => one !== index));
  }

  #choose(indexes) {
    this.chosen = indexes;
    const faces = this.picture?.faces ?? [];
    this.find("stage").querySelectorAll(".face").forEach((button, number) => {
      button.setAttribute("aria-pressed", String(indexes.includes(number) && faces[number].usable));
    });
    this.#say(faces);
    this.onChange();
  }

  #say(faces) {
    const status = this.find("faces");
    const [only] = faces;
    const chosen = list.format(this.chosen.map(String));
    status.textContent = "";
    if (faces.length === 0) this.fail(_("No face was found in this picture. Choose one that shows a face clearly."));
    else if (!faces.some((face) => face.usable)) this.fail(only.problem);
    else if (faces.length === 1) status.textContent = _("One face was found.");
    else if (this.isForSeveral) status.textContent = _("{count} faces were found. Chosen: {chosen}. Click a box to add or remove it.", { count: faces.length, chosen });
    else status.textContent = _("{count} faces were found. Number {chosen} is chosen; click another to change that.", { count: faces.length, chosen });
  }
}

function question({ file, name, address }, annotate) {
  if (!file) return { json: { image: address, annotate } };
  const form = new FormData();
  form.append("image", file, name);
  form.append("annotate", String(annotate));
  return { body: form };
}
