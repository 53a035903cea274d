// A place for the face that is put in: of one picture, or of several of the same person.

import { element } from "../parts.js";
import { _ } from "../texts.js";
import { isPicture } from "../files.js";
import { Slot } from "./slot.js";

const MOST = 5; // pictures of one person

export class FaceSlot extends Slot {
  constructor(root, options) {
    super(root, options);
    this.views = [];
    const more = this.find("more");
    more.addEventListener("change", () => {
      this.#add([...more.files]);
      more.value = "";
    });
  }

  /** All of the person's pictures. */
  get pictures() {
    return this.picture ? [this.picture, ...this.views] : [];
  }

  /** Say which face of the scene it's for, if there are several. */
  name(index) {
    this.find("title").textContent = index === null ? _("The face") : _("The face for number {number}", { number: index });
  }

  show(picture) {
    this.#setViews([]);
    super.show(picture);
  }

  clear(options) {
    this.#setViews([]);
    super.clear(options);
  }

  #add(files) {
    const pictures = files.filter(isPicture).map((file) => ({ file, name: file.name, preview: URL.createObjectURL(file) }));
    this.#setViews([...this.views, ...pictures].slice(0, MOST - 1));
    this.onChange();
  }

  #setViews(views) {
    this.views = views;
    this.find("views").replaceChildren(...views.map((view) => this.#item(view)));
    this.find("more-label").hidden = views.length >= MOST - 1;
  }

  #item(view) {
    const image = element("img", { src: view.preview, alt: view.name, width: 52, height: 52 });
    const remove = () => {
      this.#setViews(this.views.filter((one) => one !== view));
      this.onChange();
      this.find("more").focus();
    };
    const button = element("button", { type: "button", "aria-label": _("Remove {name}", { name: view.name }), text: "×", on: { click: remove } });
    return element("li", { children: [image, button] });
  }
}
