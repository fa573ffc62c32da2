"use strict";
/* Draws the report that is stored in the page. Every string of it is put in as text, never as markup. */
(() => {
  const report = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  const ROW = 30;
  const MOST = { regions: 160, operators: 40, messages: 12 };
  const VERDICTS = ["accelerated", "fallback", "rejected", "unknown", "folded"];
  const state = { model: 0, target: 0, tab: "causes", verdicts: new Set(), region: null, query: "" };

  /* An element with attributes and children; strings become text. */
  function el(name, attributes = {}, ...children) {
    const node = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else if (value !== null && value !== false) node.setAttribute(key, value === true ? "" : value);
    }
    node.append(...children.filter((child) => child !== null && child !== ""));
    return node;
  }

  function svg(name, attributes = {}, ...children) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }

  const counted = (number, one) => `${number.toLocaleString("en")} ${one}${number === 1 ? "" : "s"}`;
  const model = () => report.models[state.model];
  const target = () => model().targets[state.target];

  function bytes(count) {
    if (count === null) return "unknown";
    for (const unit of ["B", "kB", "MB", "GB"]) {
      if (count < 1000 || unit === "GB") return unit === "B" ? `${count} B` : `${count.toFixed(1)} ${unit}`;
      count /= 1000;
    }
  }

  /* ---- the head and the targets, side by side ---- */

  function head() {
    const picker = $("model");
    report.models.forEach((item, index) => picker.append(el("option", { value: index }, item.path)));
    picker.parentElement.hidden = report.models.length < 2;
    picker.addEventListener("change", () => show({ model: Number(picker.value), target: 0, region: null }));
    $("foot").textContent = `accelint ${report.tool.version}`;
  }

  function cards() {
    const item = model();
    const place = $("targets");
    place.replaceChildren();
    const about = report.models.length > 1 ? [] : [item.path];
    if (!item.error) about.push(item.format, counted(item.operators, "operator"));
    $("about").textContent = about.join(" · ");
    if (item.error) {
      place.append(el("p", { class: "bad" }, `cannot be read: ${item.error}`));
      return;
    }
    item.targets.forEach((row, index) => place.append(card(row, index)));
    if (item.skipped.length) place.append(skipped(item.skipped));
  }

  /* Targets that were not checked: one line that opens, or the reason itself where there is one target. */
  function skipped(rows) {
    if (rows.length === 1) return el("p", { class: "soft left" }, `${rows[0][0]}: not checked: ${rows[0][1]}`);
    const list = el("ul");
    for (const [name, why] of rows) list.append(el("li", {}, `${name}: ${why}`));
    return el("details", { class: "soft left" }, el("summary", {}, `${counted(rows.length, "target")} not checked`), list);
  }

  function card(row, index) {
    const there = VERDICTS.map((verdict) => [verdict, row.counts[verdict]]).filter(([, count]) => count);
    const running = there.filter(([verdict]) => verdict !== "folded");
    const counts = running.length ? running : there; /* what is folded never runs, and is in no share */
    const bar = el("div", { class: "bar", role: "img", "aria-label": counts.map((pair) => pair.join(" ")).join(", ") });
    for (const [verdict, count] of counts) {
      const part = el("i", { class: verdict, title: `${verdict}: ${count}` });
      part.style.flexGrow = count;
      bar.append(part);
    }
    const facts = el("dl");
    const fact = (name, value) => value && facts.append(el("dt", {}, name), el("dd", {}, value));
    fact("operators", row.shares[0]);
    fact("MACs", row.shares[1]);
    if (row.partitioned) {
      fact("partitions", String(row.partitions));
      fact("across boundaries", row.partitions ? bytes(row.moved) : "");
    }
    fact("since before", row.since);
    fact("runtime's word", row.told);
    return el(
      "button",
      {
        class: "card", type: "button", "aria-pressed": String(index === state.target),
        onclick: () => choose(index),
      },
      el("div", { class: "top" }, el("b", {}, row.target), el("span", { class: `verdict ${row.verdict}` }, row.words)),
      el("div", { class: "runtime" }, row.runtime),
      bar,
      facts,
    );
  }

  /* Another target; what is said of it comes into sight where the cards fill the window. */
  function choose(index) {
    show({ target: index, region: null });
    const top = $("title").getBoundingClientRect().top;
    if (top < 0 || top > innerHeight * 0.8) $("title").scrollIntoView();
  }

  /* ---- the views of one target ---- */

  const VIEWS = {
    causes: ["Causes", causes],
    graph: ["Partitions", graph],
    operators: ["Operators", operators],
    runtime: ["Predicted and actual", runtime],
  };

  function detail() {
    const shown = !model().error && model().targets.length > 0;
    $("detail").hidden = !shown;
    if (!shown) return;
    const row = target();
    $("title").textContent = `${row.target}: ${row.words}`;
    const views = Object.keys(VIEWS).filter(
      (name) => (name !== "graph" || (row.flow && row.partitioned)) && (name !== "runtime" || row.actual),
    );
    if (!views.includes(state.tab)) state.tab = "causes";
    $("tabs").replaceChildren(...views.map((name) => tab(name, row, views)));
    const panel = $("panel");
    panel.replaceChildren();
    panel.setAttribute("aria-labelledby", `tab-${state.tab}`);
    VIEWS[state.tab][1](panel, row);
  }

  function tab(name, row, views) {
    const chosen = name === state.tab;
    const count = { causes: row.causes.length, operators: row.operators.length, graph: row.partitions }[name];
    const move = (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      show({ tab: views[(views.indexOf(name) + step + views.length) % views.length] });
      $(`tab-${state.tab}`).focus();
    };
    return el(
      "button",
      {
        role: "tab", id: `tab-${name}`, type: "button", "aria-selected": String(chosen), "aria-controls": "panel",
        tabindex: chosen ? 0 : -1, onclick: () => show({ tab: name }), onkeydown: move,
      },
      VIEWS[name][0] + (count === undefined ? "" : ` (${count.toLocaleString("en")})`),
    );
  }

  function causes(panel, row) {
    const words = state.query.toLowerCase();
    const found = row.causes.filter((cause) => !words || causeText(row, cause).includes(words));
    if (!found.length) panel.append(el("p", { class: "soft" }, words ? "No cause matches." : "No findings."));
    found.forEach((cause, index) => panel.append(causeBox(row, cause, index < 4)));
    for (const [why, count] of row.ignored) {
      panel.append(el("p", { class: "soft" }, `${counted(count, "finding")} ignored: ${why}`));
    }
    for (const note of row.notes) panel.append(el("p", { class: "soft" }, note));
  }

  function causeText(row, cause) {
    const names = cause.operators.map((index) => row.operators[index]).flatMap((op) => (op ? [op[0], op[1], op[2], op[5] || ""] : []));
    return [cause.code, cause.rule, ...cause.messages.map((pair) => pair[0]), ...names, ...cause.prints].join("\n").toLowerCase();
  }

  function causeBox(row, cause, open) {
    const box = el(
      "details",
      { open },
      el(
        "summary",
        {},
        el("b", { class: cause.severity }, `${cause.severity} ${cause.code}`),
        ` ${cause.rule}  `,
        el("span", { class: "soft" }, counted(cause.operators.length, "operator")),
      ),
    );
    const list = el("ul");
    for (const [text, times] of cause.messages.slice(0, MOST.messages)) {
      list.append(el("li", {}, times > 1 ? `${text} (×${times})` : text));
    }
    box.append(list, cut(cause.messages.length - MOST.messages, "more reason"));
    const at = el("p", { class: "mono" });
    cause.operators.slice(0, MOST.operators).forEach((index, position) => {
      const op = row.operators[index];
      const told = `fingerprint ${cause.prints[position]}`;
      if (op) at.append(position ? ", " : "at ", el("span", { title: told }, `${op[0]} ${op[1]}${op[5] ? ` (${op[5]})` : ""}`));
    });
    box.append(at, cut(cause.operators.length - MOST.operators, "more operator"));
    if (cause.prints.length === 1) box.append(el("p", { class: "cut" }, `fingerprint: ${cause.prints[0]}`));
    if (cause.fix) box.append(el("p", { class: "soft" }, `rewrite: ${cause.fix}`));
    if (cause.command) box.append(command(cause.command));
    if (cause.advice) box.append(el("p", {}, cause.advice));
    box.append(el("p", { class: "cut" }, `source: ${cause.source} [${cause.evidence}]`));
    return box;
  }

  const cut = (count, what) => (count > 0 ? el("p", { class: "cut" }, `… and ${counted(count, what)}`) : "");

  function command(text) {
    const button = el("button", { type: "button" }, "Copy");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
    });
    const code = el("code", {}, text);
    return el("div", { class: "fix" }, code, button);
  }

  /* ---- operators: only the rows in sight exist ---- */

  function operators(panel, row) {
    const chips = el("div", { class: "chips" });
    for (const verdict of VERDICTS.filter((name) => row.counts[name])) {
      const press = () => {
        state.verdicts.has(verdict) ? state.verdicts.delete(verdict) : state.verdicts.add(verdict);
        detail();
      };
      chips.append(
        el(
          "button",
          { type: "button", "aria-pressed": String(state.verdicts.has(verdict)), onclick: press },
          `${row.said[verdict]} ${row.counts[verdict].toLocaleString("en")}`,
        ),
      );
    }
    if (state.region !== null) {
      chips.append(
        el("button", { type: "button", "aria-pressed": "true", onclick: () => show({ region: null }) }, `${regionName(row, state.region)} ×`),
      );
    }
    const words = state.query.toLowerCase();
    const found = [];
    row.operators.forEach((op, index) => {
      if (state.verdicts.size && !state.verdicts.has(op[3])) return;
      if (state.region !== null && row.region && row.region[index] !== state.region) return;
      if (words && !opText(row, op).includes(words)) return;
      found.push(index);
    });
    chips.append(el("span", { class: "soft", role: "status" }, `${found.length.toLocaleString("en")} of ${counted(row.operators.length, "operator")}`));
    panel.append(chips, table(row, found));
  }

  const opText = (row, op) =>
    [op[0], op[1], op[2], op[5] || "", ...op[4].map((index) => [0, 1, 3].map((at) => row.findings[index][at]).join(" "))].join("\n").toLowerCase();

  function table(row, found) {
    const actual = row.actual ? " actual" : "";
    const space = el("div", { class: "space", role: "rowgroup" });
    space.style.height = `${found.length * ROW}px`;
    const columns = ["operator", "type", "verdict", ...(actual ? ["actual"] : []), "findings", "name"];
    const header = el("div", { class: `row head${actual}`, role: "row" });
    const wide = (name) => (name === "findings" || name === "name" ? "wide" : "");
    columns.forEach((name) => header.append(el("span", { role: "columnheader", class: wide(name) }, name)));
    const box = el("div", { class: "table", role: "table", tabindex: 0, "aria-rowcount": found.length + 1 }, header, space);
    let first = -1;
    const draw = () => {
      const from = Math.max(0, Math.floor(box.scrollTop / ROW) - 10);
      if (from === first) return;
      first = from;
      const rows = found.slice(from, from + Math.ceil(box.clientHeight / ROW) + 20);
      space.replaceChildren(...rows.map((index, position) => line(row, index, from + position, actual)));
    };
    box.addEventListener("scroll", draw, { passive: true });
    requestAnimationFrame(draw);
    return box;
  }

  function line(row, index, position, actual) {
    const op = row.operators[index];
    const why = op[4].map((at) => row.findings[at]);
    const codes = [...new Set(why.map((item) => item[0]))].join(", ");
    const told = why.map((item) => `${item[2]} (${item[3]})`).join("\n");
    const wrong = actual && row.actual.wrong.includes(index) ? " wrong" : "";
    const cells = [
      el("span", { class: "mono", title: op[0] }, op[0]),
      el("span", { title: op[2] }, op[2]),
      el("span", { class: op[3] }, row.said[op[3]]),
      ...(actual ? [el("span", {}, row.actual.places[index] || "")] : []),
      el("span", { class: "wide", title: told }, codes),
      el("span", { class: "mono wide", title: op[5] || op[1] }, op[1]),
    ];
    cells.forEach((cell) => cell.setAttribute("role", "cell"));
    const node = el("div", { class: `row${actual}${wrong}`, role: "row", "aria-rowindex": position + 2 }, ...cells);
    node.style.top = `${position * ROW}px`;
    return node;
  }

  /* ---- partitions: accelerated islands, and what runs elsewhere between them ---- */

  function regionName(row, id) {
    const region = row.flow.regions.find((item) => item.id === id);
    if (!region) return "";
    if (region.kind === "input" || region.kind === "output") return `${region.kind}s`;
    return region.partition === undefined ? row.said[region.kind] : `partition ${region.partition + 1}`;
  }

  function graph(panel, row) {
    const { regions, edges } = row.flow;
    const legend = el("div", { class: "legend" });
    for (const kind of new Set(regions.map((item) => item.kind))) {
      if (VERDICTS.includes(kind)) legend.append(el("span", {}, el("i", { class: kind }), row.said[kind]));
    }
    panel.append(legend);
    const inner = row.partitions - regions.filter((item) => item.partition !== undefined).length;
    if (inner > 0) panel.append(el("p", { class: "soft" }, `${counted(inner, "partition")} within subgraphs (bodies of loops and branches), which are drawn as the operator that runs them; the table of operators has all.`));
    const { boxes, arrows } = condensed(row, regions, edges);
    if (boxes.length < regions.length) {
      panel.append(el("p", { class: "soft" }, `The largest of ${counted(regions.length, "region")} are drawn, and what lies between them as one box each; the table of operators has all.`));
    }
    const layout = new dagre.graphlib.Graph();
    layout.setGraph({ rankdir: "TB", nodesep: 24, ranksep: 44, marginx: 16, marginy: 16 });
    layout.setDefaultEdgeLabel(() => ({}));
    for (const box of boxes) {
      const width = Math.max(...box.lines.map((text) => text.length)) * 6.6 + 24;
      layout.setNode(box.id, { width: Math.max(90, width), height: box.lines.length * 16 + 14, ...box });
    }
    for (const arrow of arrows) layout.setEdge(arrow.from, arrow.to, { label: arrow.bytes, width: 60, height: 14, labelpos: "c" });
    dagre.layout(layout);
    panel.append(drawing(row, layout));
  }

  /* Regions come in an order of execution: what lies between two that are kept can be one box without a cycle. */
  function condensed(row, regions, edges) {
    const inner = regions.slice(1, -1).sort((one, other) => other.operators - one.operators);
    const kept = new Set(regions.length <= MOST.regions ? regions : [regions[0], ...inner.slice(0, MOST.regions / 2), regions[regions.length - 1]]);
    const boxes = [];
    const home = new Map();
    let open = null;
    for (const region of regions) {
      if (kept.has(region)) {
        open = null;
        boxes.push({ id: String(boxes.length), kind: region.kind, region, lines: regionLines(row, region) });
      } else if (open) {
        open.members.push(region);
      } else {
        open = { id: String(boxes.length), kind: "more", members: [region] };
        boxes.push(open);
      }
      home.set(region.id, boxes[boxes.length - 1].id);
    }
    for (const box of boxes.filter((item) => item.members)) {
      const parts = box.members.filter((item) => item.partition !== undefined).length;
      const total = box.members.reduce((sum, item) => sum + item.operators, 0);
      box.lines = [[[parts, "partition"], [box.members.length - parts, "region"]].filter(([count]) => count).map(([count, what]) => counted(count, `more ${what}`)).join(", "), counted(total, "operator")];
    }
    const sums = new Map();
    for (const edge of edges) {
      const [from, to] = [home.get(edge.from), home.get(edge.to)];
      if (from === to) continue;
      const key = `${from} ${to}`;
      const known = sums.get(key);
      const bytes = known === null || edge.bytes === null ? null : (known ?? 0) + edge.bytes;
      sums.set(key, bytes);
    }
    const arrows = [...sums].map(([key, bytes]) => ({ from: key.split(" ")[0], to: key.split(" ")[1], bytes }));
    return { boxes, arrows };
  }

  /* Whole names, as many as fit. */
  function listed(names, left) {
    const kept = [];
    while (names.length && (!kept.length || [...kept, names[0]].join(", ").length <= 44)) kept.push(names.shift());
    left += names.length;
    return kept.join(", ") + (left ? ` and ${counted(left, "more type")}` : "");
  }

  function regionLines(row, region) {
    const name = regionName(row, region.id);
    if (!region.types) return [name];
    const types = Object.entries(region.types).map(([type, count]) => (count > 1 ? `${type} ×${count}` : type));
    return [`${name}: ${counted(region.operators, "operator")}`, listed(types, region.kinds - types.length)];
  }

  function drawing(row, layout) {
    const size = layout.graph();
    const root = svg("g");
    const arrow = svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, svg("path", { d: "M0 0L8 4L0 8z" }));
    for (const edge of layout.edges()) {
      const found = layout.edge(edge);
      const points = found.points.map((point) => `${point.x.toFixed(1)} ${point.y.toFixed(1)}`);
      root.append(svg("path", { d: `M${points.join("L")}`, "marker-end": "url(#arrow)" }));
      if (found.label !== null && found.x !== undefined) {
        root.append(svg("text", { class: "sub size", x: found.x, y: found.y + 4, "text-anchor": "middle" }, bytes(found.label)));
      }
    }
    for (const id of layout.nodes()) root.append(box(row, layout.node(id)));
    const picture = svg("svg", { role: "group", "aria-label": "Partitions and the operators between them" }, svg("defs", {}, arrow), root);
    return zoomed(picture, root, size);
  }

  function box(row, node) {
    const { region, lines } = node;
    const inner = region !== undefined && region.types !== undefined;
    const group = svg("g", { class: node.kind, transform: `translate(${node.x - node.width / 2} ${node.y - node.height / 2})` });
    group.append(svg("rect", { width: node.width, height: node.height, rx: 7 }));
    lines.forEach((text, index) => {
      group.append(svg("text", { x: node.width / 2, y: 20 + index * 16, "text-anchor": "middle", class: index ? "sub" : "" }, text));
    });
    group.append(svg("title", {}, lines.join("\n")));
    if (!inner) return group;
    const open = () => show({ tab: "operators", region: region.id, verdicts: new Set() });
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    group.setAttribute("aria-label", lines.join(", "));
    group.addEventListener("click", open);
    group.addEventListener("keydown", (event) => (event.key === "Enter" || event.key === " ") && (event.preventDefault(), open()));
    return group;
  }

  function zoomed(picture, root, size) {
    const view = { x: 0, y: 0, scale: 1 };
    const apply = () => root.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.scale})`);
    const zoom = (factor, x = picture.clientWidth / 2, y = picture.clientHeight / 2) => {
      const scale = Math.min(4, Math.max(0.02, view.scale * factor));
      view.x = x - ((x - view.x) * scale) / view.scale;
      view.y = y - ((y - view.y) * scale) / view.scale;
      view.scale = scale;
      apply();
    };
    const fit = () => {
      const width = picture.clientWidth || 800;
      const height = picture.clientHeight || 500;
      view.scale = Math.min(1, Math.max(width / size.width, 0.08));
      view.x = (width - size.width * view.scale) / 2;
      view.y = size.height * view.scale < height ? (height - size.height * view.scale) / 2 : 8;
      apply();
    };
    picture.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(event.deltaY < 0 ? 1.15 : 0.87, event.offsetX, event.offsetY);
    }, { passive: false });
    let held = null;
    picture.addEventListener("pointerdown", (event) => {
      held = { x: event.clientX - view.x, y: event.clientY - view.y };
    });
    picture.addEventListener("pointermove", (event) => {
      if (!held || !event.buttons) return;
      view.x = event.clientX - held.x;
      view.y = event.clientY - held.y;
      apply();
    });
    picture.addEventListener("pointerup", () => (held = null));
    const button = (text, label, act) => el("button", { type: "button", "aria-label": label, title: label, onclick: act }, text);
    const frame = el(
      "div",
      { class: "graph" },
      picture,
      el("div", { class: "zoom" }, button("+", "Closer", () => zoom(1.3)), button("−", "Farther", () => zoom(0.77)), button("⤢", "Whole", fit)),
    );
    frame.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
      if (event.key === "+" || event.key === "-") zoom(event.key === "+" ? 1.3 : 0.77);
      else if (step) [view.x, view.y] = [view.x + step[0], view.y + step[1]];
      else return;
      event.preventDefault();
      apply();
    });
    frame.style.height = `max(14rem, min(75vh, 44rem, ${Math.ceil(size.height) + 16}px))`;
    requestAnimationFrame(fit);
    return frame;
  }

  /* ---- what the runtime did ---- */

  function runtime(panel, row) {
    const { actual } = row;
    const rows = el("table", { class: "plain" });
    rows.append(el("tr", {}, ...["predicted", ...actual.columns].map((name) => el("th", {}, name))));
    for (const [name, ...counts] of actual.rows) {
      rows.append(el("tr", {}, el("th", {}, name), ...counts.map((count) => el("td", {}, count.toLocaleString("en")))));
    }
    panel.append(el("div", { class: "scroll" }, rows));
    for (const [text, good] of actual.lines) panel.append(el("p", { class: good ? "" : "bad" }, text));
    if (actual.wrong.length) {
      panel.append(el("h3", {}, `Contradicted: ${counted(actual.wrong.length, "operator")}`), table(row, actual.wrong));
    }
  }

  /* ---- the page ---- */

  function show(change) {
    Object.assign(state, change);
    if ("model" in change || "target" in change) cards();
    detail();
  }

  const THEMES = ["auto", "light", "dark"];
  const night = matchMedia("(prefers-color-scheme: dark)");
  let theme = "auto";
  try {
    theme = THEMES.includes(localStorage.accelint) ? localStorage.accelint : "auto";
  } catch { /* a file of the disk may have no storage */ }

  function paint() {
    document.documentElement.dataset.theme = theme === "auto" ? (night.matches ? "dark" : "light") : theme;
    $("theme").textContent = `Theme: ${theme}`;
  }

  function turn() {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    try { localStorage.accelint = theme; } catch { /* the same */ }
    paint();
  }

  $("theme").addEventListener("click", turn);
  night.addEventListener("change", paint);
  let wait = 0;
  $("search").addEventListener("input", (event) => {
    clearTimeout(wait);
    wait = setTimeout(() => show({ query: event.target.value.trim() }), 120);
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, select")) {
      if (event.key === "Escape" && event.target.id === "search") {
        event.target.value = "";
        show({ query: "" });
        event.target.blur();
      }
      return;
    }
    if (event.key === "/") { event.preventDefault(); $("search").focus(); }
    if (event.key === "t") turn();
    const number = Number(event.key);
    if (number > 0 && !model().error && number <= model().targets.length) choose(number - 1);
  });
  paint();
  head();
  show({ model: 0 });
  document.documentElement.dataset.ready = "yes";
})();
