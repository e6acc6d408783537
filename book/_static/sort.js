// Tables of the class `sortable`: a click on a head sorts the rows by its column, a second turns them.
document.addEventListener("DOMContentLoaded", () => {
  const value = (row, column) => {
    const cell = row.cells[column];
    const shown = cell.querySelector("p:not(.column)") ?? cell; // a narrow screen repeats the head
    const text = shown.textContent.trim().replace("−", "-");
    const number = parseFloat(text);
    return Number.isNaN(number) ? text.toLowerCase() : number;
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const turned = head.ariaSort === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.ariaSort = turned ? "descending" : "ascending";
        const rows = [...table.tBodies[0].rows].sort((first, second) => {
          const [a, b] = [value(first, column), value(second, column)];
          const order = typeof a === typeof b ? (a > b) - (a < b) : typeof a === "number" ? -1 : 1;
          return turned ? -order : order;
        });
        table.tBodies[0].append(...rows);
      });
    });
  }
});
