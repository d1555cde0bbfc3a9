// Keeps the page as the server says: parts are replaced, and tables of variants and metrics are filled row by row.
"use strict";

const connection = document.getElementById("connection");

function make(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

// Replaces what an element holds, and leaves scrolled stretches and the focus where they are.
function replace(element, html) {
  const moving = () => [...element.querySelectorAll(".log,.wide")];
  const reachable = () => [...element.querySelectorAll("a,button,input,select,[tabindex]")];
  const before = moving().map((m) => [m.scrollLeft, m.scrollTop]);
  const focused = element.contains(document.activeElement) ? reachable().indexOf(document.activeElement) : -1;
  element.innerHTML = html;
  moving().forEach((m, i) => { if (before[i]) [m.scrollLeft, m.scrollTop] = before[i]; });
  if (focused >= 0) reachable()[focused]?.focus({ preventScroll: true });
}

// Hides a section without content, and the way to it.
function settle(section) {
  const parts = section.querySelector(":scope > .parts");
  section.hidden = parts ? !parts.childElementCount : !section.childElementCount;
  const link = document.querySelector(`nav a[href="#${section.id}"]`);
  if (link) link.hidden = section.hidden;
}

function showPart(part) {
  const section = document.getElementById(part.in || part.id);
  if (!section) return;
  if (!part.in) {
    replace(section, part.html);
  } else {
    const parts = section.querySelector(":scope > .parts");
    let element = document.getElementById(part.id);
    if (!part.html) {
      element?.remove();
    } else {
      if (!element) {
        element = make("div", { id: part.id });
        parts.append(element);
      }
      replace(element, part.html);
    }
  }
  settle(section);
}

const atFirst = 500; // rows that are laid out; more are a button away

// A table that sorts by its heads, filters by words and, where rows may be chosen, lays their curves over each other.
class Table {
  constructor(head) {
    this.rows = new Map();
    this.chosen = new Set();
    this.sort = null; // name of a column
    this.down = false;
    this.limit = atFirst;
    this.value = "";
    this.title = make("h3");
    this.note = make("p", { class: "note" });
    this.filter = make("input", { type: "search", oninput: () => this.draw(), placeholder: "words, or column=value" });
    this.count = make("span", { role: "status" });
    this.tools = make("div", { class: "tools" }, make("label", {}, "Filter", this.filter), this.count);
    this.head = make("thead");
    this.body = make("tbody");
    this.wide = make("div", { class: "wide", tabindex: "0", role: "region" }, make("table", { class: "data" }, this.head, this.body));
    this.more = make("button", { class: "more", type: "button", onclick: () => { this.limit = Infinity; this.draw(); } });
    this.element = make("div", {}, this.title, this.note, this.tools);
    if (head.choose) this.buildOverlay(head.choose);
    this.element.append(this.wide, this.more);
    document.getElementById(head.section).querySelector(".parts").append(this.element);
    this.setHead(head);
  }

  buildOverlay(most) {
    this.select = make("select", { onchange: () => { this.value = this.select.value; this.ask(0); } });
    this.picture = make("div", { class: "charts" });
    this.overlay = make("div", { class: "overlay", hidden: true }, make("div", { class: "tools" }, make("label", {}, "Curves of", this.select)), this.picture);
    this.tools.append(
      make("button", { type: "button", onclick: () => {
        this.chosen = new Set(this.shown().filter((row) => row.version).slice(0, 8).map((row) => row.id));
        this.drawChoice();
      } }, "Curves of the first 8"),
      make("button", { type: "button", onclick: () => { this.chosen.clear(); this.drawChoice(); } }, "No curves"),
    );
    this.most = most;
    this.element.append(this.overlay);
  }

  // A new head comes before all rows.
  setHead(head) {
    this.columns = head.columns;
    this.noun = head.noun;
    this.id = head.id;
    this.choose = head.choose;
    this.rows.clear();
    this.title.textContent = head.title;
    this.note.textContent = head.note || "";
    this.note.hidden = !head.note;
    this.wide.setAttribute("aria-label", `${this.noun} of ${head.title}`);
    const cells = head.columns.map((column) => make("th", { scope: "col", class: column.number ? "n" : undefined },
      make("button", { type: "button", onclick: () => this.sortBy(column.name) }, column.name)));
    if (head.choose) cells.unshift(make("th", { scope: "col" }, "curves"));
    const focused = [...this.head.querySelectorAll("button")].indexOf(document.activeElement);
    this.head.replaceChildren(make("tr", {}, ...cells));
    if (focused >= 0) this.head.querySelectorAll("button")[focused]?.focus({ preventScroll: true });
  }

  setRows(rows) {
    let news = false;
    for (const row of rows) {
      row.text = row.cells.map((cell, i) => `${this.columns[i].name}=${cell.text}`).join(" ").toLowerCase();
      this.lay(row, this.rows.get(row.id));
      this.rows.set(row.id, row);
      news ||= this.chosen.has(row.id);
    }
    if (news) this.ask(1000);
    if (!this.drawing) {
      this.drawing = true;
      requestAnimationFrame(() => { this.drawing = false; this.draw(); });
    }
  }

  // Lays a row out, in the elements of the one before where there is one, so that the focus stays.
  lay(row, before) {
    const extra = this.choose ? 1 : 0;
    if (before) {
      row.element = before.element;
      row.box = before.box;
    } else {
      row.element = make("tr", {}, ...Array.from({ length: extra }, () => make("td")), ...this.columns.map((column) => make("td", { class: column.number ? "n" : undefined })));
      if (this.choose) {
        const name = row.cells.filter((cell, i) => !this.columns[i].number && !cell.state && !cell.links).map((cell) => cell.text).join(", ");
        row.box = make("input", { type: "checkbox", "aria-label": `curves of ${name}`, onchange: () => this.pick(row.id, row.box) });
        row.box.checked = this.chosen.has(row.id);
        row.element.firstChild.append(row.box);
      }
    }
    if (row.box) row.box.disabled = !row.version;
    row.cells.forEach((cell, i) => {
      if (before && JSON.stringify(before.cells[i]) === JSON.stringify(cell)) return;
      let content = [cell.text];
      if (cell.links) content = cell.links.map((link) => make("a", { href: link.href }, link.text));
      else if (cell.state) content = [make("span", { class: `state ${cell.state}` }, cell.text)];
      row.element.children[i + extra].replaceChildren(...content);
    });
  }

  sortBy(name) {
    if (this.sort !== name) [this.sort, this.down] = [name, false];
    else if (!this.down) this.down = true;
    else this.sort = null;
    this.draw();
  }

  // The rows that the filter leaves, sorted. What is missing comes last either way.
  shown() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const rows = [...this.rows.values()].filter((row) => words.every((word) => row.text.includes(word)));
    const at = this.columns.findIndex((column) => column.name === this.sort);
    if (at < 0) return rows;
    const order = new Intl.Collator(undefined, { numeric: true });
    const sign = this.down ? -1 : 1;
    return rows.sort((a, b) => {
      const x = a.cells[at], y = b.cells[at];
      const missing = (cell) => this.columns[at].number ? cell.sort === undefined : cell.text === "";
      if (missing(x) || missing(y)) return missing(x) - missing(y);
      return sign * (this.columns[at].number ? x.sort - y.sort : order.compare(x.text, y.text));
    });
  }

  draw() {
    const rows = this.shown();
    const part = rows.slice(0, this.limit);
    const active = document.activeElement;
    this.body.replaceChildren(...part.map((row) => row.element));
    if (this.wide.contains(active) && document.activeElement !== active) active.focus({ preventScroll: true });
    [...this.head.querySelectorAll("button")].forEach((button, i) => {
      if (this.columns[i].name === this.sort) button.parentElement.setAttribute("aria-sort", this.down ? "descending" : "ascending");
      else button.parentElement.removeAttribute("aria-sort");
    });
    this.count.textContent = rows.length === this.rows.size ? `${rows.length} ${this.noun}` : `${rows.length} of ${this.rows.size} ${this.noun}`;
    this.more.hidden = part.length === rows.length;
    this.more.textContent = `Show all ${rows.length}`;
    settle(this.element.closest("section"));
  }

  pick(id, box) {
    if (!box.checked) this.chosen.delete(id);
    else if (this.chosen.size < this.most) this.chosen.add(id);
    else {
      box.checked = false;
      this.count.textContent = `${this.most} curves at once are the most`;
      return;
    }
    this.drawChoice();
  }

  drawChoice() {
    for (const row of this.rows.values()) row.box.checked = this.chosen.has(row.id);
    this.ask(0);
  }

  // Asks for the curves of the chosen rows, soon.
  ask(wait) {
    if (this.timer && wait > 0) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => { this.timer = 0; this.show(); }, wait);
  }

  async show() {
    const asked = this.asked = {};
    this.overlay.hidden = !this.chosen.size;
    if (!this.chosen.size) return;
    const query = new URLSearchParams({ table: this.id, value: this.value });
    for (const id of this.chosen) query.append("row", id);
    let answer;
    try {
      const response = await fetch(`overlay?${query}`);
      if (!response.ok) return;
      answer = await response.json();
    } catch {
      return; // the page says that it is not connected
    }
    if (this.asked !== asked) return; // a later question has been asked
    const keys = answer.values || [];
    if ([...this.select.options].map((o) => o.value).join("\n") !== keys.map((v) => v.key).join("\n")) {
      this.select.replaceChildren(...keys.map((v) => make("option", { value: v.key }, v.text)));
    }
    this.select.value = answer.value;
    this.picture.innerHTML = answer.html;
  }

  remove() {
    const section = this.element.closest("section");
    this.element.remove();
    settle(section);
  }
}

const tables = new Map();
const source = new EventSource("events");
source.addEventListener("part", (e) => showPart(JSON.parse(e.data)));
source.addEventListener("table", (e) => {
  const head = JSON.parse(e.data);
  const table = tables.get(head.id);
  if (table) table.setHead(head);
  else tables.set(head.id, new Table(head));
});
source.addEventListener("rows", (e) => {
  const news = JSON.parse(e.data);
  tables.get(news.table)?.setRows(news.rows);
});
source.addEventListener("gone", (e) => {
  const id = JSON.parse(e.data);
  tables.get(id)?.remove();
  tables.delete(id);
});
source.addEventListener("open", () => { connection.textContent = "live"; });
source.addEventListener("error", () => { connection.textContent = "not connected"; });
