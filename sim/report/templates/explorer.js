"use strict";
(() => {
  const content = JSON.parse(document.getElementById("content").textContent);
  const STROKES = [["#0072b2", "", "circle"], ["#d55e00", "7 4", "square"], ["#009e73", "9 3 2 3", "triangle"],
    ["#a0438c", "2 3", "diamond"], ["#8a6d00", "12 3", "circle"], ["#3b3b98", "4 2 1 2", "square"], ["#000000", "1 2", "triangle"]];
  const NONE = "–";
  const byId = (id) => document.getElementById(id);
  const controls = Object.fromEntries(["protocol", "scenario", "vary", "size", "trial"].map((id) => [id, byId(id)]));
  const state = { protocol: content.main.protocol, scenario: content.main.scenario, vary: "", size: null, trial: 1 };

  const number = (value, digits) => (value === null || value === undefined ? NONE
    : Math.abs(value).toFixed(digits).replace(/^/, Number(value.toFixed(digits)) < 0 ? "−" : ""));
  const measured = (pair, digits) => (!pair || pair[0] === null ? NONE
    : pair[1] === null ? number(pair[0], digits) : `${number(pair[0], digits)} (${number(pair[1], digits)})`);
  const cell = () => content.cells.find((c) => c.protocol === state.protocol && c.scenario === state.scenario);
  const variations = () => content.variations.filter((v) => v.protocol === state.protocol && v.scenario === state.scenario);
  const variation = () => variations().find((v) => v.name === state.vary);
  const place = () => cell().sizes.indexOf(state.size);
  const success = (arm) => (variation()
    ? cell().sizes.map((size) => (variation().curves[arm.name] || {})[size] || null) : arm.success);

  // ---- the address keeps the state

  const read = () => {
    const asked = new URLSearchParams(location.hash.slice(1));
    for (const name of ["protocol", "scenario", "vary"]) if (asked.has(name)) state[name] = asked.get(name);
    if (asked.has("n")) state.size = Number(asked.get("n"));
    if (asked.has("trial")) state.trial = Number(asked.get("trial"));
  };

  const mend = () => {
    if (!cell()) Object.assign(state, { protocol: content.main.protocol, scenario: content.main.scenario });
    if (!variation()) state.vary = "";
    const sizes = cell().sizes;
    if (state.size === null || !(state.size > 0)) state.size = sizes[sizes.length - 1];
    state.size = sizes.reduce((best, size) => (Math.abs(size - state.size) < Math.abs(best - state.size) ? size : best));
    const trials = Math.max(cell().trials.length, 1);
    state.trial = Math.min(Math.max(Math.round(state.trial) || 1, 1), trials);
  };

  const keep = () => {
    const kept = new URLSearchParams({ protocol: state.protocol, scenario: state.scenario, n: state.size, trial: state.trial });
    if (state.vary) kept.set("vary", state.vary);
    history.replaceState(null, "", `#${kept}`);
  };

  // ---- drawing

  const SVG = "http://www.w3.org/2000/svg";
  const draw = (parent, tag, given, text) => {
    const made = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(given)) made.setAttribute(name, value);
    if (text !== undefined) made.textContent = text;
    parent.append(made);
    return made;
  };
  const canvas = (home, width, height, label) => {
    home.replaceChildren();
    return draw(home, "svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
  };
  const ticks = (low, high, about) => {
    const rough = (high - low) / about;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= rough);
    const found = [];
    for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + 1e-9; at += step) found.push(Number(at.toFixed(10)));
    return found;
  };
  const marker = (svg, kind, x, y, colour, hollow) => {
    const shapes = { circle: "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", square: "M-3.6,-3.6h7.2v7.2h-7.2z",
      triangle: "M0,-4.6L4.4,3.4H-4.4z", diamond: "M0,-5L5,0L0,5L-5,0z" };
    draw(svg, "path", { d: shapes[kind], transform: `translate(${x},${y})`, fill: hollow ? "none" : colour, stroke: colour });
  };
  const spread = (heights, gap, low, high) => {
    const order = heights.map((_, i) => i).sort((a, b) => heights[a] - heights[b]);
    const placed = heights.slice();
    order.forEach((i, k) => { placed[i] = Math.max(heights[i], k ? placed[order[k - 1]] + gap : low); });
    for (let k = order.length - 1; k >= 0; k -= 1) {
      const most = k === order.length - 1 ? high : placed[order[k + 1]] - gap;
      placed[order[k]] = Math.min(placed[order[k]], most);
    }
    return placed;
  };

  const drawCurves = () => {
    const { sizes, arms } = cell();
    const [width, height, left, right, top, bottom] = [860, 380, 64, 210, 12, 52];
    const svg = canvas(byId("curves"), width, height, `Share of trials that succeed against patients in all, ${arms.length} arms`);
    const [low, high] = sizes.length > 1 ? [sizes[0], sizes[sizes.length - 1]] : [sizes[0] * 0.9, sizes[0] * 1.1];
    const x = (n) => left + ((n - low) / (high - low)) * (width - left - right);
    const y = (share) => top + (1 - share) * (height - top - bottom);
    for (const share of [0, 0.2, 0.4, 0.6, 0.8, 1]) {
      draw(svg, "line", { x1: left, x2: width - right, y1: y(share), y2: y(share), stroke: "#e3e3e3" });
      draw(svg, "text", { x: left - 8, y: y(share) + 4, "text-anchor": "end" }, share.toFixed(1));
    }
    for (const n of ticks(low, high, 6)) {
      draw(svg, "line", { x1: x(n), x2: x(n), y1: height - bottom, y2: height - bottom + 5, stroke: "#1c1c1c" });
      draw(svg, "text", { x: x(n), y: height - bottom + 20, "text-anchor": "middle" }, n);
    }
    draw(svg, "line", { x1: left, x2: width - right, y1: height - bottom, y2: height - bottom, stroke: "#1c1c1c" });
    draw(svg, "text", { x: (left + width - right) / 2, y: height - 10, "text-anchor": "middle" }, "patients in all");
    draw(svg, "text", { transform: `translate(16,${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" },
      `${cell().success}, share of trials`);
    draw(svg, "line", { x1: x(state.size), x2: x(state.size), y1: top, y2: height - bottom, stroke: "#1c1c1c", "stroke-dasharray": "5 4" });
    const ends = [];
    arms.forEach((arm, i) => {
      const [colour, dash, kind] = STROKES[i % STROKES.length];
      const known = success(arm).map((pair, k) => [sizes[k], pair]).filter(([, pair]) => pair && pair[0] !== null);
      if (!known.length) return;
      const edge = (sign) => known.map(([n, [value, error]]) => `${x(n)},${y(Math.min(Math.max(value + sign * 1.96 * (error || 0), 0), 1))}`);
      draw(svg, "polygon", { points: [...edge(1), ...edge(-1).reverse()].join(" "), fill: colour, opacity: 0.16 });
      draw(svg, "polyline", { points: known.map(([n, [value]]) => `${x(n)},${y(value)}`).join(" "), fill: "none", stroke: colour,
        "stroke-width": 2, "stroke-dasharray": dash });
      known.forEach(([n, [value]]) => marker(svg, kind, x(n), y(value), colour, n !== state.size));
      ends.push([arm.label, y(known[known.length - 1][1][0]), colour]);
    });
    spread(ends.map(([, at]) => at), 17, top + 8, height - bottom - 4).forEach((at, i) => {
      const [label, from, colour] = ends[i];
      draw(svg, "line", { x1: width - right + 2, x2: width - right + 16, y1: from, y2: at, stroke: colour });
      draw(svg, "text", { x: width - right + 20, y: at + 4 }, label.length > 28 ? `${label.slice(0, 27)}…` : label);
    });
  };

  const drawExample = () => {
    const { arms, trials, axis } = cell();
    const rows = arms.map((arm, a) => ((trials[state.trial - 1] || [])[a] || [])[place()] || []);
    const all = trials.flat(2).filter((row) => row.length).flatMap((row) => row.slice(1, 4)).filter((v) => v !== null);
    const [width, left, right, top, line] = [860, 210, 130, 10, 34];
    const height = top + line * arms.length + 52;
    const svg = canvas(byId("example"), width, height, `Estimates of example trial ${state.trial} with 95 % intervals`);
    const [low, high] = [Math.min(0, ...all), Math.max(0, ...all)];
    const x = (value) => left + ((value - low) / (high - low || 1)) * (width - left - right);
    const floor = top + line * arms.length;
    for (const value of ticks(low, high, 7)) {
      draw(svg, "line", { x1: x(value), x2: x(value), y1: top, y2: floor, stroke: "#e3e3e3" });
      draw(svg, "text", { x: x(value), y: floor + 18, "text-anchor": "middle" }, String(value).replace("-", "−"));
    }
    draw(svg, "line", { x1: x(0), x2: x(0), y1: top, y2: floor, stroke: "#1c1c1c" });
    draw(svg, "text", { x: (left + width - right) / 2, y: floor + 42, "text-anchor": "middle" }, axis);
    rows.forEach((row, a) => {
      const at = top + line * (a + 0.5);
      const [estimate, from, to, truth, won] = row;
      draw(svg, "text", { x: left - 10, y: at + 4, "text-anchor": "end" }, arms[a].label);
      const colour = won ? STROKES[0][0] : STROKES[1][0];
      if (row.length && estimate !== null) {
        draw(svg, "line", { x1: x(from), x2: x(to), y1: at, y2: at, stroke: colour, "stroke-width": 2 });
        marker(svg, won ? "circle" : "square", x(estimate), at, colour, false);
      }
      if (row.length && truth !== null) marker(svg, "diamond", x(truth), at, "#1c1c1c", true);
      draw(svg, "text", { x: width - right + 10, y: at + 4 }, !row.length || estimate === null ? "no estimate" : won ? "success" : "no success");
    });
    byId("example-words").textContent = trials.length
      ? `Trial ${state.trial} of ${trials.length} shown, its first ${state.size} patients: estimate with 95 % interval, diamond: true effect. `
        + `To see its patients: sim replay study.yaml --protocol ${state.protocol} --scenario ${state.scenario} --replicate ${state.trial - 1}`
      : "This run kept no single trials.";
  };

  const fill = () => {
    const { arms, whole } = cell();
    const k = place();
    const heads = ["arm", "patients in the arm", cell().success, ...["truth", "bias", "coverage"].map((name) => content.heads[name])];
    const row = (tag, items) => {
      const made = document.createElement("tr");
      items.forEach((item, i) => {
        const box = document.createElement(i && tag === "td" ? "td" : "th");
        if (box.tagName === "TH") box.scope = tag === "th" ? "col" : "row";
        box.textContent = item;
        if (i) box.className = "number";
        made.append(box);
      });
      return made;
    };
    const varied = Boolean(variation());
    const table = byId("numbers");
    table.tHead.replaceChildren(row("th", heads));
    table.tBodies[0].replaceChildren(...arms.map((arm) => row("td", [arm.label, String(Math.round(arm.share * state.size)),
      measured(success(arm)[k], 3), ...["truth", "bias", "coverage"].map((name) => (varied ? NONE : measured(arm[name][k], 3)))])));
    const duration = varied ? (variation().curves.duration_weeks || {})[state.size] : whole.duration_weeks[k];
    const parts = [`${cell().success} with ${state.size} patients: ${arms.map((arm) => `${arm.label} ${number((success(arm)[k] || [null])[0], 2)}`).join(", ")}.`];
    if (duration) parts.push(`The trial takes ${number(duration[0], 0)} weeks on average.`);
    if (!varied && whole.expected_n[k] && whole.expected_n[k][0] < state.size) parts.push(`It randomises ${number(whole.expected_n[k][0], 0)} patients on average.`);
    if (!varied && whole.cost[k]) parts.push(`It costs ${number(whole.cost[k][0], 0)} on average.`);
    parts.push(`Scenario: ${cell().because}${varied ? `; but ${state.vary}` : ""}.`);
    const said = parts.join(" ");
    byId("said").textContent = said.charAt(0).toUpperCase() + said.slice(1);
  };

  // ---- controls

  const options = (select, names, chosen) => {
    select.replaceChildren(...names.map(([value, text]) => new Option(text, value, false, value === chosen)));
    select.disabled = names.length < 2;
  };
  const show = () => {
    mend();
    const names = (key) => [...new Set(content.cells.map((c) => c[key]))].map((name) => [name, name]);
    options(controls.protocol, names("protocol"), state.protocol);
    options(controls.scenario, names("scenario"), state.scenario);
    options(controls.vary, [["", variations().length ? "nothing" : "nothing (not run here)"], ...variations().map((v) => [v.name, v.name])], state.vary);
    controls.size.max = cell().sizes.length - 1;
    controls.size.value = place();
    controls.size.disabled = cell().sizes.length < 2;
    controls.size.setAttribute("aria-valuetext", `${state.size} patients`);
    controls.trial.max = Math.max(cell().trials.length, 1);
    controls.trial.value = state.trial;
    controls.size.nextElementSibling.value = state.size;
    controls.trial.nextElementSibling.value = state.trial;
    drawCurves();
    drawExample();
    fill();
    keep();
  };

  for (const name of ["protocol", "scenario", "vary"]) {
    controls[name].addEventListener("change", () => { state[name] = controls[name].value; show(); });
  }
  controls.size.addEventListener("input", () => { state.size = cell().sizes[Number(controls.size.value)]; show(); });
  controls.trial.addEventListener("input", () => { state.trial = Number(controls.trial.value); show(); });
  byId("choices").addEventListener("submit", (event) => event.preventDefault());
  addEventListener("hashchange", () => { read(); show(); });
  read();
  show();
})();
