// Shows how a task ended.

import { onThisSite } from "../api.js";
import { compare } from "../compare.js";
import { element } from "../parts.js";
import { _, language } from "../texts.js";

const percent = new Intl.NumberFormat(language, { style: "percent", maximumFractionDigits: 0 });
const decimal = new Intl.NumberFormat(language, { maximumFractionDigits: 1 });

/** The parts of a completed task: picture, report, downloads. `before` is an address to compare with, or null. */
export function completed(task, before, { zoom }) {
  const address = onThisSite(task.output.image_url);
  const result = element("img", { src: address, alt: _("The result"), width: task.output.width, height: task.output.height, "data-result-picture": true });
  return [
    before ? comparison(before, result) : element("div", { class: "plain-frame", children: [result] }),
    element("div", {
      class: "cluster",
      children: [
        element("a", { class: "button", href: address, download: `face-swap.${task.output.format}`, text: _("Download"), "data-download": true }),
        element("button", { type: "button", class: "button quiet", text: _("Full size"), on: { click: () => zoom(address) } }),
      ],
    }),
    measures(task),
    ...warnings(task.report?.warnings ?? []),
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

function measures({ report, output, timings, credits }) {
  const seconds = Object.values(timings ?? {}).reduce((sum, each) => sum + each, 0) / 1000;
  const rows = [];
  if (report) {
    const { quality } = report;
    const word = quality >= 0.7 ? _("Good") : quality >= 0.4 ? _("Fair") : _("Poor");
    rows.push([_("Expected quality"), `${word} (${percent.format(quality)})`]);
    rows.push([_("Likeness to the face"), percent.format(Math.max(0, report.similarity_to_source))]);
  }
  rows.push([_("Size"), `${output.width} × ${output.height}`]);
  if (seconds) rows.push([_("Time"), `${decimal.format(seconds)} s`]);
  rows.push([_("Credits"), String(credits.charged)]);
  const terms = rows.map(([name, value]) => element("div", { children: [element("dt", { text: name }), element("dd", { text: value })] }));
  return element("dl", { class: "measures", children: terms });
}

function warnings(sentences) {
  if (sentences.length === 0) return [];
  return [element("ul", { class: "notice warning", children: sentences.map((sentence) => element("li", { text: sentence })) })];
}
