"use strict";
const csv = JSON.parse(document.getElementById("records").textContent);
const button = document.getElementById("download");
button.addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv], { type: "text/csv" }));
  link.download = button.dataset.name;
  link.click();
  URL.revokeObjectURL(link.href);
});
const tables = [...document.querySelectorAll("table.sortable")];
document.getElementById("filter").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\s+/);
  for (const row of tables[tables.length - 1].tBodies[0].rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = !words.every((word) => text.includes(word));
  }
});
for (const table of tables) {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    let up = false;
    head.firstChild.addEventListener("click", () => {
      up = !up;
      const rows = [...table.tBodies[0].rows];
      const key = (row) => row.cells[column].textContent;
      rows.sort((a, b) => {
        const [x, y] = [parseFloat(key(a)), parseFloat(key(b))];
        const order = isNaN(x) || isNaN(y) ? key(a).localeCompare(key(b)) : x - y;
        return up ? order : -order;
      });
      table.tBodies[0].append(...rows);
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
    });
  });
}
