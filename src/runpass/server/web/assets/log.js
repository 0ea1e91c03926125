// Follows a deployment's log: draws lines as they come, as `deployments/_lines.html` draws them.
// SECURITY: what a job printed becomes text nodes, never HTML; class names and links come from the server alone.
"use strict";

const MOST_LINES = 3000; // of one step: the oldest go first, and stay to be read on pages of their own
const steps = document.getElementById("steps");
const said = document.getElementById("live");
const followed = document.getElementById("follow");
const known = new Map(); // by the step's name: what is drawn of it

for (const step of steps.querySelectorAll("details.step")) known.set(step.dataset.step, step);

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

/** Draw a step that began after the page was drawn. */
function newStep(state) {
  document.getElementById("nothing-yet")?.remove();
  const step = element("details", "step");
  step.id = state.anchor;
  step.dataset.step = state.name;
  step.open = true;
  const summary = element("summary");
  summary.append(element("strong", "", state.name), " ", element("span", "quiet", state.words));
  const log = element("div", "log");
  log.tabIndex = 0;
  log.setAttribute("role", "region");
  log.setAttribute("aria-label", `Log of ${state.name}`);
  step.append(summary, log);
  known.set(state.name, step);
  return step;
}

function drawLine(line) {
  const kinds = { error: "line error-line", system: "line system-line" };
  const drawn = element("div", kinds[line.level] ?? "line");
  drawn.id = line.anchor;
  const number = element("a", "number", String(line.number));
  number.href = line.href;
  const text = element("span", "text");
  for (const [part, classes] of line.pieces) text.append(classes ? element("span", classes, part) : part);
  drawn.append(number, text);
  return drawn;
}

/** Take the oldest lines away. "Earlier lines" leads to them, whether it was there before or not. */
function shorten(step, log) {
  while (log.childElementCount > MOST_LINES) log.firstElementChild.remove();
  const number = log.querySelector("a.number");
  const earlier = new URL(number.href);
  earlier.searchParams.delete("line");
  earlier.searchParams.set("before", number.textContent);
  earlier.hash = step.id;
  let link = step.querySelector("summary + p > a");
  if (!link) {
    link = element("a", "", "Earlier lines");
    const place = element("p");
    place.append(link);
    step.querySelector("summary").after(place);
  }
  link.href = earlier.pathname + earlier.search + earlier.hash;
}

/** Keep the end in sight while the reader follows. */
function keepUp() {
  if (followed.checked) scrollTo({ top: document.documentElement.scrollHeight });
}

function drawLines(lines) {
  const news = new Map();
  for (const line of lines) {
    if (!news.has(line.step)) news.set(line.step, document.createDocumentFragment());
    news.get(line.step).append(drawLine(line));
  }
  for (const [name, drawn] of news) {
    const step = known.get(name);
    const log = step?.querySelector(".log");
    if (!log) continue;
    if (log.childElementCount === 0) step.open = true; // it had nothing to show until now
    log.append(drawn);
    if (log.childElementCount > MOST_LINES) shorten(step, log);
    step.querySelector(".nothing")?.remove();
  }
  seek();
  keepUp();
}

let lastWords = null;

function drawState(state) {
  for (const each of state.steps) {
    const step = known.get(each.name) ?? newStep(each);
    const words = step.querySelector("summary span");
    words.textContent = each.words;
    words.className = each.wrong ? "problem-text" : "quiet";
    steps.append(step); // in the order of the steps
  }
  const words = JSON.stringify(state);
  if (words !== lastWords) document.body.dispatchEvent(new Event("runpass:changed"));
  lastWords = words;
  keepUp();
}

/** Say when Vault tokens end now: they were renewed. */
function drawTokens(tokens) {
  for (const { login, until, renewed } of tokens) {
    const ends = document.querySelector(`[data-ends="${CSS.escape(login)}"]`);
    if (!ends) continue;
    const time = ends.querySelector("time");
    time.dateTime = until;
    time.textContent = until;
    delete time.dataset.local;
    localTimes(ends);
    ends.querySelector("[data-until]").dataset.until = until;
    document.querySelector(`[data-renewed="${CSS.escape(login)}"]`).textContent = renewed;
  }
}

function follow(path) {
  const source = new EventSource(path);
  source.addEventListener("open", () => { said.textContent = "This page follows the deployment."; });
  source.addEventListener("state", (event) => drawState(JSON.parse(event.data)));
  source.addEventListener("tokens", (event) => drawTokens(JSON.parse(event.data).tokens));
  source.addEventListener("lines", (event) => drawLines(JSON.parse(event.data).lines));
  source.addEventListener("over", (event) => {
    source.close();
    const over = JSON.parse(event.data);
    said.textContent = over.text;
    said.dataset.why = over.why;
    if (over.why === "ended") document.body.dispatchEvent(new Event("runpass:changed"));
  });
  source.addEventListener("error", () => {
    said.textContent = source.readyState === EventSource.CLOSED
      ? "This page does not follow the deployment. Load it again to see what is new."
      : "The connection was lost. The page tries again.";
  });
}

// Search in what is on the page: the lines that hold the text are marked, Enter goes from one to the next.
const sought = document.getElementById("seek");
const counted = document.getElementById("seek-count");
let place = -1;

function seek() {
  const text = sought.value.toLowerCase();
  let number = 0;
  for (const line of steps.querySelectorAll(".line")) {
    const holds = text !== "" && line.lastElementChild.textContent.toLowerCase().includes(text);
    if (holds) number += 1;
    if (holds !== line.classList.contains("found")) line.classList.toggle("found", holds);
  }
  counted.textContent = text === "" ? "" : `${number} on this page`;
}

sought.addEventListener("input", () => { place = -1; seek(); });
sought.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  const lines = steps.querySelectorAll(".line.found");
  if (lines.length === 0) return;
  place = (place + 1) % lines.length;
  followed.checked = false;
  lines[place].closest("details").open = true;
  lines[place].scrollIntoView({ block: "center" });
});

document.getElementById("live-tools").hidden = false;
// Whoever scrolls up reads; whoever comes back to the end follows again.
addEventListener("wheel", (event) => { if (event.deltaY < 0) followed.checked = false; }, { passive: true });
addEventListener("keydown", (event) => { if (["PageUp", "ArrowUp", "Home"].includes(event.key)) followed.checked = false; });
addEventListener("touchmove", () => { followed.checked = false; }, { passive: true });
addEventListener("scroll", () => {
  if (innerHeight + scrollY >= document.documentElement.scrollHeight - 4) followed.checked = Boolean(steps.dataset.events);
}, { passive: true });
if (steps.dataset.events) follow(steps.dataset.events);
