// Draws the one diagram of this page, which is a sandbox, and says how high it became.
"use strict";

const text = document.getElementById("text");
const dark = matchMedia("(prefers-color-scheme: dark)").matches;

async function draw() {
  mermaid.initialize({ startOnLoad: false, securityLevel: "strict", theme: dark ? "dark" : "neutral" });
  const { svg } = await mermaid.render("drawn", text.textContent);
  document.getElementById("picture").innerHTML = svg;
  text.hidden = true;
}

function tell() {
  parent.postMessage({ height: document.documentElement.scrollHeight }, "*");
}

draw().catch(() => {}).finally(() => { tell(); new ResizeObserver(tell).observe(document.body); });
