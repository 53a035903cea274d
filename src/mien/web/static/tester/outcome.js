// Shows how a task ended.

import { onThisSite } from "../api.js";
import { compare } from "../compare.js";
import { element } from "../parts.js";
import { _, language } from "../texts.js";

const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
const decimal = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });
const WARNINGS = Object.fromEntries([...document.querySelectorAll("template[data-warning]")].map((text) => [text.dataset.warning, text.content.textContent]));

/** The parts of a completed task: picture, reports, downloads. */
export function completed(task, wanted, { zoom }) {
  const address = onThisSite(task.output.image_url);
  const result = element("img", { src: address, alt: _("The result"), width: task.output.width, height: task.output.height, "data-result-picture": true });
  const before = wanted.image.preview;
  const several = task.reports.length > 1;
  return [
    before ? comparison(before, result) : element("div", { class: "plain-frame", children: [result] }),
    element("div", {
      class: "cluster",
      children: [
        element("a", { class: "button", href: address, download: `face-swap.${task.output.format}`, text: _("Download"), "data-download": true }),
        element("button", { type: "button", class: "button quiet", text: _("Full size"), on: { click: () => zoom(address) } }),
      ],
    }),
    ...task.reports.map((report, number) => assessment(report, several ? wanted.swaps[number].target_index : null)),
    facts(task),
  ];
}

function comparison(before, result) {
  const frame = element("div", {
    class: "compare",
    children: [
      element("img", { src: before, alt: _("The original"), width: result.width, height: result.height }),
      result,
      element("span", { class: "tag before", text: _("Before") }),
      element("span", { class: "tag after", text: _("After") }),
      element("input", { type: "range", min: 0, max: 100, value: 50, "aria-label": _("Share of the picture that shows the state before") }),
      element("span", { class: "handle" }),
    ],
  });
  compare(frame);
  return frame;
}

/** How well one face went, in figures and in words; `index` is its number if there are several. */
function assessment(report, index) {
  const heading = index === null ? [] : [element("h3", { text: _("Face {number}", { number: index }) })];
  const [word, meaning] = quality(report.quality);
  const rows = [
    [_("Expected quality"), `${word} (${percent.format(report.quality)})`],
    [_("Likeness to the face"), percent.format(Math.max(0, report.similarity_to_source))],
  ];
  const told = sentences(report).map((sentence) => element("li", { text: sentence }));
  const warnings = told.length > 0 ? [element("ul", { class: "notice warning", children: told })] : [];
  return element("section", { class: "assessment", children: [...heading, terms(rows), element("p", { class: "hint", text: meaning }), ...warnings] });
}

function quality(value) {
  if (value >= 0.6) return [_("Good"), _("It should look natural.")];
  if (value >= 0.4) return [_("Fair"), _("Who looks closely may see that it was changed.")];
  return [_("Poor"), _("It will look changed. Another face picture may help.")];
}

/** The warnings in the page's language; one that it doesn't know as the service said it. */
function sentences({ warnings, warning_codes = [], ...measured }) {
  const strangers = [...(measured.strangers ?? [])];
  return warnings.map((said, number) => {
    const code = warning_codes[number];
    const values = {
      number: code === "stranger" ? strangers.shift() + 1 : null,
      mirrored: percent.format(measured.mirrored),
      covered: percent.format(measured.covered),
      degrees: Math.round(measured.pose_gap),
      times: decimal.format(measured.resolution_gap),
    };
    return code in WARNINGS ? WARNINGS[code].replace(/\{(\w+)\}/g, (_whole, name) => values[name]) : said;
  });
}

function facts({ output, timings, credits }) {
  const seconds = Object.values(timings ?? {}).reduce((sum, each) => sum + each, 0) / 1000;
  const rows = [[_("Size"), `${output.width} × ${output.height}`]];
  if (seconds) rows.push([_("Time"), `${decimal.format(seconds)} s`]);
  rows.push([_("Credits"), String(credits.charged)]);
  return terms(rows);
}

function terms(rows) {
  const children = rows.map(([name, value]) => element("div", { children: [element("dt", { text: name }), element("dd", { text: value })] }));
  return element("dl", { class: "measures", children });
}
