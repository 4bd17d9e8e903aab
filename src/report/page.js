"use strict";
const element = document.getElementById("records");
const data = JSON.parse(element.textContent);

// Lines of cells: a table as it is, or records unfolded to one line per score, config leaves as columns.
function lines() {
  if (data.head) return [data.head, ...data.rows];
  const config = [...data.config, ...data.same.map(([key]) => key)];
  const head = ["cell", "role", "arm", "student", "budget", "seed", "metric", "value", "unit", "better"];
  const lines = [[...head, ...config.map((key) => "cfg." + key)]];
  for (const [cell, role, arm, student, budget, seed, scores, leaves] of data.records) {
    data.metrics.forEach(([metric, unit, better], i) => {
      if (scores[i] === 0) return;
      const fixed = [cell, role, arm, student, budget, seed, metric, scores[i][0], unit, better];
      lines.push([...fixed, ...leaves, ...data.same.map(([, value]) => value)]);
    });
  }
  return lines;
}

function csv() {
  const plain = (v) => (v === null || v === undefined ? "" : typeof v === "object" ? JSON.stringify(v) : String(v));
  const quote = (v) => (/[",\r\n]/.test(v) ? '"' + v.replaceAll('"', '""') + '"' : v);
  return lines().map((line) => line.map((v) => quote(plain(v))).join(",")).join("\r\n") + "\r\n";
}

document.getElementById("download").addEventListener("click", () => {
  const link = document.createElement("a");
  link.setAttribute("href", URL.createObjectURL(new Blob([csv()], { type: "text/csv" })));
  link.download = element.dataset.name.replace(/[^\w.-]+/g, "-") + (data.head ? "-summary.csv" : "-records.csv");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.getAttribute("href")), 1000);
});

const tables = [...document.querySelectorAll("table.sortable")];
const long = tables[tables.length - 1].tBodies[0];
const shown = document.getElementById("shown");
document.getElementById("filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const row of long.rows) {
    const cells = [...row.cells].slice(0, 5).map((cell) => cell.textContent.toLowerCase());
    row.hidden = !words.every((word) => cells.some((cell) => cell.includes(word)));
    count += row.hidden ? 0 : 1;
  }
  shown.textContent = words.length ? `${count} of ${long.rows.length} rows` : "";
});

// 1.2k is more than 300; a bound counts as its number.
function number(text) {
  const [, value, unit] = text.match(/^[<>]?\s*(-?[\d.]+(?:e[-+]?\d+)?)([kMB]?)/) ?? [];
  return parseFloat(value) * { k: 1e3, M: 1e6, B: 1e9 }[unit] || parseFloat(value);
}
function order(a, b) {
  const [x, y] = [number(a), number(b)];
  if (Number.isNaN(x) !== Number.isNaN(y)) return Number.isNaN(x) ? 1 : -1;
  return Number.isNaN(x) ? a.localeCompare(b) : x - y;
}
for (const table of tables) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.firstChild.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[column].textContent;
      const rows = [...table.tBodies[0].rows].sort((a, b) => order(key(a), key(b)) * (up ? 1 : -1));
      table.tBodies[0].append(...rows);
    });
  });
}
