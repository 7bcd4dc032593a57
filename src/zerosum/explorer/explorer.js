"use strict";
(async () => {
  const data = JSON.parse(document.getElementById("sheets").textContent);
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const find = (id) => document.getElementById(id);
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

  async function load(sheet) {
    const image = new Image();
    image.src = sheet.source;
    await image.decode();
    return { ...sheet, image };
  }

  // One image of a sheet on a canvas; the browser magnifies small ones without blur.
  function draw(canvas, sheet, index) {
    if (canvas.width !== sheet.width || canvas.height !== sheet.height) {
      canvas.width = sheet.width;
      canvas.height = sheet.height;
      canvas.classList.toggle("sharp", !data.smooth);
    }
    const left = (index % sheet.columns) * sheet.width, top = Math.floor(index / sheet.columns) * sheet.height;
    canvas.getContext("2d").drawImage(sheet.image, left, top, sheet.width, sheet.height, 0, 0, sheet.width, sheet.height);
  }

  function cells(holder, count, names) {
    return Array.from({ length: count }, (_, index) => {
      const figure = document.createElement("figure"), canvas = document.createElement("canvas");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", names ? names[index] : `Image ${index + 1}`);
      figure.append(canvas);
      if (names) {
        const caption = document.createElement("figcaption");
        caption.textContent = names[index];
        figure.append(caption);
      }
      holder.append(figure);
      return canvas;
    });
  }

  async function walk() {
    const sheet = await load(data.walk), canvas = find("walk-image"), stage = canvas.parentElement;
    const slider = stage.nextElementSibling.querySelector("input"), status = stage.querySelector(".status");
    let place = 0, timer = 0;
    function show(next) {
      place = (next + sheet.count) % sheet.count;
      draw(canvas, sheet, place);
      slider.value = place;
      const station = Math.floor(place / sheet.frames), part = place % sheet.frames;
      const name = sheet.names[station], after = sheet.names[(station + 1) % sheet.names.length];
      status.textContent = part ? `${Math.round((100 * part) / sheet.frames)} % of the way from ${name} to ${after}` : name;
      canvas.setAttribute("aria-label", status.textContent);
    }
    function step(direction) {
      clearInterval(timer);
      const part = place % sheet.frames, forward = direction > 0;
      let left = forward ? sheet.frames - part : part || sheet.frames;
      if (calm.matches) return show(place + direction * left);
      timer = setInterval(() => {
        show(place + direction);
        left -= 1;
        if (!left) clearInterval(timer);
      }, 45);
    }
    for (const button of stage.nextElementSibling.querySelectorAll("button")) {
      button.addEventListener("click", () => step(Number(button.dataset.step)));
    }
    canvas.addEventListener("keydown", (event) => {
      const direction = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (direction) { event.preventDefault(); step(direction); }
    });
    slider.addEventListener("input", () => { clearInterval(timer); show(Number(slider.value)); });
    show(0);
  }

  async function plane() {
    const sheet = await load(data.plane), canvas = find("plane-image"), map = find("plane-map");
    const pad = map.parentElement, dot = pad.querySelector(".dot"), last = sheet.side - 1;
    map.width = sheet.width * sheet.side;
    map.height = sheet.height * sheet.side;
    map.getContext("2d").drawImage(sheet.image, 0, 0);
    let column = last >> 1, row = last >> 1;
    function show(x, y) {
      column = clamp(Math.round(x), 0, last);
      row = clamp(Math.round(y), 0, last);
      draw(canvas, sheet, row * sheet.side + column);
      dot.style.left = `${(100 * (column + 0.5)) / sheet.side}%`;
      dot.style.top = `${(100 * (row + 0.5)) / sheet.side}%`;
      const across = column / last, down = row / last;
      const shares = [(1 - across) * (1 - down), across * (1 - down), (1 - across) * down, across * down];
      const words = shares.map((share, index) => `${sheet.names[index]}: ${Math.round(100 * share)} %`);
      find("plane-status").textContent = words.join(" · ");
      canvas.setAttribute("aria-label", words.join(", "));
    }
    function drag(event) {
      const box = pad.getBoundingClientRect();
      show(((event.clientX - box.left) / box.width) * sheet.side - 0.5, ((event.clientY - box.top) / box.height) * sheet.side - 0.5);
    }
    pad.addEventListener("pointerdown", (event) => { pad.setPointerCapture(event.pointerId); drag(event); });
    pad.addEventListener("pointermove", (event) => { if (event.buttons) drag(event); });
    pad.addEventListener("keydown", (event) => {
      const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
      if (way) { event.preventDefault(); show(column + way[0], row + way[1]); }
    });
    show(column, row);
  }

  async function labels() {
    if (!data.labels) return;
    const sheet = await load(data.labels), canvases = cells(find("labels-cells"), sheet.names.length, sheet.names);
    let seed = 0;
    function show(next) {
      seed = (next + sheet.seeds) % sheet.seeds;
      canvases.forEach((canvas, label) => draw(canvas, sheet, seed * sheet.names.length + label));
      find("labels-status").textContent = `seed ${sheet.first + seed}`;
    }
    for (const button of find("labels-controls").querySelectorAll("button")) {
      button.addEventListener("click", () => show(seed + Number(button.dataset.step)));
    }
    show(0);
  }

  async function directions() {
    const sheet = await load(data.directions), canvases = cells(find("directions-cells"), sheet.shown);
    const choice = find("directions-choice"), slider = find("directions-slider");
    function show() {
      const direction = Number(choice.value), step = Number(slider.value);
      canvases.forEach((canvas, index) => draw(canvas, sheet, (direction * sheet.steps + step) * sheet.shown + index));
      const deviations = ((2 * step) / (sheet.steps - 1) - 1) * sheet.reach;
      find("directions-status").textContent = `${deviations.toFixed(1)} deviations · ${sheet.names[direction]}`;
    }
    choice.addEventListener("change", show);
    slider.addEventListener("input", show);
    show();
  }

  async function truncation() {
    const sheet = await load(data.truncation), canvases = cells(find("truncation-cells"), sheet.shown);
    const slider = find("truncation-slider");
    function show() {
      const row = Number(slider.value);
      canvases.forEach((canvas, index) => draw(canvas, sheet, row * sheet.shown + index));
      find("truncation-status").textContent = `truncation ${sheet.values[row]}`;
    }
    slider.addEventListener("input", show);
    show();
  }

  await Promise.all([walk(), plane(), labels(), directions(), truncation()]);
  document.documentElement.dataset.drawn = document.querySelectorAll("canvas").length;
})();
