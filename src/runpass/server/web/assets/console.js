// What pages gain from a script: times where the reader is, copying, and asking before something is ended.
// Every page works without it. It reads `data-` attributes, and writes text, never HTML.
"use strict";

/** Show moments in the reader's own time zone, which is named; UTC stays to be read on hover and by screen readers. */
function localTimes(within) {
  for (const time of within.querySelectorAll("time[datetime]:not([data-local])")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    time.dataset.local = "";
    time.title = time.textContent;
    time.textContent = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" }).format(at);
  }
}

/** Show how long it is until a moment, second by second: `<span data-until="…">`. */
function countDown() {
  for (const span of document.querySelectorAll("[data-until]")) {
    const left = Math.round((new Date(span.dataset.until) - Date.now()) / 1000);
    if (Number.isNaN(left)) continue;
    const minutes = Math.floor(left / 60);
    span.textContent = left <= 0 ? "over" : minutes ? `${minutes} min ${left % 60} s` : `${left} s`;
  }
}

/** Give each `data-copies="<id>"` button its work; without a script it is not shown. */
function copyButtons(within) {
  for (const button of within.querySelectorAll("button[data-copies][hidden]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const source = document.getElementById(button.dataset.copies);
      if (!source) return;
      const said = button.textContent;
      try {
        await navigator.clipboard.writeText(source.value ?? source.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(source);
        button.textContent = "Selected: copy it with the keyboard";
      }
      setTimeout(() => { button.textContent = said; }, 2000);
    });
  }
}

/** A form that ends something asks once more: `<form data-asks="…">`. */
function askFirst(event) {
  const question = event.target.dataset?.asks;
  if (question && !confirm(question)) event.preventDefault();
}

function enhance(within) {
  localTimes(within);
  copyButtons(within);
}

document.addEventListener("submit", askFirst);
document.addEventListener("htmx:load", (event) => enhance(event.target));
enhance(document);
countDown();
setInterval(countDown, 1000);
