"use strict";
(() => {
  const facts = JSON.parse(document.getElementById("facts").textContent);
  const find = (id) => document.getElementById(id);
  const make = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const state = { start: { seed: 0 }, condition: null, truncation: 1, label: facts.first, amounts: [] };
  let current = null, first = 0;

  async function ask(path, question) {
    let answer;
    try {
      answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(question) });
    } catch {
      throw new Error("The explorer does not answer: is it still running?");
    }
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    return found;
  }

  function say(sentence) {
    find("trouble").textContent = sentence;
    find("trouble").hidden = !sentence;
  }

  // One request at a time of each kind; of those that come meanwhile the last one alone is sent.
  // The promise is kept when all of them are answered.
  function latest(work) {
    let running = null, again = false, told = "";
    async function run() {
      do {
        again = false;
        try {
          await work();
          if (find("trouble").textContent === told) say(""); // not what another kind has to say
        } catch (error) {
          told = error.message;
          say(told);
        }
      } while (again);
      running = null;
      document.documentElement.dataset.answers = Number(document.documentElement.dataset.answers || 0) + 1;
    }
    return () => {
      if (running) again = true;
      else running = run();
      return running;
    };
  }

  async function while_busy(control, work) {
    control.disabled = true;
    try { say(""); await work(); } catch (error) { say(error.message); } finally { control.disabled = false; }
    document.documentElement.dataset.answers = Number(document.documentElement.dataset.answers || 0) + 1;
  }

  const settings = () => ({
    condition: state.condition,
    truncation: state.truncation,
    directions: { label: state.label, amounts: state.amounts },
  });

  function picture(source, text) {
    return make("img", { src: source, alt: text });
  }

  function describe(code) {
    const words = [];
    if (state.start.seeds) words.push(`${Math.round(100 * state.start.t)} % of the way from seed ${state.start.seeds[0]} to ${state.start.seeds[1]}`);
    else words.push(code.seed === null ? state.name || "a code of its own" : `seed ${code.seed}`);
    if (Array.isArray(code.condition)) words.push(facts.labels.length ? mixture(code.condition) : `condition ${code.condition.map((value) => value.toFixed(2)).join(", ")}`);
    else if (code.condition !== null) words.push(`label ${facts.labels[code.condition]}`);
    words.push(`truncation ${code.truncation}`);
    const moved = code.directions.amounts.map((amount, row) => [row, amount]).filter(([, amount]) => amount);
    words.push(...moved.map(([row, amount]) => `direction ${row + 1}: ${amount > 0 ? "+" : ""}${amount}`));
    return words.join(" · ");
  }

  function mixture(shares) {
    const parts = shares.map((share, row) => [share, row]).filter(([share]) => Math.abs(share) > 0.005);
    if (parts.length === 1 && Math.abs(parts[0][0] - 1) < 0.005) return `label ${facts.labels[parts[0][1]]}`;
    const largest = parts.sort((one, other) => Math.abs(other[0]) - Math.abs(one[0])).slice(0, 4);
    return "labels " + largest.map(([share, row]) => `${Math.round(100 * share)} % ${facts.labels[row]}`).join(", ");
  }

  const refresh = latest(async () => {
    const now = document.querySelector(".now"), timer = setTimeout(() => now.setAttribute("aria-busy", "true"), 300);
    try {
      const found = await ask("/image", { ...state.start, ...settings() });
      current = found;
      find("image").src = found.image;
      find("image").classList.toggle("sharp", facts.side <= 128);
      find("status").textContent = describe(found.code);
      find("image").alt = `Image of ${describe(found.code)}`;
      if (state.note) find("status").append(` · ${state.note}`);
      mark();
      say("");
    } finally {
      clearTimeout(timer);
      now.removeAttribute("aria-busy");
    }
  });

  const refresh_seeds = latest(async () => {
    const found = await ask("/seeds", { seed: first, ...settings() });
    const buttons = found.seeds.map((seed, row) => {
      const made = make("button", { type: "button" }, picture(found.images[row], ""), make("span", { textContent: seed }));
      made.setAttribute("aria-label", `Seed ${seed}`);
      made.dataset.seed = seed;
      made.addEventListener("click", () => go_to(seed));
      return made;
    });
    const focused = document.activeElement && document.activeElement.dataset.seed;
    find("seeds").replaceChildren(...buttons);
    if (focused) (buttons.find((each) => each.dataset.seed === focused) || buttons[0]).focus();
    mark();
  });

  function mark() {
    const seed = state.start.seed === undefined ? "" : String(state.start.seed);
    for (const each of find("seeds").children) each.setAttribute("aria-pressed", String(each.dataset.seed === seed));
  }

  function start(place, name, note) {
    state.start = place;
    state.name = name;
    state.note = note;
    return refresh();
  }

  // The image first, then the seeds under its settings, then what takes seconds.
  async function show_rest(shown, directions = state.label) {
    const is_other = directions !== state.label;
    state.label = directions;
    if (is_other) find("layer").textContent = "Principal directions are being found.";
    await shown();
    await refresh_seeds();
    if (is_other) await find_directions();
  }

  function go_to(seed) {
    const next = Math.min(facts.seed, Math.max(0, Math.trunc(Number(seed)) || 0));
    find("seed").value = next;
    leave_mixture(() => start({ seed: next }));
  }

  // A seed is shown under a label, or under its own: numbers were those of a code.
  function leave_mixture(shown) {
    if (!Array.isArray(state.condition)) return shown();
    set_condition(null);
    return show_rest(shown);
  }

  // A label, null for that of the seed, or numbers, which the list of labels cannot show.
  function set_condition(condition) {
    state.condition = condition;
    const select = find("label");
    if (!select) return;
    select.querySelector("[value=mixture]").hidden = !Array.isArray(condition);
    select.value = Array.isArray(condition) ? "mixture" : condition === null ? "" : String(condition);
  }

  function set_truncation(value) {
    state.truncation = value;
    find("truncation").value = value;
    find("truncation-value").textContent = value;
  }

  function set_amounts(amounts) {
    state.amounts = amounts;
    find("directions").querySelectorAll("input").forEach((input, row) => show_amount(input, amounts[row] || 0));
  }

  function show_amount(input, amount) {
    input.value = amount;
    input.nextElementSibling.textContent = amount;
  }

  const find_directions = latest(async () => {
    try {
      const found = await ask("/directions", { label: state.label });
      const of = found.label === null ? "" : `, of samples with label ${facts.labels[found.label]}`;
      find("layer").textContent = `Principal directions of ${found.layer} (Härkönen et al. 2020)${of}. A step is one deviation.`;
      find("directions").replaceChildren(...found.names.map(make_slider));
      set_amounts(state.amounts);
    } catch (error) {
      find("layer").textContent = `No directions: ${error.message}`;
    }
  });

  function make_slider(name, row) {
    const title = make("span", { textContent: `Direction ${row + 1}` });
    const input = make("input", { type: "range", min: -facts.reach, max: facts.reach, step: 0.1, value: 0, id: `direction-${row}` });
    input.addEventListener("input", () => {
      const amounts = Array.from({ length: Math.max(row + 1, state.amounts.length) }, (_, each) => state.amounts[each] || 0);
      amounts[row] = Number(input.value);
      state.amounts = amounts;
      show_amount(input, amounts[row]);
      refresh();
    });
    input.addEventListener("change", refresh_seeds);
    const field = make("label", { className: "field" }, title, input, make("output", { textContent: "0" }));
    return make("div", {}, field, make("small", { textContent: name.replace(/^direction \d+: /, "") }));
  }

  function change_label(value) {
    if (value === "mixture") return;
    if (value === "" && state.start.seed === undefined && !state.start.seeds) {
      set_condition(current.code.condition);
      return say("This code is of no seed: choose a label for it.");
    }
    set_condition(value === "" ? null : Number(value));
    show_rest(refresh, value === "" ? state.label : Number(value));
  }

  // What an answer or a file says, with all its settings.
  function go_to_code(code, name, note) {
    const place = code.z ? { z: code.z } : code.w ? { w: code.w } : { seed: code.seed };
    if (code.seed !== null && code.seed !== undefined) place.seed = code.seed;
    set_condition(code.condition ?? null);
    set_truncation(code.truncation ?? 1);
    const { label = null, amounts = [] } = code.directions || {};
    set_amounts(amounts);
    if (place.seed !== undefined) find("seed").value = place.seed;
    // Without a label and amounts the code says nothing of directions: those that have sliders stay.
    show_rest(() => start(place, name, note), label === null && !amounts.some(Boolean) ? state.label : label);
  }

  async function compute() {
    const room = find("sums");
    room.replaceChildren(make("p", { className: "quiet", textContent: "Samples of each term are looked for …" }));
    try {
      const found = await ask("/arithmetic", { expression: find("expression").value });
      const figures = found.terms.map((term) => {
        const tiles = make("div", { className: "tiles-of-three" }, ...term.images.map((source) => picture(source, "")));
        return make("figure", {}, tiles, make("figcaption", { textContent: term.text }));
      });
      const results = found.images.map((source, row) => {
        const made = make("button", { type: "button" }, picture(source, ""));
        made.setAttribute("aria-label", `Result ${row + 1} of ${found.goal}`);
        made.addEventListener("click", () => go_to_code(found.codes[row], `result ${row + 1} of the arithmetic`));
        return made;
      });
      figures.push(make("figure", {}, make("div", { className: "choices" }, ...results), make("figcaption", { textContent: `= ${found.goal}?` })));
      room.replaceChildren(...figures, make("p", { textContent: found.said }));
    } catch (error) {
      room.replaceChildren();
      throw error;
    }
  }

  async function invert() {
    const file = find("upload").files[0], room = find("inverted");
    if (!file) throw new Error("Choose an image file first.");
    if (file.size > facts.upload) throw new Error(`The image has ${file.size} bytes: choose one of at most ${facts.upload}.`);
    room.replaceChildren(make("p", { className: "quiet", textContent: "A code is searched for; this takes some seconds …" }));
    try {
      const bytes = new Uint8Array(await file.arrayBuffer());
      let text = "";
      for (let place = 0; place < bytes.length; place += 8192) text += String.fromCharCode(...bytes.subarray(place, place + 8192));
      const label = typeof state.condition === "number" ? state.condition : null;
      const found = await ask("/invert", { image: btoa(text), label });
      const target = make("figure", {}, picture(found.target, "Your image"), make("figcaption", { textContent: "your image, as the model would show it" }));
      room.replaceChildren(target, make("p", { textContent: `Found: ${found.said} It is the current image now.` }));
      go_to_code(found.code, "nearest to your image");
    } catch (error) {
      room.replaceChildren();
      throw error;
    }
  }

  function save(name, blob) {
    const link = make("a", { href: URL.createObjectURL(blob), download: name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  const file_name = () => (current.code.seed === null ? "code" : `seed_${current.code.seed}`);

  function save_image() {
    if (!current) return;
    const text = atob(current.image.split(",")[1]);
    save(`${file_name()}.png`, new Blob([Uint8Array.from(text, (letter) => letter.charCodeAt(0))], { type: "image/png" }));
  }

  async function load() {
    const file = find("load").files[0];
    if (!file) return;
    if (file.size > 1e6) throw new Error("The code has more than 1,000,000 bytes: choose one that the explorer saved.");
    let code;
    try { code = JSON.parse(await file.text()); } catch { throw new Error("The file is no JSON: choose a code that the explorer saved."); }
    const found = await ask("/image", code);
    go_to_code(found.code, "a code from a file", found.note);
  }

  find("seed").addEventListener("change", () => go_to(find("seed").value));
  find("previous").addEventListener("click", () => go_to(Number(find("seed").value) - 1));
  find("next").addEventListener("click", () => go_to(Number(find("seed").value) + 1));
  find("random").addEventListener("click", () => go_to(Math.floor(Math.random() * 1e6)));
  find("image").addEventListener("keydown", (event) => {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (way) { event.preventDefault(); go_to(Number(find("seed").value) + way); }
  });
  if (find("label")) find("label").addEventListener("change", () => change_label(find("label").value));
  find("truncation").addEventListener("input", () => { set_truncation(Number(find("truncation").value)); refresh(); });
  find("truncation").addEventListener("change", refresh_seeds);
  find("earlier").addEventListener("click", () => { first = Math.max(0, first - 16); refresh_seeds(); });
  find("later").addEventListener("click", () => { first += 16; refresh_seeds(); });
  find("reset").addEventListener("click", () => { set_amounts([]); refresh(); refresh_seeds(); });
  function go_between() {
    const seeds = [Number(find("from").value), Number(find("to").value)].map((seed) => Math.trunc(seed) || 0);
    find("place-value").textContent = find("place").value;
    leave_mixture(() => start({ seeds, t: Number(find("place").value) }));
  }
  find("place").addEventListener("input", go_between);
  for (const name of ["from", "to"]) find(name).addEventListener("change", go_between);
  find("save-image").addEventListener("click", save_image);
  find("save-code").addEventListener("click", () => current && save(`${file_name()}.json`, new Blob([JSON.stringify(current.code, null, 1)], { type: "application/json" })));
  find("load").addEventListener("change", () => while_busy(find("load"), async () => {
    try { await load(); } finally { find("load").value = ""; } // the same file may be chosen again
  }));
  find("invert").addEventListener("click", () => while_busy(find("invert"), invert));
  if (find("compute")) {
    find("compute").addEventListener("click", () => while_busy(find("compute"), compute));
    find("expression").addEventListener("keydown", (event) => { if (event.key === "Enter") find("compute").click(); });
  }

  refresh();
  refresh_seeds();
  find_directions();
})();
