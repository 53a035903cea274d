// Pictures that somebody chooses, drops or pastes.

/** `take` gets the first file that is dropped on `root`; `drop`, a part of it, shows where. */
export function watchDrops(root, drop, take) {
  root.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  root.addEventListener("dragleave", () => drop.classList.remove("over"));
  root.addEventListener("drop", (event) => {
    event.preventDefault();
    event.stopPropagation();
    drop.classList.remove("over");
    const [file] = event.dataTransfer.files;
    if (file) take(file);
  });
  // A picture that misses its place must not replace the page.
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
}

/** `take` gets the first file that is pasted into the page, and a name for it. */
export function watchPastes(take) {
  document.addEventListener("paste", (event) => {
    const [file] = event.clipboardData.files;
    if (!file) return;
    event.preventDefault();
    take(file, file.name || `pasted.${file.type.split("/")[1]}`);
  });
}

export function isPicture(file) {
  return !file.type || file.type.startsWith("image/");
}

export function sizeOf(file) {
  return file.size < 1e6 ? `${Math.ceil(file.size / 1e3)} kB` : `${(file.size / 1e6).toFixed(1)} MB`;
}
