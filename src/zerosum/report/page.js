"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)");
  const calm = matchMedia("(prefers-reduced-motion: reduce)");
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Black lines, and names of colours from page.css such as "--text", follow the colours of the page.
  function recolour(text) {
    return JSON.parse(text.replaceAll('"#000000"', '"--text"').replace(/"(--[a-z]+)"/g, (_, name) => `"${colour(name)}"`));
  }

  function heightOf(data, width) {
    const names = new Set(data.filter((trace) => trace.showlegend !== false).map((trace) => trace.name));
    let rows = 1, used = 0;
    for (const name of names) {
      const size = 60 + 7.2 * (name || "").length;
      if (used && used + size > width - 60) { rows += 1; used = 0; }
      used += size;
    }
    return 310 + 22 * rows;
  }

  function layoutOf(own, data, width) {
    const layout = {
      margin: { l: 58, r: 12, t: 12, b: 44 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      font: { color: colour("--text"), family: "system-ui, sans-serif", size: 12 },
      legend: { orientation: "h", x: 0, y: -0.3, yanchor: "top" }, hovermode: "x unified",
      hoverlabel: { bgcolor: colour("--page"), bordercolor: colour("--rule"), font: { color: colour("--text") } },
      showlegend: true, modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--quiet"), activecolor: colour("--text") }, dragmode: touch.matches ? false : "zoom", ...own,
      height: heightOf(data, width),
    };
    for (const name of ["xaxis", "yaxis"]) {
      const axis = { gridcolor: colour("--grid"), zerolinecolor: colour("--rule"), automargin: true, ...own[name] };
      layout[name] = axis.title ? { ...axis, title: { standoff: 6, ...axis.title } } : axis;
    }
    return layout;
  }

  function show(plot, spec, frame) {
    const data = frame === undefined ? spec.data : spec.frames[frame].data;
    const options = {
      responsive: true, displaylogo: false, displayModeBar: touch.matches ? false : "hover",
      modeBarButtons: [["toImage"], ["zoom2d", "pan2d", "resetScale2d"]], // others would send data to a server
    };
    return Plotly.react(plot, data, layoutOf(spec.layout, data, plot.clientWidth), options);
  }

  function addSlider(figure, plot, names) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    const output = document.createElement("output");
    Object.assign(input, { type: "range", min: 0, max: names.length - 1, value: names.length - 1 });
    label.className = "slider";
    label.append("Seen ", input, output);
    plot.after(label);
    const tell = () => {
      output.textContent = names[input.value];
      input.setAttribute("aria-valuetext", names[input.value]);
    };
    tell();
    input.addEventListener("input", () => { tell(); draw(figure); });
    return input;
  }

  function draw(figure) {
    const plot = figure.querySelector(".plot");
    const spec = recolour(figure.querySelector("script").textContent);
    if (!spec.frames) return show(plot, spec);
    const input = figure.querySelector("input") || addSlider(figure, plot, spec.frames.map((frame) => frame.name));
    return show(plot, spec, Number(input.value));
  }

  const charts = [...document.querySelectorAll("figure.chart")];
  const drawAll = () => charts.reduce((before, figure) => before.then(() => draw(figure)), Promise.resolve());
  drawAll().then(() => { document.documentElement.dataset.drawn = charts.length; });
  dark.addEventListener("change", drawAll);

  if (calm.matches) for (const film of document.querySelectorAll(".film")) film.open = false;
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(code);
        button.textContent = "Selected";
      }
    });
  }
})();
