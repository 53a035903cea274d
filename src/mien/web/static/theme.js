// Before anything is painted: that there are scripts, and the theme that was chosen here.
(() => {
  document.documentElement.dataset.scripts = "";
  let chosen = null;
  try {
    chosen = localStorage.getItem("mien-theme");
  } catch {
    // Storage is switched off: the system's theme it is.
  }
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
