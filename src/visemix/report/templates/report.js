// Sorts and filters the tables that are in the page anyhow; without this file they are just longer.
"use strict";

function sortBy(table, column, button) {
  const header = button.closest("th");
  const rising = header.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const body = table.tBodies[0];
  const value = row => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const order = (a, b) => a.localeCompare(b, "en", { numeric: true });
  const rows = [...body.rows].sort((a, b) => (rising ? 1 : -1) * order(value(a), value(b)));
  body.append(...rows);
  makeOneRowReachable(body);
}

// Tab reaches one row of a long table; the arrow keys, Home and End go on from there.
function makeOneRowReachable(body) {
  let first = true;
  for (const row of body.rows) {
    row.tabIndex = !row.hidden && first ? 0 : -1;
    first = first && row.hidden;
  }
}

function walk(event) {
  const rows = [...event.currentTarget.rows].filter(row => !row.hidden);
  const at = rows.indexOf(event.target);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
  if (at < 0 || !rows[to]) return;
  event.preventDefault();
  rows[at].tabIndex = -1;
  rows[to].tabIndex = 0;
  rows[to].focus();
}

function filter(form, table) {
  const text = form.elements.text.value.trim().toLowerCase();
  const kind = form.elements.kind.value;
  const columns = form.dataset.columns.split(" ");
  const rows = [...table.tBodies[0].rows];
  for (const row of rows) {
    const searched = columns.map(column => row.cells[column].textContent).join(" ");
    const matches = searched.toLowerCase().includes(text);
    row.hidden = !matches || (kind !== "all" && row.dataset.kind !== kind);
  }
  makeOneRowReachable(table.tBodies[0]);
  const shown = rows.filter(row => !row.hidden).length;
  form.querySelector("[role=status]").textContent = `${shown} of ${rows.length} rows shown`;
}

for (const table of document.querySelectorAll("table.sortable")) {
  [...table.tHead.rows[0].cells].forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => sortBy(table, column, button));
  });
  table.tBodies[0].addEventListener("keydown", walk);
  makeOneRowReachable(table.tBodies[0]);
}

for (const form of document.querySelectorAll("form.controls")) {
  const table = document.getElementById(form.dataset.table);
  form.hidden = false;
  form.addEventListener("input", () => filter(form, table));
  form.addEventListener("submit", event => event.preventDefault());
  filter(form, table);
  for (const link of document.querySelectorAll(`a[data-filter-of=${form.dataset.table}]`)) {
    link.addEventListener("click", () => {
      form.elements.text.value = link.dataset.filter;
      form.elements.kind.value = "all";
      filter(form, table);
    });
  }
}

// What is folded away belongs on paper too.
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
