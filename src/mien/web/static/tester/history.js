// What was made in this browser, kept by it alone.

const KEY = "mien-history";
const MOST = 20;

export function read() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return [];
  }
}

export function add(entry) {
  write([entry, ...read()].slice(0, MOST));
}

export function forget() {
  write([]);
}

function write(entries) {
  try {
    localStorage.setItem(KEY, JSON.stringify(entries));
  } catch {
    // Storage is full or switched off: then there is no history.
  }
}

/** A small copy of a picture that the browser has loaded, as a data: address. */
export function thumbnail(image, size = 112) {
  const canvas = document.createElement("canvas");
  const scale = size / Math.min(image.naturalWidth, image.naturalHeight);
  canvas.width = canvas.height = size;
  const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
  canvas.getContext("2d").drawImage(image, (size - width) / 2, (size - height) / 2, width, height);
  return canvas.toDataURL("image/jpeg", 0.8);
}
