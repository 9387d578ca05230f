// Progressive enhancement: every page works without it.
"use strict";

const UNITS = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

function said(seconds) {
  let rest = Math.floor(Math.abs(seconds));
  const parts = [];
  for (const [name, size] of UNITS) {
    if (rest >= size && parts.length < 2) {
      parts.push(`${Math.floor(rest / size)} ${name}`);
      rest %= size;
    }
  }
  return (parts.join(" ") || "0 s") + (seconds < 0 ? " ago" : "");
}

// The server's clock counts; only what has passed since the page came is ours.
const shown = document.querySelector(".clock time");
const ahead = shown ? new Date(shown.dateTime).getTime() - Date.now() : 0;
const timers = [...document.querySelectorAll("[data-countdown]")];
function count() {
  for (const timer of timers) {
    timer.textContent = said((new Date(timer.dateTime).getTime() - Date.now() - ahead) / 1000);
  }
}
if (timers.length) setInterval(count, 1000);

for (const all of document.querySelectorAll("[data-all]")) {
  const boxes = [...document.getElementsByName(all.dataset.all)];
  all.hidden = false;
  all.addEventListener("change", () => boxes.forEach((box) => { box.checked = all.checked; }));
}

// A frame is a sandbox: it only says how high its picture is.
addEventListener("message", (event) => {
  for (const frame of document.querySelectorAll("[data-grows]")) {
    if (event.source === frame.contentWindow && Number.isFinite(event.data?.height)) {
      frame.height = Math.min(Math.max(Math.ceil(event.data.height), 80), 2000);
    }
  }
});

for (const form of document.querySelectorAll("form[method=post]")) {
  form.addEventListener("submit", () => form.setAttribute("aria-busy", "true"));
}
const bad = document.querySelector("[role=alert] .note");
if (bad) { bad.tabIndex = -1; bad.focus(); }

// An instance that moves on is shown anew, unless somebody is typing: then it is only said. A page that nobody looks at listens
// to nothing: a browser has few connections to one host.
const page = document.querySelector("[data-live]");
let source = null;
let typing = Boolean(bad);

function renew() {
  source.close();
  source = null;
  page.removeAttribute("data-live");
  if (!typing) {
    location.replace(location.pathname);
    return;
  }
  const note = document.createElement("p");
  const link = document.createElement("a");
  link.href = location.pathname;
  link.textContent = "Load it again";
  note.className = "note";
  note.append("The instance has moved on. ", link);
  document.getElementById("status").append(note);
}

function listen() {
  source?.close();
  source = null;
  if (page?.dataset.live && document.visibilityState === "visible") {
    source = new EventSource(page.dataset.live);
    source.addEventListener("moved", renew);
  }
}

document.addEventListener("input", () => { typing = true; });
document.addEventListener("visibilitychange", listen);
addEventListener("pagehide", () => source?.close());
listen();
