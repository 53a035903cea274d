// Putting one's face on the list of those that aren't swapped, and taking it off again.

import { call, handleForm } from "./api.js";
import { element } from "./parts.js";
import { hasCamera, takePicture } from "./tester/camera.js";
import { _ } from "./texts.js";

const form = document.querySelector("[data-register]");
const removal = document.querySelector("[data-remove]");
let pictures = [];

if (form) watchPictures();

function watchPictures() {
  const most = Number(form.dataset.most);
  const drop = form.querySelector("[data-drop]");
  const input = form.querySelector("[data-file]");
  const camera = form.querySelector("[data-camera]");

  const add = (files) => {
    pictures = [...pictures, ...[...files].filter((file) => !file.type || file.type.startsWith("image/"))].slice(0, most);
    show();
  };
  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });
  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    add(event.dataTransfer.files);
  });
  camera.hidden = !hasCamera;
  camera.addEventListener("click", () => takePicture((file) => add([file])));

  handleForm(form, async ({ note }) => {
    const body = new FormData();
    for (const picture of pictures) body.append("images", picture, picture.name);
    if (note) body.append("note", note);
    try {
      registered((await call("POST", form.dataset.path, { body })).data);
    } catch (error) {
      const [, number] = /^images\[(\d+)\]$/.exec(error.param ?? "") ?? [];
      form.querySelectorAll("[data-pictures] li")[number]?.setAttribute("aria-invalid", "true");
      throw error;
    }
  });
}

function show() {
  const items = pictures.map((picture, index) => {
    const name = _("Picture {number}", { number: index + 1 });
    const image = element("img", { src: URL.createObjectURL(picture), alt: name });
    image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
    const remove = element("button", {
      type: "button",
      text: "×",
      "aria-label": _("Leave out picture {number}", { number: index + 1 }),
      on: {
        click: () => {
          pictures = pictures.filter((one) => one !== picture);
          show();
          form.querySelector("[data-file]").focus();
        },
      },
    });
    return element("li", { children: [image, remove] });
  });
  form.querySelector("[data-pictures]").replaceChildren(...items);
  form.querySelector("[data-send]").disabled = pictures.length === 0;
}

function registered({ face_id: id, removal_secret: secret }) {
  const section = document.querySelector("[data-registered]");
  document.getElementById("face-id").textContent = id;
  document.getElementById("removal-secret").textContent = secret;
  form.hidden = true;
  section.hidden = false;
  section.focus();
}

handleForm(removal, async ({ face_id: id, removal_secret: secret }) => {
  removal.querySelector("[data-done]").hidden = true;
  await call("DELETE", `/do-not-swap/${encodeURIComponent(id.trim())}`, { headers: { "X-Removal-Secret": secret.trim() } });
  removal.reset();
  removal.querySelector("[data-done]").hidden = false;
});
