// Two pictures of the same size on top of each other, and a slider between them.
//
//     <div class="compare" data-compare>
//       <img …before> <img …after> <input type="range" min="0" max="100" value="50" aria-label="…">
//     </div>

/** Let the slider of a comparison move the edge between its pictures. */
export function compare(frame) {
  const slider = frame.querySelector("input[type=range]");
  const show = () => frame.style.setProperty("--edge", `${slider.value}%`);
  slider.addEventListener("input", show);
  show();
}

export function watchComparisons() {
  for (const frame of document.querySelectorAll("[data-compare]")) compare(frame);
}
