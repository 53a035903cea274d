// Comfort for the dashboard and the administration; all of it works without.

// On a phone the links scroll: the page's own is in sight.
document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

// Times are written in UTC: say them as the visitor's clock does, and keep UTC for who points at them.
for (const time of document.querySelectorAll("time[data-local]")) {
  const moment = new Date(time.dateTime);
  time.title = time.textContent;
  time.textContent = moment.toLocaleString(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short" });
}

// What was just done is said once, not again when the page is loaded again.
if (document.querySelector("[data-done]")) {
  const address = new URL(location.href);
  address.searchParams.delete("done");
  history.replaceState(null, "", address);
}

for (const form of document.querySelectorAll("[data-submit-on-change]")) {
  form.addEventListener("change", (event) => {
    if (event.target.matches("select")) form.requestSubmit();
  });
}

// One question at a time, and Escape takes it back.
const questions = [...document.querySelectorAll(".confirm")];
for (const question of questions) {
  question.addEventListener("toggle", () => {
    if (question.open) for (const other of questions) if (other !== question) other.open = false;
  });
}
document.addEventListener("keydown", (event) => {
  const open = questions.find((question) => question.open);
  if (event.key !== "Escape" || !open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
document.addEventListener("click", (event) => {
  for (const question of questions) if (!question.contains(event.target)) question.open = false;
});

// Nobody orders twice by clicking twice.
for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", (event) => {
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "yes";
  });
}
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// A task in progress: load the page again when it has ended.
const followed = document.querySelector("[data-follow]");
if (followed) {
  const events = new EventSource(followed.dataset.follow);
  for (const end of ["completed", "failed", "canceled"]) {
    events.addEventListener(end, () => {
      events.close();
      location.reload();
    });
  }
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
