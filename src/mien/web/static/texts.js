// Every text that scripts show goes through _(), whose English is the key.

const address = document.documentElement.dataset.texts;
const texts = address ? await fetch(address).then((answer) => (answer.ok ? answer.json() : {})) : {};

/** The text in the page's language, with {name} filled in from `values`. */
export function _(text, values = {}) {
  return (texts[text] || text).replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole));
}

export const language = document.documentElement.lang;
