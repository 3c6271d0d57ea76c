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

const pathOf = (run) => (run.prefix + run.run).split("/").map(encodeURIComponent).join("/");

function downloads(run) {
  const list = element("details", "");
  list.append(element("summary", "files", { "aria-label": `files of ${run.run}` }));
  for (const name of run.files) list.append(element("a", name, { href: `/file/${pathOf(run)}/${encodeURIComponent(name)}`, download: name }));
  return list;
}

async function cancel(run, button) {
  if (!confirm(`Stop ${run.run}? What its ranks have finished is merged.`)) return;
  button.disabled = true;
  const answer = await fetch(`/cancel/${pathOf(run)}`, { method: "POST" });
  if (!answer.ok) alert(answer.headers.get("Content-Type") === "application/json" ? (await answer.json()).message : `the stack answered ${answer.status}`);
}

function more(run) {
  const made = cell();
  made.className = "more";
  const inTab = { target: "_blank", rel: "noopener" };
  if (run.report) made.append(element("a", "page", { href: `/report/${pathOf(run)}`, ...inTab, "aria-label": `page of ${run.run}` }));
  if (run.files.length) made.append(downloads(run));
  if (run.state !== "SUCCEEDED") made.append(element("a", "logs", { href: `/logs/${pathOf(run)}`, ...inTab, "aria-label": `logs of ${run.run}` }));
  if (!run.final) {
    const button = element("button", "cancel", { type: "button", "aria-label": `cancel ${run.run}` });
    button.addEventListener("click", () => cancel(run, button));
    made.append(button);
  }
  return made;
}

function row(run) {
  const made = document.createElement("tr");
  const name = element("th", run.run, { scope: "row" });
  for (const note of run.notes.slice(0, 5)) name.append(element("small", note));
  const state = cell(element("span", run.state, { class: `state ${run.state}` }));
  const objects = cell(`${shown(run.rows_done)} / ${shown(run.rows_in)}`);
  const began = cell(element("time", new Date(run.began_at).toLocaleString(undefined, { dateStyle: "short", timeStyle: "short" }), { datetime: run.began_at }));
  const numbers = [began, ranks(run), objects, ...figures(run)];
  numbers.forEach((one, i) => one.setAttribute("data-label", document.querySelectorAll("thead th")[i + 2].textContent));
  made.append(name, state, ...numbers, more(run));
  return made;
}

function turn(pages) {
  first = Math.max(0, first + pages * step);
  clearTimeout(timer);
  follow();
}

let first = 0;
let step = 50;
let timer = 0;
let before = "";
let rows = new Map();

function showRows(runs) {
  const texts = runs.map((run) => JSON.stringify(run));
  const keys = runs.map((run) => run.prefix + run.run);
  const made = runs.map((run, i) => (rows.get(keys[i])?.text === texts[i] ? rows.get(keys[i]).node : row(run)));
  if (keys.join() === [...rows.keys()].join()) {
    keys.forEach((key, i) => { if (rows.get(key).node !== made[i]) rows.get(key).node.replaceWith(made[i]); });
  } else {
    document.getElementById("runs").replaceChildren(...made);
  }
  rows = new Map(keys.map((key, i) => [key, { text: texts[i], node: made[i] }]));
}

function show(answer) {
  const text = JSON.stringify(answer);
  if (text === before) return;
  before = text;
  document.getElementById("stack").textContent = answer.stack;
  showRows(answer.runs);
  document.getElementById("none").hidden = answer.total > 0;
  step = answer.most;
  document.getElementById("paging").hidden = answer.total <= step;
  document.getElementById("newer").disabled = answer.first === 0;
  document.getElementById("older").disabled = answer.first + step >= answer.total;
  const last = Math.min(answer.first + step, answer.total);
  document.getElementById("range").textContent = answer.total > step ? `(${answer.first + 1} to ${last} of ${answer.total})` : "";
}

async function follow() {
  const status = document.getElementById("connection");
  let words = "following";
  try {
    const answer = await fetch(`/api/runs?first=${first}`);
    if (!answer.ok) throw new Error(`the stack answered ${answer.status}`);
    show(await answer.json());
  } catch (error) {
    words = `the stack does not answer (${error.message}); these are the last words from it`;
  }
  if (status.textContent !== words) status.textContent = words;
  clearTimeout(timer);
  timer = setTimeout(follow, POLL_MS);
}

document.getElementById("newer").addEventListener("click", () => turn(-1));
document.getElementById("older").addEventListener("click", () => turn(1));
follow();
