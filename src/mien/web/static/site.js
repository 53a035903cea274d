// What every page has: the theme's switch, the menu, sign-out, copying, tabs, comparing.

import { base, call, isSignedIn } from "./api.js";
import { watchComparisons } from "./compare.js";
import { watchCopyButtons, watchTabs } from "./parts.js";

const root = document.documentElement;

const themeSwitch = document.querySelector("[data-theme-switch]");
themeSwitch.addEventListener("click", () => {
  const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = isDark ? "light" : "dark";
  try {
    localStorage.setItem("mien-theme", root.dataset.theme);
  } catch {
    // It stays for this page.
  }
});

for (const button of document.querySelectorAll("[data-sign-out]")) {
  button.addEventListener("click", async () => {
    await call("POST", "/auth/sign-out").catch(() => null);
    location.assign(`${base}/`);
  });
}

// A page that the browser kept shows who was signed in then. Once they have left, it is asked for again.
window.addEventListener("pageshow", async (event) => {
  if (!event.persisted || !isSignedIn) return;
  await call("GET", "/auth/session").catch((refusal) => refusal.status === 401 && location.reload());
});

const menu = document.querySelector(".top-menu");
document.addEventListener("click", (event) => {
  if (!menu.contains(event.target)) menu.open = false;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && menu.open) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

watchCopyButtons();
watchTabs();
watchComparisons();
