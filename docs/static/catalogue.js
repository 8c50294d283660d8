// The table of the catalogue: a field that filters its rows, and headings that sort them.
document.addEventListener("DOMContentLoaded", () => {
  const table = document.querySelector(".catalogue table");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const words = new Map(rows.map((row) => [row, row.textContent.toLowerCase()]));

  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "squeeze excitation, 2021, necks, 1709.01507 …";
  field.setAttribute("aria-label", "Filter the table");
  const count = document.createElement("output");
  const filter = () => {
    const wanted = field.value.toLowerCase().split(/\s+/);
    const kept = rows.filter((row) => {
      const found = wanted.every((word) => words.get(row).includes(word));
      row.hidden = !found;
      return found;
    });
    count.textContent = `${kept.length} of ${rows.length}`;
  };
  field.addEventListener("input", filter);
  table.closest(".catalogue").prepend(field, count);
  filter();

  const value = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const match = /^([\d.,]+)\s*([kMGT]?)$/.exec(text);
    if (!match) return text.toLowerCase();
    return Number(match[1].replaceAll(",", "")) * 1000 ** " kMGT".indexOf(match[2] || " ");
  };
  const compare = (a, b) =>
    typeof a === typeof b ? (a < b ? -1 : a > b ? 1 : 0) : typeof a === "number" ? -1 : 1;
  [...table.tHead.rows[0].cells].forEach((cell, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...cell.childNodes);
    cell.append(button);
    button.addEventListener("click", () => {
      const descending = cell.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      rows.sort((a, b) => compare(value(a, column), value(b, column)) * (descending ? -1 : 1));
      body.append(...rows);
    });
  });
});
