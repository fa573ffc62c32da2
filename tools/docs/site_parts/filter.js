// A box over each long table that keeps the rows with all of its words; ?q=... in the address fills it.
(function () {
  "use strict";
  const LONG = 12;

  function keep(rows, words) {
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += row.hidden ? 0 : 1;
    }
    return shown;
  }

  function box(table, asked) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < LONG) return;
    const input = document.createElement("input");
    const count = document.createElement("output");
    const line = document.createElement("p");
    input.type = "search";
    input.placeholder = "Filter these rows";
    input.setAttribute("aria-label", "Filter the rows of this table");
    input.value = asked;
    line.className = "row-filter";
    line.append(input, " ", count);
    (table.closest(".md-typeset__scrollwrap") || table).before(line);
    const apply = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      count.textContent = keep(rows, words) + " of " + rows.length;
    };
    input.addEventListener("input", apply);
    apply();
  }

  function start() {
    const asked = new URLSearchParams(location.search).get("q") || "";
    document.querySelectorAll("article table").forEach((table) => table.tBodies[0] && box(table, asked));
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
