"use strict";

const POLL_MS = 1000;
const number = new Intl.NumberFormat("en");
const shown = (value) => (value === null ? "–" : number.format(value));

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function cell(...children) {
  const made = document.createElement("td");
  made.append(...children);
  return made;
}

function ranks(run) {
  const text = `${shown(run.ranks_done)} / ${shown(run.ranks)}`;
  if (run.final || !run.ranks) return cell(text);
  const bar = element("progress", "", { max: run.ranks, value: run.ranks_done, "aria-label": `ranks of ${run.run} done` });
  return cell(bar, ` ${text}`);
}

function figures(run) {
  const fixed = (value, digits) => (value === null ? "–" : value.toFixed(digits));
  const seconds = run.wall_s === null ? "–" : `${fixed(run.wall_s, 1)} s`;
  const dollars = run.usd === null ? "–" : `$${fixed(run.usd, 6)}`;
  return [cell(fixed(run.sigma_nmad, 4)), cell(seconds), cell(dollars)];
}

function report(run) {
  if (!run.report) return cell("–");
  const path = (run.prefix + run.run).split("/").map(encodeURIComponent).join("/");
  return cell(element("a", "open", { href: `/report/${path}`, target: "_blank", rel: "noopener", "aria-label": `report of ${run.run}` }));
}

function row(run) {
  const made = document.createElement("tr");
  const name = element("th", run.run, { scope: "row" });
  for (const note of run.notes.slice(0, 5)) name.append(element("small", note));
  const state = cell(element("span", run.state, { class: `state ${run.state}` }));
  const objects = cell(`${shown(run.rows_out)} / ${shown(run.rows_in)}`);
  const changed = cell(new Date(run.updated_at).toLocaleTimeString());
  made.append(name, state, ranks(run), objects, ...figures(run), changed, report(run));
  return made;
}

let before = "";

function show(answer) {
  const text = JSON.stringify(answer);
  if (text === before) return;
  before = text;
  document.getElementById("stack").textContent = answer.stack;
  document.getElementById("runs").replaceChildren(...answer.runs.map(row));
  document.getElementById("none").hidden = answer.runs.length > 0;
}

async function follow() {
  const status = document.getElementById("connection");
  let words = "following";
  try {
    const answer = await fetch("/api/runs");
    if (!answer.ok) throw new Error(`the stack answered ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    words = `the stack does not answer (${error.message}); these are the last words from it`;
  }
  if (status.textContent !== words) status.textContent = words;
  setTimeout(follow, POLL_MS);
}

follow();
