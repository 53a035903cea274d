// Fills the visitor's own key into the examples. It is kept in this tab, where the tester finds it, too.

const PLACEHOLDER = "YOUR_KEY";

const field = document.querySelector("[data-own-key]");
const input = field.querySelector("input");
const places = [];

for (const example of document.querySelectorAll("[data-example]")) {
  const walker = document.createTreeWalker(example, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (walker.currentNode.data.includes(PLACEHOLDER)) places.push([walker.currentNode, walker.currentNode.data]);
  }
}

function fill() {
  const key = input.value.trim() || PLACEHOLDER;
  for (const [node, text] of places) node.data = text.replaceAll(PLACEHOLDER, key);
}

try {
  input.value = sessionStorage.getItem("mien-key") ?? "";
} catch {
  // Storage is switched off.
}
input.addEventListener("input", () => {
  try {
    sessionStorage.setItem("mien-key", input.value.trim());
  } catch {
    // It stays in the field.
  }
  fill();
});
field.hidden = false;
fill();
