// What the real Mermaid understands. Every line on stdin is a JSON list of diagram texts, and is answered by a line on
// stdout, a JSON list with an answer for each; at the end of stdin it is done. Starting takes a second, a text a millisecond.
//
// Each answer is {ok: false, error} or {ok: true, type, accTitle, accDescr, direction, nodes, edges}, where nodes
// and edges are what would be drawn, with their texts as a person would see them (entities decoded).
import { createInterface } from "node:readline";

import { JSDOM } from "jsdom";

// Mermaid sanitises every text with DOMPurify, which wants a window; it must be there before Mermaid is loaded.
const { window } = new JSDOM("<!DOCTYPE html><body></body>", { pretendToBeVisual: true });
globalThis.window = window;
globalThis.document = window.document;

const { default: mermaid } = await import("mermaid");
mermaid.initialize({ startOnLoad: false, securityLevel: "strict", maxTextSize: 10_000_000, maxEdges: 100_000 });

const area = document.createElement("textarea");

// Mermaid hides "#35;" from its grammars as "ﬂ°°35¶ß" and puts it back when the picture is ready.
function seen(text) {
  const html = String(text ?? "").replaceAll("ﬂ°°", "&#").replaceAll("ﬂ°", "&").replaceAll("¶ß", ";");
  area.innerHTML = html;
  return area.value;
}

function stateChart(db) {
  const nodes = [...db.getStates().values()].map((state) => ({
    id: state.id,
    kind: state.type,
    texts: state.descriptions.map(seen),
    classes: state.classes ?? [],
  }));
  const edges = db.getRelations().map((edge) => ({ source: edge.id1, target: edge.id2, text: seen(edge.relationTitle) }));
  return { nodes, edges };
}

function flowchart(db) {
  const nodes = [...db.getVertices().values()].map((vertex) => ({
    id: vertex.id,
    kind: vertex.type ?? "square",
    // Mermaid breaks lines while entities are still hidden, so a backslash from an entity does not count.
    texts: (vertex.text ?? "").split("\\n").map(seen),
    classes: vertex.classes,
  }));
  const edges = db.getEdges().map((edge) => ({
    source: edge.start,
    target: edge.end,
    text: seen(edge.text),
    stroke: edge.stroke,
    style: edge.style ?? [],
  }));
  return { nodes, edges };
}

async function read(text) {
  const { type, db } = await mermaid.mermaidAPI.getDiagramFromText(text);
  const { nodes, edges } = type === "stateDiagram" ? stateChart(db) : flowchart(db);
  return {
    ok: true,
    type,
    accTitle: seen(db.getAccTitle()),
    accDescr: seen(db.getAccDescription()),
    direction: db.getDirection(),
    nodes,
    edges,
  };
}

async function answer(text) {
  try {
    return await read(text);
  } catch (error) {
    return { ok: false, error: String(error?.message ?? error) };
  }
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const answers = [];
  for (const text of JSON.parse(line)) answers.push(await answer(text));
  process.stdout.write(JSON.stringify(answers) + "\n");
}
