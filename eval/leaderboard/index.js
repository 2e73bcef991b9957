const form = document.getElementById("controls"), find = document.getElementById("find");
const checked = id => { const box = document.getElementById(id); return !box || box.checked };
const chosen = name => [...form.querySelectorAll(`[name=${name}]:checked`)].map(box => box.value);
const figure = (row, at) => { const found = parseFloat(row.cells[at].textContent); return isNaN(found) ? -Infinity : found };
const name = row => row.cells[0].textContent;
const tables = [...document.querySelectorAll(".table table")].map(table => {
  const bodies = [...table.tBodies];
  const rows = bodies.flatMap(body => [...body.rows].slice(1).map(row => ({row, body})));
  return {table, bodies, rows, at: -1, down: true};
});

// Put the rows in order: within their groups, or all in the first body. A dash comes last, whichever way.
const arrange = of => {
  const grouped = checked("grouped"), {at, down} = of;
  let order = of.rows;
  if (at === 0) order = [...order].sort((a, b) => name(a.row).localeCompare(name(b.row)) * (down ? -1 : 1));
  if (at > 0) order = [...order].sort((a, b) => {
    const [x, y] = [figure(a.row, at), figure(b.row, at)];
    return x === y ? 0 : x === -Infinity ? 1 : y === -Infinity ? -1 : (y - x) * (down ? 1 : -1) });
  order.forEach(({row, body}) => (grouped ? body : of.bodies[0]).append(row));
};

const filter = () => {
  const words = find.value.toLowerCase().split(/\s+/).filter(Boolean), groups = chosen("group"), [mode] = chosen("mode");
  const grouped = checked("grouped"), published = checked("published"), seen = new Set();
  document.querySelectorAll(".mode").forEach(one => one.hidden = one.id !== mode);
  tables.forEach(of => {
    of.rows.forEach(({row, body}) => {
      const text = name(row).toLowerCase();
      row.hidden = !groups.includes(body.dataset.group) || !words.every(word => text.includes(word)) ||
        (row.className === "published" && !published);
      if (!row.hidden && of.table.closest(".mode").id === mode) seen.add(name(row));
    });
    of.bodies.forEach(body => body.rows[0].hidden = !grouped || [...body.rows].slice(1).every(row => row.hidden));
  });
  document.getElementById("count").textContent = `${seen.size} rows`;
};

tables.forEach(of => [...of.table.tHead.rows].at(-1).querySelectorAll("th").forEach((head, at) => {
  const button = document.createElement("button"), label = head.querySelector(".sort") || head;
  button.type = "button";
  button.append(...label.childNodes);
  label.append(button);
  button.addEventListener("click", () => {
    [of.down, of.at] = [of.at === at ? !of.down : at > 0, at];
    of.table.tHead.querySelectorAll("[aria-sort]").forEach(one => one.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", of.down ? "descending" : "ascending");
    arrange(of);
    filter();
  });
}));
form.hidden = false;
form.addEventListener("submit", event => event.preventDefault());
form.addEventListener("input", () => { tables.forEach(arrange); filter() });
filter();
