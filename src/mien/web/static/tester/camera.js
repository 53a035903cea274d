// Takes a picture with the camera, in a dialog.

import { _ } from "../texts.js";

const dialog = document.querySelector("[data-camera-dialog]");
const video = dialog.querySelector("video");
const problem = dialog.querySelector("[data-problem]");
const shoot = dialog.querySelector("[data-shoot]");

export const hasCamera = Boolean(navigator.mediaDevices?.getUserMedia);

let give = () => {};
let stream = null;

/** Open the dialog; `onPicture` gets a JPEG file if one is taken. */
export async function takePicture(onPicture) {
  give = onPicture;
  problem.hidden = true;
  shoot.disabled = true;
  dialog.showModal();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 1920 } } });
    if (!dialog.open) {
      stop();
      return;
    }
    video.srcObject = stream;
  } catch {
    problem.textContent = _("The camera can't be used. Allow it in the browser, or choose a file.");
    problem.hidden = false;
  }
}

function stop() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  video.srcObject = null;
}

// Before its first frame a video is 0 × 0 pixels.
video.addEventListener("loadeddata", () => {
  shoot.disabled = false;
});
shoot.addEventListener("click", () => {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  canvas.toBlob((blob) => give(new File([blob], "camera.jpg", { type: "image/jpeg" })), "image/jpeg", 0.95);
  dialog.close();
});
dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
dialog.addEventListener("close", stop);
